"""The size, times and inode of a file, which say whether it is still the file that was read."""

import os
from pathlib import Path

Stamp = tuple[int, int, int, int]  # bytes, mtime_ns, ctime_ns, inode
# clocks of file systems tick in up to 10 ms: a write in the same tick leaves no trace
_SETTLED_NS = 100_000_000


def stamp(path: str | Path) -> Stamp:
    """The stamp of the file, of what a link leads to. Raises: FileNotFoundError.

    ctime is part of it, since it alone tells of an edit whose author set mtime back (rsync -t, cp
    -p).
    """
    found = os.stat(path)  # noqa: PTH116 - of 200,000 files, where Path costs as much again
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def is_settled(before: Stamp, now_ns: int) -> bool:
    """Whether a later edit would change the stamp.

    `before` was taken at `now_ns`, before the file was read.
    """
    return max(before[1], before[2]) < now_ns - _SETTLED_NS
