"""Download a file of weights from an https address once, and keep it only with the right digest."""

import hashlib
import http.client
import logging
import ssl
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

from filelock import FileLock

from maskmill.system import files
from maskmill.system.errors import MaskmillError

_log = logging.getLogger(__name__)

SCHEMES = ("https",)
_MAX_BYTES = 4_000_000_000
_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 30.0  # without a byte


def is_address(url: str) -> bool:
    """Whether it is an address of an allowed scheme, with a host and in ASCII, as it is sent."""
    try:
        return url.isascii() and urlsplit(url).scheme in SCHEMES and bool(urlsplit(url).hostname)
    except ValueError:  # half an IPv6 address
        return False


def cache_path(cache: Path, sha256: str) -> Path:
    """Where the file of a digest lies once it is here."""
    return cache / f"{sha256}.download"


def fetch(url: str, sha256: str, cache: Path, where: str) -> Path:
    """Download `url` into `cache`, unless it is there already and whole.

    `where` is the setting that names it.

    Raises: MaskmillError when it cannot be reached, is over 4 GB, or has another digest; nothing is
        kept then.
    """
    path = cache_path(cache, sha256)
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{sha256}.lock"):  # trainings that start together wait for one download
        if not (path.exists() and files.sha256(path) == sha256):
            _log.info(f"{where}: downloading {url}")
            _download(url, sha256, path, where)
    return path


def _download(url: str, sha256: str, path: Path, where: str) -> None:
    opener = urllib.request.build_opener(_SameScheme())
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as response, files.open_atomic(path) as file:
            got = _copy(response, file, url, where)
            if got != sha256:
                raise MaskmillError(
                    f"{where}: {url} has the sha256 {got}, the setting says {sha256}; the file"
                    " there has changed, or is not the one that was meant: it is not kept"
                )
    except (
        URLError,
        TimeoutError,
        ConnectionError,
        ssl.SSLError,
        UnicodeError,
        http.client.HTTPException,
    ) as error:
        raise MaskmillError(
            f"{where}: {url} cannot be had:"
            f" {getattr(error, 'reason', error) or type(error).__name__}; try again, or download it"
            " elsewhere and name the file"
        ) from error


def _copy(response: http.client.HTTPResponse, file: Any, url: str, where: str) -> str:
    """Copy the body; the digest of what came. Raises: URLError where that is not all."""
    digest, size = hashlib.sha256(), 0
    announced = response.length or 0  # None where the server says none, or no number
    while size <= _MAX_BYTES and announced <= _MAX_BYTES and (block := response.read(_BLOCK_BYTES)):
        size += len(block)
        digest.update(block)
        file.write(block)
    if max(size, announced) > _MAX_BYTES:
        raise MaskmillError(
            f"{where}: {url} has {max(size, announced):,} bytes; at most {_MAX_BYTES:,} are"
            " downloaded; is it the right file? If so, download it yourself and name it"
        )
    if size < announced:
        raise URLError(f"it broke off after {size:,} of {announced:,} bytes")
    return digest.hexdigest()


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to https alone."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        """Raises: URLError for a redirect to another scheme."""
        if urlsplit(newurl).scheme not in SCHEMES:
            raise URLError(f"it leads on to {newurl}, and only {', '.join(SCHEMES)} is followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
