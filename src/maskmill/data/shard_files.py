"""The files of packed samples: `<sha256>.bin`, named by their content, and `index.parquet`, which says what lies where.

A `.bin` file holds samples one behind the other, each an image and then its mask, uint8, and never changes. A row of
the index is a sample of a split; a row without an id is a sample that no split uses at present.
"""

import mmap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from tqdm import tqdm

from maskmill import files
from maskmill.data.parallel import in_order
from maskmill.data.stamps import settled, stamp
from maskmill.errors import MaskmillError

Place = tuple[int, ...]  # the numbers that PLACE_NUMBERS names
PLACE_NUMBERS = ("height", "width", "channels", "start", "mask_start")
PLACE = (*PLACE_NUMBERS, "shard", "sha256_pixels", "sha256_mask")
COLUMNS = ("id", "split", "clean", *PLACE)
INDEX = "index.parquet"
_TYPES = {"clean": pa.bool_()} | {name: pa.int64() for name in PLACE_NUMBERS}
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
_VERIFIED = "shards.json"  # in the cache: file -> stamp at which its content was right
_MEND = "get it back with `dvc checkout`, or `dvc pull`; or delete it, and `dvc repro split` makes it anew"


def read_index(folder: Path) -> pd.DataFrame:
    """The index of `folder`, columns COLUMNS. Raises: MaskmillError when it is not there or damaged."""
    path = folder / INDEX
    try:
        table = pq.read_table(path, page_checksum_verification=True).to_pandas()
    except FileNotFoundError:
        raise MaskmillError(f"{path}: no such file; {_MEND}") from None
    except (pa.ArrowException, OSError) as error:
        raise MaskmillError(f"{path}: damaged ({error}); {_MEND}") from None
    if list(table.columns) != list(COLUMNS):
        raise MaskmillError(f"{path}: columns {list(table.columns)}, needed are {list(COLUMNS)}; {_MEND}")
    return table


def write_index(folder: Path, table: pd.DataFrame) -> None:
    """Write the index in one step, with checksums in it."""
    with files.atomic(folder / INDEX) as file:
        rows = pa.Table.from_pandas(table[list(COLUMNS)], _SCHEMA, preserve_index=False)
        pq.write_table(rows.replace_schema_metadata(), file, write_page_checksum=True)


def empty_index() -> pd.DataFrame:
    """An index without rows."""
    return _SCHEMA.empty_table().to_pandas()


def sample_bytes(table: pd.DataFrame) -> "pd.Series[int]":
    """The bytes that each sample takes: image and mask."""
    return table["height"] * table["width"] * (table["channels"] + 1)


def open_shard(path: Path, least: int = 1) -> np.ndarray:
    """The bytes of a shard file as a read-only (N,) uint8 array, mapped and not read.

    Raises: MaskmillError when it is not there, or shorter than `least`.
    """
    try:
        size = path.stat().st_size
        if size < least:
            raise MaskmillError(f"{path}: {size} bytes, at least {least} are needed: it was cut off; {_MEND}")
        with path.open("rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError:
        raise MaskmillError(f"{path}: no such file, though {INDEX} names it; {_MEND}") from None


def views(shard: np.ndarray, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, C) and mask (H, W) uint8 at `place`, without a copy."""
    height, width, channels, start, mask_start = place
    image = shard[start : start + height * width * channels].reshape(height, width, channels)
    return image, shard[mask_start : mask_start + height * width].reshape(height, width)


def damaged(folder: Path, names: list[str], cache: Path | None) -> list[str]:
    """Those of the shard files `names` that are not there, or whose content is not what they are named by.

    Files that were right before, and have not changed since by what the folder `cache` remembers, are not read.
    """
    memory = cache / _VERIFIED if cache else None
    known = _recall(memory)
    now = time.time_ns()
    stamps = {name: stamp(folder / name) for name in names if (folder / name).exists()}
    read = [name for name in stamps if known.get(str((folder / name).resolve())) != list(stamps[name])]
    right = set(stamps) - set(read)
    hashes = in_order(lambda name: files.sha256(folder / name), read)
    for name, found in zip(read, tqdm(hashes, "check shards", len(read), unit="file", disable=None), strict=True):
        if found == Path(name).stem:
            right.add(name)
    if memory and read:
        kept = {
            str((folder / name).resolve()): list(stamps[name]) for name in sorted(right) if settled(stamps[name], now)
        }
        with FileLock(memory.with_suffix(".lock")):  # trainings that start together
            files.write_json(memory, kept)
    return [name for name in names if name not in right]


def verify(folder: Path, cache: Path | None) -> None:
    """Hold every shard file that the index names against its content.

    Raises: MaskmillError naming those that are missing or changed.
    """
    names = sorted(set(read_index(folder)["shard"]))
    if wrong := damaged(folder, names, cache):
        listed = ", ".join(str(folder / name) for name in wrong)
        raise MaskmillError(
            f"{len(wrong)} of {len(names)} shard files are missing or not what was written: {listed}; {_MEND}"
        )


def _recall(memory: Path | None) -> dict[str, list[int]]:
    try:
        known = files.read_json(memory) if memory else {}
    except (FileNotFoundError, ValueError):  # not there, or damaged: then all are read
        return {}
    return known if isinstance(known, dict) else {}
