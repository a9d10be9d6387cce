"""Writing files so that a reader never sees half of one, and reading back only what is whole."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from maskmill.errors import MaskmillError

# EFBIG is how a file size limit answers, EDQUOT a quota: to a user both are "no space".
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskFullError(MaskmillError):
    """There was no space to finish a file; the file that it was to replace is untouched."""


@contextlib.contextmanager
def atomic(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` only once it is complete and on the disk.

    A `private` one is for its owner's eyes alone from the first byte on.

    Raises: DiskFullError when the space runs out; whatever stood at `path` before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")  # one name: what a killed writer leaves, the next one overwrites
    try:
        with temporary.open("wb") as file:
            if private:
                os.fchmod(file.fileno(), 0o600)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _fsync_folder(path.parent)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        free_mb = shutil.disk_usage(path.parent).free / 1e6
        raise DiskFullError(
            f"no space left to write {path} ({free_mb:.0f} MB free on its disk); what stood there before is intact; "
            "free some space and run the same command again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step."""
    with atomic(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path` in one step."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` in one step; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in `path`."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
