"""The files of packed samples: shards, and the index that says what lies where.

A shard is `<sha256>.bin`, named by its content; the index is `index.parquet`.

A `.bin` file holds samples one behind the other, each an image and then its mask, uint8, and never
changes. A row of the index is a sample of a split, in order of id; a row without an id is a sample
that no split uses at present. `sums` and `squares` are those of the image's channels (`moments`):
no training has to read all pixels before it starts.
"""

import contextlib
import hashlib
import mmap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock
from tqdm import tqdm

from maskmill.images.moments import Moments
from maskmill.system import files
from maskmill.system.errors import MaskmillError
from maskmill.system.parallel import in_order
from maskmill.system.stamps import Stamp, is_settled, stamp

Place = tuple[int, ...]  # the numbers that PLACE_NUMBERS names
PLACE_NUMBERS = ("height", "width", "channels", "start", "mask_start")
MOMENTS = ("sums", "squares")
PLACE = (*PLACE_NUMBERS, *MOMENTS, "shard", "sha256_pixels", "sha256_mask")
COLUMNS = ("id", "split", "clean", *PLACE)
INDEX = "index.parquet"
_TYPES = (
    {"clean": pa.bool_()}
    | dict.fromkeys(PLACE_NUMBERS, pa.int64())
    | dict.fromkeys(MOMENTS, pa.list_(pa.int64()))
)
_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
_ROWS = 8_192  # of the index that are read at once, so that memory hardly grows with it
_WAIT_S = 0.02
_VERIFIED = "shards.json"  # in the cache: file -> stamp at which its content was right
_MEND = (
    "get it back with `dvc checkout`, or `dvc pull`; or delete it, and `dvc repro split` makes it "
    "anew"
)


def read_index(folder: Path) -> pd.DataFrame:
    """The index of `folder`, with columns COLUMNS.

    Raises: MaskmillError when it is not there or damaged.
    """
    table: pd.DataFrame = pa.concat_tables(in_parts(folder)).to_pandas()
    return table


def in_parts(folder: Path, columns: Sequence[str] = COLUMNS) -> Iterator[pa.Table]:
    """Some columns of the index, some thousand rows at a time.

    Raises: MaskmillError as `read_index`.
    """
    path = folder / INDEX
    with _missing_in_words(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        if file.schema_arrow.names != list(COLUMNS):
            raise MaskmillError(
                f"{path}: columns {file.schema_arrow.names}, needed are {list(COLUMNS)}; {_MEND}"
            )
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, list(columns))


@contextlib.contextmanager
def _missing_in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MaskmillError(f"{path}: no such file; {_MEND}") from None
    except (pa.ArrowException, OSError) as error:
        raise MaskmillError(f"{path}: damaged ({error}); {_MEND}") from None


def write_index(folder: Path, table: pd.DataFrame) -> None:
    """Write the index atomically, with checksums; a split's rows must be sorted by id."""
    assert table.loc[table["split"] != "", "id"].is_monotonic_increasing
    with files.open_atomic(folder / INDEX) as file:
        rows = pa.Table.from_pandas(table[list(COLUMNS)], _SCHEMA, preserve_index=False)
        pq.write_table(
            rows.replace_schema_metadata(), file, row_group_size=_ROWS, write_page_checksum=True
        )


class Places(NamedTuple):
    """Where the samples of a split lie, in order of id."""

    ids: pa.StringArray
    clean: np.ndarray  # (N,) bool
    numbers: np.ndarray  # (N, 4) int64: height, width, start, mask_start
    shards: np.ndarray  # (N,) int32, into `files`
    files: list[str]
    channels: int  # of all images of the index; 0: there are none


def read_split(folder: Path, split: str) -> Places:
    """The samples of a split; each array grows in one piece, so that nothing is left over.

    Raises: as `read_index`.
    """
    columns = ("height", "width", "start", "mask_start")
    ids, numbers, clean, shards = [], bytearray(), bytearray(), bytearray()
    known: dict[str, int] = {}
    channels = 0
    for part in in_parts(folder, ["id", "clean", *columns, "shard", "split", "channels"]):
        used = part.filter(pc.field("split") != "")
        channels = max(channels, pc.max(used["channels"]).as_py() or 0)
        rows = used.filter(pc.field("split") == split)
        ids += rows["id"].chunks
        numbers += np.stack([rows[name].to_numpy() for name in columns], axis=1).tobytes()
        clean += rows["clean"].to_numpy().tobytes()
        shards += np.array(
            [known.setdefault(f, len(known)) for f in rows["shard"].to_pylist()], np.int32
        ).tobytes()
    return Places(
        pa.chunked_array(ids, pa.string()).combine_chunks(), np.frombuffer(clean, bool),
        np.frombuffer(numbers, np.int64).reshape(-1, len(columns)),
        np.frombuffer(shards, np.int32), list(known), channels,
    )  # fmt: skip


def moments_of(folder: Path, split: str) -> Moments:
    """Of all images of a split together, from the index alone.

    Raises: as `read_index`.
    """
    pixels, totals = 0, [np.zeros(1, np.int64) for _ in MOMENTS]
    for part in in_parts(folder, ["split", "height", "width", *MOMENTS]):
        if len(rows := part.filter(pc.field("split") == split)):
            pixels += pc.sum(pc.multiply(rows["height"], rows["width"])).as_py()
            for i, name in enumerate(MOMENTS):
                per_channel = (
                    rows[name].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
                )
                totals[i] = totals[i] + per_channel.sum(axis=0)
    return Moments(pixels, *totals)


def split_digests(folder: Path, splits: Sequence[str]) -> list[str]:
    """SHA-256 over the pixels of each split's images and masks, in little memory.

    It equals `manifest.split_digest`.

    Raises: as `read_index`.
    """
    columns = ["id", "sha256_pixels", "sha256_mask"]
    found = {split: hashlib.sha256() for split in splits}
    begun: set[str] = set()
    for part in in_parts(folder, ["split", *columns]):
        for split, digest in found.items():
            if len(rows := part.filter(pc.field("split") == split)):
                lines = pc.binary_join_element_wise(
                    *(rows[name] for name in columns), ""
                ).combine_chunks()
                digest.update(b"\n" if split in begun else b"")
                digest.update(
                    pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "\n")[
                        0
                    ].as_buffer()
                )
                begun.add(split)
    return [found[split].hexdigest() for split in splits]


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
            raise MaskmillError(
                f"{path}: {size} bytes, at least {least} are needed: it was cut off; {_MEND}"
            )
        with path.open("rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError:
        raise MaskmillError(f"{path}: no such file, though {INDEX} names it; {_MEND}") from None


def sample_views(shard: np.ndarray, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, C) and mask (H, W) uint8 at `place`, without a copy."""
    height, width, channels, start, mask_start = place
    image = shard[start : start + height * width * channels].reshape(height, width, channels)
    return image, shard[mask_start : mask_start + height * width].reshape(height, width)


def damaged_files(folder: Path, names: list[str], cache: Path | None) -> list[str]:
    """Those of the shard files `names` that are missing, or whose content differs from their name.

    Files that were right before, and have not changed since by what the folder `cache` remembers,
    are not read.
    """
    memory = cache / _VERIFIED if cache else None
    known = _recall(memory)
    now = time.time_ns()
    stamps = {name: stamp(folder / name) for name in names if (folder / name).exists()}
    read = [
        name for name in stamps if known.get(str((folder / name).resolve())) != list(stamps[name])
    ]
    right = set(stamps) - set(read)
    hashes = in_order(lambda name: files.sha256(folder / name), read)
    for name, found in zip(
        read, tqdm(hashes, "check shards", len(read), unit="file", disable=None), strict=True
    ):
        if found == Path(name).stem:
            right.add(name)
    if memory and read:
        _note(
            memory,
            folder,
            {name: stamps[name] for name in sorted(right) if is_settled(stamps[name], now)},
        )
    return [name for name in names if name not in right]


def remember_files(folder: Path, names: Sequence[str], cache: Path) -> None:
    """Tell `damaged_files` of files just written, so that the first training need not read them.

    Waits for as long as a later edit would leave no trace, which is a tenth of a second.
    """
    stamps = {name: stamp(folder / name) for name in names}
    while not all(is_settled(found, time.time_ns()) for found in stamps.values()):
        time.sleep(_WAIT_S)
    if stamps:
        _note(cache / _VERIFIED, folder, stamps, keep=True)


def _note(memory: Path, folder: Path, stamps: Mapping[str, Stamp], *, keep: bool = False) -> None:
    """`keep`: beside what is known already."""
    found = {str((folder / name).resolve()): list(value) for name, value in stamps.items()}
    memory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(memory.with_suffix(".lock")):  # trainings that start together
        files.write_json(memory, (_recall(memory) if keep else {}) | found)


def verify(folder: Path, cache: Path | None) -> None:
    """Hold every shard file that the index names against its content.

    Raises: MaskmillError naming those that are missing or changed.
    """
    names = sorted(
        {
            name
            for part in in_parts(folder, ["shard"])
            for name in part["shard"].unique().to_pylist()
        }
    )
    if wrong := damaged_files(folder, names, cache):
        listed = ", ".join(str(folder / name) for name in wrong)
        raise MaskmillError(
            f"{len(wrong)} of {len(names)} shard files are missing or not what was written: "
            f"{listed}; {_MEND}"
        )


def _recall(memory: Path | None) -> dict[str, list[int]]:
    try:
        known = files.read_json(memory) if memory else {}
    except (FileNotFoundError, ValueError):  # not there, or damaged: then all are read
        return {}
    return known if isinstance(known, dict) else {}
