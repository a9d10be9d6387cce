"""Weights to start from: a file, or an address with its digest.

They are kept below paths.state by what they hold. A torch file is read once, by `weights_only`,
which runs no code of the file; what is kept of it is safetensors.
"""

import hashlib
import io
import pickle
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from maskmill.settings.config import WEIGHTS
from maskmill.system import files
from maskmill.system.errors import MaskmillError, few_of
from maskmill.weights import download

_VERSION = re.compile(r"models:/[^/@]+(@[^/@]+|/\d+)")
CACHE = "weights"  # below paths.state
_HEX = set("0123456789abcdef")
_TORCH = (b"PK\x03\x04", b"\x80")  # a zip archive; a pickle, as torch wrote them before 1.6
# keys under which trainings keep the weights beside other things
_NESTED = ("state_dict", "model_state_dict", "model")
_WRAPPED = ("module.", "_orig_mod.")  # before every key: DataParallel, torch.compile
# times the size of a torch file that its tensors may take: a few bytes can stand for any number of
# values
_SPREAD = 8
_UNREADABLE = (
    pickle.UnpicklingError, struct.error, RuntimeError, EOFError, ValueError, LookupError,
    AttributeError, TypeError,
)  # fmt: skip


@dataclass(frozen=True)
class Given:
    """Weights and where they come from."""

    source: str  # for people
    sha256: str  # of the file, or of a registered version's weights
    tensors: dict[str, Tensor]
    classes: tuple[str, ...] | None = None  # of its head, where that is known


@dataclass(frozen=True)
class Address:
    """The setting `weights`, taken apart."""

    place: str  # file or URL
    sha256: str | None

    @property
    def remote(self) -> bool:
        """Whether it must be downloaded."""
        return "://" in self.place


def is_version(setting: str, where: str) -> bool:
    """Whether the setting names a registered version.

    Raises: MaskmillError when it begins so and is none.
    """
    if setting.startswith("models:") and not _VERSION.fullmatch(setting):
        raise MaskmillError(f"{where}: got {setting!r}; allowed are {WEIGHTS}")
    return setting.startswith("models:")


def parse(setting: str, where: str) -> Address:
    """Take a setting that names no registered version apart; `where` is the setting's name.

    Raises: MaskmillError for another form, or a URL without a digest or with a secret in it.
    """
    place, mark, digest = setting.partition("#sha256=")
    address = Address(place, digest.lower() if mark else None)
    if address.sha256 is not None and (len(address.sha256) != 64 or set(address.sha256) - _HEX):
        raise MaskmillError(
            f"{where}: got #sha256={digest!r}; needed are 64 hexadecimal digits, as `sha256sum`"
            " says"
        )
    if not place or (address.remote and not download.is_address(place)):
        raise MaskmillError(f"{where}: got {setting!r}; allowed are {WEIGHTS}")
    if not address.remote:
        return address
    parts = urlsplit(place)
    if parts.username or parts.password or parts.query:
        raise MaskmillError(
            f"{where}: the URL holds a user, password or query, and params.yaml is in git; download"
            " the file and name it"
        )
    if address.sha256 is None:
        raise MaskmillError(
            f"{where}: {place} has no digest; add #sha256= and 64 hexadecimal digits, so that a"
            " changed file is refused"
        )
    return address


def read(setting: str, state: Path, where: str) -> Given:
    """The weights that a setting names, downloaded or converted where that is not done yet.

    Raises: MaskmillError when there is no such file, its digest is another, or it is not a file of
        tensors alone.
    """
    address, cache = parse(setting, where), state / CACHE
    if address.sha256 and (kept := _read_kept(cache, address.sha256)):
        return Given(address.place, address.sha256, kept)
    if address.remote:
        assert address.sha256
        path = download.fetch(address.place, address.sha256, cache, where)
    elif not (path := Path(address.place)).is_file():
        raise MaskmillError(f"{where}: {path}: no such file; allowed are {WEIGHTS}")
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if address.sha256 not in (None, sha256):
        raise MaskmillError(
            f"{where}: {path} has the sha256 {sha256}, the setting says {address.sha256}; it is"
            " another file, or damaged"
        )
    if _is_safetensors(content) or not content.startswith(_TORCH):
        return Given(address.place, sha256, _safetensors(content, f"{where}: {path}"))
    tensors = _read_kept(cache, sha256)
    if tensors is None:
        tensors = _plain_tensors(
            _torch_file(content, path, where), f"{where}: {path}", len(content)
        )
        _keep_converted(cache, sha256, tensors)
    return Given(address.place, sha256, tensors)


def _is_safetensors(content: bytes) -> bool:
    """Whether it begins with the length of a JSON header, and that header.

    A length can begin as a pickle does.
    """
    return content[8:9] == b"{" and int.from_bytes(content[:8], "little") + 8 <= len(content)


def _safetensors(content: bytes, what: str) -> dict[str, Tensor]:
    try:
        return _unwrapped(safetensors.torch.load(content))
    except safetensors.SafetensorError as error:
        raise MaskmillError(f"{what}: neither safetensors nor a torch file: {error}") from None


def _torch_file(content: bytes, path: Path, where: str) -> Any:
    """What the bytes whose digest was taken hold."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = re.search(r"WeightsUnpickler error: (.+)", str(error))
        # torch's advice to run the file after all is not passed on
        said = str(error).strip().partition("\n")[0]
        told = (
            reason[1] if reason else "it holds more than that" if "weights_only" in said else said
        )
        raise MaskmillError(
            f"{where}: {path} is not a torch file of tensors alone, and nothing else in it is run:"
            f" {told[:200]}; save the weights by `safetensors.torch.save_file(model.state_dict(),"
            " 'weights.safetensors')`"
        ) from None


def _plain_tensors(loaded: Any, what: str, size: int) -> dict[str, Tensor]:
    """The state dict in a torch file of `size` bytes, each tensor with memory of its own."""
    held = loaded
    if isinstance(held, Mapping):
        held = next((held[key] for key in _NESTED if isinstance(held.get(key), Mapping)), held)
    if (
        not isinstance(held, Mapping)
        or not held
        or not all(isinstance(value, Tensor) for value in held.values())
    ):
        has = (
            f"the keys {few_of(list(held), 5)}"
            if isinstance(held, Mapping)
            else type(held).__name__
        )
        raise MaskmillError(
            f"{what}: needed is a state dict (name: tensor), by itself or under"
            f" {', '.join(_NESTED)}; it holds {has}"
        )
    if odd := [
        key for key, v in held.items() if v.layout != torch.strided or v.is_meta or v.is_quantized
    ]:
        raise MaskmillError(
            f"{what}: sparse, quantized or without values: {few_of(odd, 5)}; save plain tensors"
        )
    if (taken := sum(value.nbytes for value in held.values())) > _SPREAD * size:
        raise MaskmillError(
            f"{what}: its tensors take {taken:,} bytes and the file has {size:,}: one value stands"
            " for many; save them after `.clone()`"
        )
    return _unwrapped(
        {str(key): value.detach().contiguous().clone() for key, value in held.items()}
    )


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _WRAPPED:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def _keep_converted(cache: Path, sha256: str, tensors: dict[str, Tensor]) -> None:
    """Write the tensors of a torch file under its digest and their own.

    The download that they came from goes.
    """
    content = safetensors.torch.save(tensors)
    own = hashlib.sha256(content).hexdigest()[:16]
    files.write_bytes(cache / f"{sha256}-{own}.safetensors", content)
    download.cache_path(cache, sha256).unlink(missing_ok=True)


def _read_kept(cache: Path, sha256: str) -> dict[str, Tensor] | None:
    """What was kept of a torch file before; None where there is nothing, or it is damaged."""
    for path in cache.glob(f"{sha256}-*.safetensors"):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest()[:16] == path.stem.rpartition("-")[2]:
            tensors: dict[str, Tensor] = safetensors.torch.load(content)
            return tensors
        path.unlink()
    return None
