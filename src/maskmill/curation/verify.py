"""Check that the files on the disk are those that the models were made from.

Every byte is read again.
"""

import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from maskmill.curation import manifest
from maskmill.samples import shards
from maskmill.system import files
from maskmill.system.errors import MaskmillError, few_of
from maskmill.system.parallel import in_order

_SHOWN = 20  # files named in the message


class _Recorded(NamedTuple):
    path: str
    sha256: str | None  # None: it could not be read then


def verify(prepared: Path, workers: int | None = None) -> None:
    """Check source files against `prepared`/manifest.parquet, and shards against their names.

    It says so when all is well.

    Raises: MaskmillError naming what is missing or changed.
    """
    path = prepared / "manifest.parquet"
    if not path.exists():
        raise MaskmillError(
            f"{path}: no such file; there is nothing to hold the data against yet:"
            " run `make pipeline`"
        )
    start = time.perf_counter()
    recorded = _recorded(manifest.read(path))
    problems, read = _compare(recorded, workers)
    folder = prepared / "shards"
    try:
        shards.verify(folder, None)
    except MaskmillError as error:
        problems.append(str(error))
    if problems:
        raise MaskmillError("\n".join(problems))
    packed = [file.stat().st_size for file in folder.glob("*.bin")]
    seconds = time.perf_counter() - start
    total_mb = (read + sum(packed)) / 1e6
    print(
        f"verify: {len(recorded)} files and {len(packed)} shards are as they were;"
        f" {total_mb:,.0f} MB read in {seconds:.1f} s, {total_mb / seconds:,.0f} MB/s"
    )


def _recorded(table: pd.DataFrame) -> list[_Recorded]:
    """Every file once, in the manifest's order."""
    sides = {"image": "sha256_file", "mask": "sha256_mask_file"}
    rows = [
        pair
        for side, digest in sides.items()
        for pair in zip(table[side], table[digest], strict=True)
    ]
    known = {
        path: digest if isinstance(digest, str) else None
        for path, digest in rows
        if isinstance(path, str)
    }
    return [_Recorded(path, digest) for path, digest in known.items()]


def _compare(recorded: list[_Recorded], workers: int | None) -> tuple[list[str], int]:
    """What is wrong, and how many bytes were read."""
    missing, changed, read = [], [], 0
    bar = tqdm(
        in_order(_digest, recorded, workers=workers),
        "verify",
        len(recorded),
        unit="file",
        disable=None,
    )
    for file, (found, size) in zip(recorded, bar, strict=True):
        read += size
        if found is None:
            missing.append(file.path)
        elif found != file.sha256:
            changed.append(file.path)
    out = (
        "get them back (files under DVC: `dvc checkout`, `dvc pull`),"
        " or `make pipeline` takes the data as it is now"
    )
    kinds = (("are missing", missing), ("have changed since `validate` read them", changed))
    return [
        f"{len(found)} of {len(recorded)} files {kind}: {few_of(found, _SHOWN)}; {out}"
        for kind, found in kinds
        if found
    ], read


def _digest(file: _Recorded) -> tuple[str | None, int]:
    """The digest of a file's bytes, and how many they are; None where they cannot be read."""
    path = Path(file.path)
    try:
        return files.sha256(path), path.stat().st_size
    except OSError:
        return None, 0
