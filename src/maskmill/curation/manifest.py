"""The table of all pairs, one row each: what validation, splits and everything after it read."""

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from maskmill.curation import describe
from maskmill.curation.describe import Described
from maskmill.curation.duplicates.views import THUMBNAIL_PX
from maskmill.curation.manifest_cache import Cache, open_cache
from maskmill.images import decode, labels
from maskmill.settings.config import Data
from maskmill.system import files
from maskmill.system.parallel import in_order
from maskmill.system.stamps import Stamp, is_settled, stamp

_log = logging.getLogger(__name__)

_INDEX = ("id", "image", "mask", "group", "sequence", "order", "given_split")
_COLUMNS = (
    *_INDEX, "format", "height", "width", "channels", "dtype",
    "image_orientation", "mask_orientation", "bytes",
    "sha256_file", "sha256_mask_file", "sha256_pixels", "sha256_mask", "phash", "mean", "std",
    "mask_height", "mask_width", "ignored_px", "unknown_px", "unknown_ids",
)  # fmt: skip
SPLIT_COLUMNS = ("fold", "split", "clean")
_SIDES = ("image", "mask")
_BATCH = 8  # files that a thread takes at once: to hand over each costs a tenth of a millisecond


def columns(classes: Sequence[str]) -> list[str]:
    """What the manifest says of each pair, before `split` adds SPLIT_COLUMNS."""
    return [*_COLUMNS, *(f"px_{name}" for name in classes), "error"]


def build(
    index: pd.DataFrame, data: Data, cache: Path | None, workers: int | None = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Describe every pair of the index, sorted by id.

    The index has the columns id, image, mask, group, sequence, order and split. A file whose
    description is in the folder `cache`, and which has not changed since, is not read.

    Columns: id, image, mask (paths, None where absent), group, sequence, order, given_split,
        format, height, width, channels (as decoded), dtype (in the file), image_orientation,
        mask_orientation (EXIF, 1..8), bytes, sha256_file, sha256_mask_file, sha256_pixels,
        sha256_mask, phash (16 hexadecimal digits), mean, std (of the image, 0..255), mask_height,
        mask_width, ignored_px, unknown_px, unknown_ids, px_<class>, error (None where all could be
        read).
    Returns: the table; the images' thumbnails (N, 64, 64) uint8 in its order, zeros where there is
        none.
    """
    table = _Table(index, data)
    with open_cache(cache) as kept:
        sides = list(table.files(data))
        changed = [file for file in sides if not _recall(table, file, kept)]
        if len(changed) < len(sides):
            _log.info(
                f"manifest: {len(sides) - len(changed)} of {len(sides)} files have not changed and"
                " are not read"
            )
        batches = [changed[start : start + _BATCH] for start in range(0, len(changed), _BATCH)]
        results = in_order(
            lambda batch: [_describe(file, data) for file in batch], batches, workers=workers
        )
        bar = tqdm(total=len(changed), desc="manifest", unit="file", disable=None)
        for batch, found in zip(batches, results, strict=True):
            for file, described in zip(batch, found, strict=True):
                table.fill(file, described)
                if kept and file.stamp and describe.was_read(described):
                    kept.put(file.path, file.side, file.version, file.stamp, described)
            bar.update(len(batch))
        bar.close()
        if kept:
            kept.keep_only({file.path for file in sides})
    return table.frame(), table.thumbnails


def read(path: Path) -> pd.DataFrame:
    """The manifest that `write` wrote."""
    return pd.read_parquet(path)


def class_pixels(path: Path, split: str, classes: Sequence[str]) -> np.ndarray:
    """Count the pixels of each class in each sample of a split, in order of id.

    Shape: (N, K) int64. Little else of the file is held in memory.
    """
    counts = [f"px_{name}" for name in classes]
    with pq.ParquetFile(path) as file:
        parts = [
            part.filter(pc.field("split") == split)
            for part in file.iter_batches(columns=["id", "split", *counts])
        ]
    rows = pa.Table.from_batches(parts).sort_by("id")
    return np.stack([rows[name].to_numpy().astype(np.int64) for name in counts], axis=1)


def write(path: Path, table: pd.DataFrame) -> None:
    """Write the manifest as parquet in one step."""
    with files.open_atomic(path) as file:
        table.to_parquet(file, index=False)


def split_digest(table: pd.DataFrame, split: str) -> str:
    """Return the SHA-256 over the pixels of one split's images and masks.

    Two models compare only where it is equal.
    """
    rows = table[table["split"] == split].sort_values("id")
    lines: Sequence[str] = (rows["id"] + rows["sha256_pixels"] + rows["sha256_mask"]).tolist()
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_image(row: Mapping[str, Any], data: Data) -> np.ndarray:
    """The image of a row, (H, W, C) uint8. Raises: DecodeError."""
    return decode.image(Path(row["image"]), data.in_channels, data.decoding)


def pair_reader(
    table: pd.DataFrame, data: Data
) -> Callable[[str], tuple[np.ndarray | None, np.ndarray | None]]:
    """Return a function that reads a pair by its id.

    It gives image (H, W, C) and mask (H, W) ids, None for what cannot be read. A mask is read also
    where some of its values have no meaning.
    """
    sides = table.drop_duplicates("id").set_index("id")[list(_SIDES)].fillna("").to_dict("index")

    def read_pair(name: str) -> tuple[np.ndarray | None, np.ndarray | None]:
        image = mask = None
        with suppress(decode.DecodeError):
            image = read_image(sides[name], data) if sides[name]["image"] else None
        with suppress(decode.DecodeError):
            mask = (
                labels.class_ids(labels.stored_values(Path(side), data), data).pixels
                if (side := sides[name]["mask"])
                else None
            )
        return image, mask

    return read_pair


class _File(NamedTuple):
    """One side of the pair that stands in `row`."""

    row: int
    side: str
    path: str
    version: str  # of settings and code
    stamp: Stamp | None  # None: it is not there, or too fresh for its description to be kept


class _Table:
    """Rows in order of id, filled side by side in any order."""

    def __init__(self, index: pd.DataFrame, data: Data) -> None:
        self._columns = columns(data.classes)
        self._place = {name: i for i, name in enumerate(self._columns)}
        pairs = index.rename(columns={"split": "given_split"}).sort_values("id", kind="stable")
        empty = [None] * (len(self._columns) - len(_INDEX))
        self._rows = [
            [*known, *empty] for known in pairs[list(_INDEX)].itertuples(index=False, name=None)
        ]
        for row in self._rows:
            row[1:3] = (path if isinstance(path, str) and path else None for path in row[1:3])
        self._errors: dict[int, dict[str, str]] = defaultdict(dict)
        self.thumbnails = np.zeros((len(self._rows), THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)

    def files(self, data: Data) -> Iterator[_File]:
        """Every file that is named, and its stamp."""
        versions = dict(zip(_SIDES, describe.description_versions(data), strict=True))
        for i, row in enumerate(self._rows):
            for side in _SIDES:
                if path := row[self._place[side]]:
                    yield _File(i, side, path, versions[side], _stamp(path))

    def fill(self, file: _File, described: Described) -> None:
        """Enter what a file's description says."""
        values, small = described
        for name, value in values.items():
            if name == "error":
                self._errors[file.row][file.side] = value
            else:
                self._rows[file.row][self._place[name]] = value
        if small is not None:
            self.thumbnails[file.row] = small

    def frame(self) -> pd.DataFrame:
        """The table as it stands."""
        for i, told in self._errors.items():
            self._rows[i][-1] = "; ".join(told[side] for side in _SIDES if side in told)
        return pd.DataFrame(self._rows, columns=self._columns)


def _stamp(path: str) -> Stamp | None:
    now = time.time_ns()
    try:
        found = stamp(path)
    except OSError:
        return None
    return found if is_settled(found, now) else None


def _recall(table: _Table, file: _File, cache: Cache | None) -> bool:
    """Whether the cache knew the file."""
    known = (
        cache.get(file.path, file.side, file.version, file.stamp) if cache and file.stamp else None
    )
    if known:
        table.fill(file, known)
    return known is not None


def _describe(file: _File, data: Data) -> Described:
    return (
        describe.describe_image(file.path, data)
        if file.side == "image"
        else describe.describe_mask(file.path, data)
    )
