"""Writing files so that a reader never sees half of one, and reading back only what is whole."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any, BinaryIO

from maskmill.system.errors import MaskmillError

# EFBIG is how a file size limit answers, EDQUOT a quota: to a user both are "no space".
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# How libraries whose errors carry no number say it: sqlite, safetensors, servers that quote them.
_NO_SPACE_WORDS = ("No space left on device", "database or disk is full", "Disk quota exceeded")
_LIMITS = {
    errno.EFBIG: "; `ulimit -f` bounds the size of a file",
    errno.EDQUOT: "; your quota is used up",
}
_ROOM_MB = 1.0
_LONGEST = 300  # characters of another program's error


class DiskFullError(MaskmillError):
    """There was no space to finish a file; the file that it was to replace is untouched."""


@contextlib.contextmanager
def open_atomic(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` only once it is complete and on the disk.

    A `private` one is for its owner's eyes alone from the first byte on.

    Raises: DiskFullError when the space runs out; whatever stood at `path` before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # one name: what a killed writer leaves, the next one overwrites
    temporary = path.with_name(f".{path.name}.part")
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
        raise DiskFullError(
            f"no space left to write {path} ({_free(path, error)}); what stood there before is"
            " intact; free some space and run the same command again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def full_disk_in_words() -> Iterator[None]:
    """Turn an error of this block that a full disk has caused into a DiskFullError of one line.

    The error may come from any library.
    """
    try:
        yield
    except Exception as error:
        full = disk_full(error)
        if full is None or full is error:
            raise
        raise full from error


def disk_full(error: BaseException) -> DiskFullError | None:
    """What to tell a user where the error, or one that it came from, says that a disk is full.

    None where none does.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DiskFullError):
            return cause
        # of a copy: the second file
        path = (cause.filename2 or cause.filename) if isinstance(cause, OSError) else None
        numbered = isinstance(cause, OSError) and cause.errno in NO_SPACE
        if numbered and isinstance(path, str):
            return DiskFullError(
                f"no space left to write {path} ({_free(Path(path), cause)}); free some space and"
                " run the same command again"
            )
        if numbered or line_without_space(str(cause)):
            return DiskFullError(
                f"no space left on the disk ({free_mb(Path.cwd()):.0f} MB free in {Path.cwd()},"
                f" {free_mb(Path(gettempdir())):.0f} MB in {gettempdir()}); free some space and run"
                f" the same command again. It said: {line_without_space(str(cause)) or cause}"
            )
        cause = cause.__cause__ or cause.__context__
    return None


def check_room(folder: Path) -> None:
    """Check that a server's database can grow on the disk of a folder.

    Raises: DiskFullError where too little is free.
    """
    if free_mb(folder) < _ROOM_MB:
        raise DiskFullError(
            f"no space left on the disk of {folder.absolute()} ({free_mb(folder):.1f} MB free);"
            " free some space and run the same command again"
        )


def line_without_space(text: str) -> str:
    """The line of another program's output that says that a disk is full; "" where none does."""
    lines = (line.strip() for line in text.splitlines())
    return next(
        (line[:_LONGEST] for line in lines if any(words in line for words in _NO_SPACE_WORDS)), ""
    )


def free_mb(path: Path) -> float:
    """What is free on the disk of a path, or of its nearest folder that is there, in MB."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free / 1e6


def _free(path: Path, error: BaseException) -> str:
    limit = _LIMITS.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    return f"{free_mb(path):.0f} MB free on its disk{limit}"


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step."""
    with open_atomic(path) as file:
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
