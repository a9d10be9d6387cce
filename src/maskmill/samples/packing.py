"""Pack decoded samples into shards: keep what is there, add what is new, drop what is unused."""

import hashlib
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from maskmill.images import decode, labels
from maskmill.images.digest import pixel_digest
from maskmill.images.moments import moments
from maskmill.samples import shard_files
from maskmill.samples.shard_files import (
    COLUMNS,
    INDEX,
    MOMENTS,
    PLACE,
    PLACE_NUMBERS,
    read_index,
    write_index,
)
from maskmill.settings.config import Data
from maskmill.system import files
from maskmill.system.errors import MaskmillError
from maskmill.system.parallel import in_order

_log = logging.getLogger(__name__)

SHARD_BYTES = 256_000_000
_KEY = ["sha256_pixels", "sha256_mask"]  # which sample it is; the digests cover the shapes
_LEAST_ALIVE = 0.5  # of a shard's bytes; with less, what lives in it moves to a new one
_MANY = 16  # shards less than half full; more of them are merged
_CHANGED = "it was changed after `validate` had read it: run the line again, `make pipeline`"
_NEW = "new.bin"  # a shard that has no name yet


class _Sample(NamedTuple):
    """A sample to write: the files that it comes from, or the place that it moves from."""

    image: str
    mask: str
    sha256_pixels: str
    sha256_mask: str
    shard: str | None
    place: shard_files.Place | None


def pack_samples(
    folder: Path,
    manifest: pd.DataFrame,
    data: Data,
    cache: Path | None = None,
    *,
    shard_bytes: int = SHARD_BYTES,
    workers: int | None = None,
) -> None:
    """Make `folder` hold the manifest's samples that have a split; decode only what is missing.

    Columns read: id, image, mask, split, clean, sha256_pixels, sha256_mask. A run that is cut off
    leaves the folder as it was, and what it has written is found by the next one. `cache`: as of
    `verify`, which need not read what is new.
    Raises: MaskmillError when a file is no longer what the manifest says.
    """
    living = manifest.loc[
        manifest["split"] != "", ["id", "split", "clean", "image", "mask", *_KEY]
    ].sort_values("id")
    before = _read_sound_index(folder, cache)
    stored = before[list(PLACE)].drop_duplicates(_KEY)
    stays = stored[~stored["shard"].isin(_shards_to_give_up(folder, stored, living, shard_bytes))]
    wanted = living.drop_duplicates(_KEY).merge(stored, "left", on=_KEY)
    samples = [_sample(row) for row in wanted[~_is_in(wanted, stays)].to_dict("records")]
    fresh: list[str] = []
    for added in _write(folder, samples, data, shard_bytes, workers):
        fresh.append(added["shard"].iloc[0])
        stays = pd.concat([stays, added], ignore_index=True)
        before = pd.concat([before, _unused(added)], ignore_index=True)
        write_index(folder, before)
    used = (
        living[["id", "split", "clean", *_KEY]]
        .merge(stays, on=_KEY, validate="many_to_one")
        .sort_values("id")
    )
    assert len(used) == len(living)
    idle = stays[~_is_in(stays, living)].sort_values(["shard", "start"])
    write_index(folder, pd.concat([used[list(COLUMNS)], _unused(idle)], ignore_index=True))
    named = {INDEX, *stays["shard"]}
    for path in folder.iterdir():
        if path.name not in named:
            path.unlink()
    if cache:
        shard_files.remember_files(folder, fresh, cache)


def _read_sound_index(folder: Path, cache: Path | None) -> pd.DataFrame:
    """The index without samples whose shard is damaged; empty where there is no index."""
    try:
        index = read_index(folder)
    except MaskmillError as error:
        if (folder / INDEX).exists():
            _log.info(f"{error}; all samples are packed anew")
        return shard_files.empty_index()
    if wrong := shard_files.damaged_files(folder, sorted(set(index["shard"])), cache):
        _log.info(
            f"{', '.join(wrong)} in {folder}: missing or damaged; what lay there is decoded again"
        )
    return index[~index["shard"].isin(wrong)].reset_index(drop=True)


def _shards_to_give_up(
    folder: Path, stored: pd.DataFrame, living: pd.DataFrame, shard_bytes: int
) -> list[str]:
    """Shards to give up: those with little that lives, and the small ones once there are many."""
    sizes = pd.Series(
        {name: (folder / name).stat().st_size for name in stored["shard"].unique()}, dtype=float
    )
    alive = (
        shard_files.sample_bytes(stored)
        .where(_is_in(stored, living), 0)
        .groupby(stored["shard"])
        .sum()
    )
    leaving = set(sizes.index[alive.reindex(sizes.index) < _LEAST_ALIVE * sizes])
    small = set(sizes.index[sizes < shard_bytes / 2]) - leaving
    return sorted(leaving | (small if len(small) > _MANY else set()))


def _is_in(table: pd.DataFrame, other: pd.DataFrame) -> pd.Series:
    """For each row of `table`, whether `other` has its sample."""
    known = set(zip(*(other[key] for key in _KEY), strict=True))
    return pd.Series(
        [key in known for key in zip(*(table[key] for key in _KEY), strict=True)],
        table.index,
        dtype=bool,
    )


def _unused(places: pd.DataFrame) -> pd.DataFrame:
    return places.assign(id="", split="", clean=False)[list(COLUMNS)]


def _sample(row: dict[str, Any]) -> _Sample:
    known = isinstance(row["shard"], str)
    return _Sample(
        image=row["image"],
        mask=row["mask"],
        sha256_pixels=row["sha256_pixels"],
        sha256_mask=row["sha256_mask"],
        shard=row["shard"] if known else None,
        place=tuple(int(row[name]) for name in PLACE_NUMBERS) if known else None,
    )


def _write(
    folder: Path, samples: list[_Sample], data: Data, shard_bytes: int, workers: int | None
) -> Iterator[pd.DataFrame]:
    """Write the samples into new shards; for each one that is whole, where its samples lie."""
    pixels = in_order(
        lambda sample: _pixels(folder, sample, data), samples, workers=workers, ahead=1
    )
    ready = zip(samples, tqdm(pixels, "pack", len(samples), unit="pair", disable=None), strict=True)
    for first in ready:
        found, end, rows = hashlib.sha256(), 0, []
        with files.open_atomic(folder / _NEW) as file:
            for sample, (image, mask) in itertools.chain([first], ready):
                for part in (image, mask):
                    file.write(part.data)
                    found.update(part.data)
                _, sums, squares = moments(image)
                keys = (sample.sha256_pixels, sample.sha256_mask)
                rows.append((*image.shape, end, end + image.size, sums, squares, *keys))
                end += image.size + mask.size
                if end >= shard_bytes:
                    break
        name = f"{found.hexdigest()}.bin"
        (folder / _NEW).replace(folder / name)
        yield pd.DataFrame(rows, columns=[*PLACE_NUMBERS, *MOMENTS, *_KEY]).assign(shard=name)


def _pixels(folder: Path, sample: _Sample, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask, from their shard or decoded.

    Raises: MaskmillError when they are not the manifest's.
    """
    if sample.shard and sample.place:
        return shard_files.sample_views(shard_files.open_shard(folder / sample.shard), sample.place)
    try:
        image = decode.image(Path(sample.image), data.in_channels, data.decoding)
        mask = labels.read_ids(Path(sample.mask), data)
    except decode.DecodeError as error:
        raise MaskmillError(f"{error}; {_CHANGED}") from None
    for path, pixels, expected in zip(sample[:2], (image, mask), sample[2:4], strict=True):
        if pixel_digest(pixels) != expected:
            raise MaskmillError(f"{path}: its pixels are not those that were validated; {_CHANGED}")
    return image, mask
