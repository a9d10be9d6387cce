"""A user's own files: `images/` and `masks/` below data/source, paired by the file name without its ending."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from maskmill.config import IGNORE, Data
from maskmill.data import decode
from maskmill.data.datasets import Pair
from maskmill.errors import MaskmillError


def folder(*, folder: Path, data: Data, group_until: str | None = None) -> Iterator[Pair]:
    """Pairs in order of name; `group_until` cuts the group out of the name (`_` makes `0016E5` of `0016E5_00390`).

    Without it every image is its own group. Raises: MaskmillError when a folder is missing or empty, or two files
    share a name.
    """
    images, masks = _by_stem(folder / "images"), _by_stem(folder / "masks")
    table = _table(data)
    for order, stem in enumerate(sorted(images.keys() | masks.keys())):
        image, mask = images.get(stem), masks.get(stem)
        yield Pair(
            id=stem,
            group=stem.split(group_until)[0] if group_until else stem,
            order=order,
            read_image=partial(decode.image, image, data.in_channels) if image else None,
            read_mask=partial(_class_ids, mask, table, data) if mask else None,
        )


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths:
        if path.suffix.lower() not in decode.SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            raise MaskmillError(f"{found[path.stem]} and {path} have one name; a pair is found by it: rename one")
        found[path.stem] = path
    if not found:
        raise MaskmillError(
            f"{folder}: no image files; put them there ({', '.join(decode.SUFFIXES)}), "
            "or choose another `kind` in data/source.yaml"
        )
    return found


def _table(data: Data) -> np.ndarray | None:
    """Stored value -> class id as a 256-entry table; -1 where data.values says nothing."""
    if data.values is None:
        return None
    table = np.full(256, -1, dtype=np.int16)
    for value, name in data.values.items():
        table[int(value)] = data.ignore_index if name == IGNORE else data.classes.index(name)
    return table


def _class_ids(path: Path, table: np.ndarray | None, data: Data) -> np.ndarray:
    stored = decode.mask(path)
    if table is None:
        return stored
    ids = table[stored]
    if unknown := np.unique(stored[ids < 0]).tolist():
        raise decode.DecodeError(
            f"{path}: stored values {unknown} have no meaning; data.values in params.yaml "
            f"knows {sorted(data.values or {})}"
        )
    mapped: np.ndarray = ids.astype(np.uint8)
    return mapped
