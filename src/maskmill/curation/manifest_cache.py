"""Keep descriptions of unchanged files in one SQLite file, so that they are not read again.

A description is found by path, side, stamp (size, times, inode) and the digest of settings and
code. Whatever is wrong with the file itself costs time, never truth: it is put aside, and all is
described anew.
"""

import contextlib
import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from maskmill.curation.describe import Described
from maskmill.curation.duplicates.views import THUMBNAIL_PX
from maskmill.system.files import DiskFullError
from maskmill.system.stamps import Stamp

_log = logging.getLogger(__name__)

R = TypeVar("R")

_NAME = "manifest-1.sqlite"  # another table gets another number
_COMMIT_S = 2.0  # what a killed run loses at most
_TABLE = (
    "CREATE TABLE IF NOT EXISTS described"
    " (path TEXT, side TEXT, version TEXT, size INT, mtime INT, ctime INT, inode INT,"
    " columns TEXT, thumbnail BLOB, checksum INT, PRIMARY KEY (path, side)) WITHOUT ROWID"
)
_FIND = (
    "SELECT columns, thumbnail, checksum FROM described"
    " WHERE path = ? AND side = ? AND version = ?"
    " AND size = ? AND mtime = ? AND ctime = ? AND inode = ?"
)


class Cache:
    """Descriptions by file. Use `open_cache`, which closes it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        folder.mkdir(parents=True, exist_ok=True)
        self._committed = time.monotonic()
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._renew(error)

    def get(self, path: str, side: str, version: str, stamp: Stamp) -> Described | None:
        """What was put for this very file; None where there is nothing, or nothing sound."""
        row = self._try(
            lambda: self._database.execute(_FIND, (path, side, version, *stamp)).fetchone()
        )
        if row is None or row[2] != _checksum(path, row[0], row[1]):
            return None
        small = (
            None
            if row[1] is None
            else np.frombuffer(row[1], np.uint8).reshape(THUMBNAIL_PX, THUMBNAIL_PX)
        )
        return json.loads(row[0]), small

    def put(self, path: str, side: str, version: str, stamp: Stamp, described: Described) -> None:
        """Keep a description; it is on the disk a few seconds later."""
        columns, small = (
            json.dumps(described[0]),
            None if described[1] is None else described[1].tobytes(),
        )
        row = (path, side, version, *stamp, columns, small, _checksum(path, columns, small))
        self._try(
            lambda: self._database.execute(
                f"INSERT OR REPLACE INTO described VALUES ({'?, ' * 9}?)",  # noqa: S608
                row,
            )
        )
        if time.monotonic() - self._committed > _COMMIT_S:
            self._try(self._database.commit)
            self._committed = time.monotonic()

    def keep_only(self, paths: set[str]) -> None:
        """Forget files that no pair names any more."""
        rows = (
            self._try(lambda: self._database.execute("SELECT path FROM described").fetchall()) or []
        )
        gone = [(path,) for (path,) in rows if path not in paths]
        self._try(lambda: self._database.executemany("DELETE FROM described WHERE path = ?", gone))

    def close(self) -> None:
        """Write what is still in memory."""
        self._try(self._database.commit)
        self._database.close()

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, timeout=60)
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_TABLE)

    def _try(self, act: Callable[[], R]) -> R | None:
        try:
            return act()
        except sqlite3.DatabaseError as error:
            self._renew(error)
            return None

    def _renew(self, error: sqlite3.DatabaseError) -> None:
        """Put a damaged file aside and start with an empty one. Raises: what is no damage."""
        if "full" in str(error):
            raise DiskFullError(
                f"no space left to write {self._path}; free some and run the same command again"
            )
        if isinstance(error, sqlite3.OperationalError):
            raise error
        with contextlib.suppress(AttributeError, sqlite3.DatabaseError):
            self._database.close()
        _log.info(
            f"{self._path}: damaged ({error}); put aside as {_NAME}.damaged, all files are read"
            " anew"
        )
        self._path.replace(self._path.with_name(f"{_NAME}.damaged"))
        self._path.with_name(f"{_NAME}-journal").unlink(missing_ok=True)
        self._open()


@contextlib.contextmanager
def open_cache(folder: Path | None) -> Iterator["Cache | None"]:
    """The cache in `folder`; None where there is no folder."""
    cache = Cache(folder) if folder else None
    try:
        yield cache
    finally:
        if cache:
            cache.close()


def _checksum(path: str, columns: str, thumbnail: bytes | None) -> int:
    """SQLite itself does not notice a flipped bit in a value."""
    return zlib.crc32(f"{path}\0{columns}".encode() + (thumbnail or b""))
