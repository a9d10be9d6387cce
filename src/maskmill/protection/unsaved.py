"""Files that are nowhere else: neither dvc.lock nor DVC's cache holds them."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from maskmill.settings import config
from maskmill.system import repository
from maskmill.system.errors import MaskmillError

# what a killed writer leaves, ours and DVC's; what a file manager and NFS put anywhere
_NOBODYS = re.compile(
    r"\..+\.part|.*\.[\w-]{22}\.tmp|\.DS_Store|Thumbs\.db|desktop\.ini|\.nfs[0-9a-f]+"
)
# says by its name what it holds; too large to be read each time
_SHARD = re.compile(r"[0-9a-f]{64}\.bin")
_MOST = 50  # are looked for: enough to name, soon found in a large folder


class Disk:
    """What lies on the disk, compared with lock files and DVC's cache.

    Each of them is read once it is needed.
    """

    def __init__(self, *locks: Path) -> None:
        self._locks = locks

    def unsaved(
        self, out: Path, is_written: Callable[[int], bool], *, known: bool = True
    ) -> list[Path]:
        """The files in `out`, or itself, that would be lost with it, smallest first.

        `is_written`: whether a file that was last changed at that time (ns) is the stage's own. In
        an out that is not `known` to any stage all others are the user's; else those that DVC's
        cache does not hold, of which the first 50 are looked for.
        """
        found = dict(_files(out))
        strange = [path for path, status in found.items() if not is_written(status.st_ctime_ns)]
        strange = [path for path in strange if not _SHARD.fullmatch(path.name)]
        strange.sort(key=lambda path: (found[path].st_size, path))
        if not known:
            return strange
        lost = list(itertools.islice((path for path in strange if not self.is_cached(path)), _MOST))
        return [] if lost and self._is_as_locked(out, found) else lost

    def is_locked(self, out: Path) -> bool:
        """Whether a lock file knows the path."""
        return out.as_posix() in self._entries

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        """What the lock files hold of each out, by its path."""
        stages = [stage for path in self._locks for stage in _stages(path)]
        return {out["path"]: out for stage in stages for out in stage.get("outs", ())}

    def _is_as_locked(self, out: Path, found: Mapping[Path, os.stat_result]) -> bool:
        """Whether the out is what its lock file says; sizes come first, since they cost nothing."""
        entry = self._entries.get(out.as_posix(), {})
        if entry.get("size") != sum(status.st_size for status in found.values()):
            return False
        with contextlib.suppress(PermissionError):
            if out.is_file():
                return bool(entry.get("md5") == _md5(out))
            return entry.get("nfiles") == len(found) and entry.get("md5") == _md5_of_folder(
                out, found
            )
        return False

    def is_cached(self, path: Path) -> bool:
        """Whether DVC's cache holds the file, which may be a link to it.

        A file that is gone meanwhile counts as held.
        """
        try:
            if path.is_symlink():
                return self._cache.resolve() in path.resolve().parents
            digest = _md5(path) if stat.S_ISREG(path.lstat().st_mode) else ""
        except FileNotFoundError:  # a run that works there took it away
            return True
        except PermissionError:  # what cannot be read can be no copy
            return False
        return bool(digest) and (self._cache / "files" / "md5" / digest[:2] / digest[2:]).exists()

    @cached_property
    def _cache(self) -> Path:
        return repository.cache_folder()


def _stages(lock: Path) -> list[dict[str, Any]]:
    """The stages in a lock file; none where it is not there, or was cut off by a kill."""
    try:
        content = config.read_yaml(lock)
    except (MaskmillError, UnicodeDecodeError):
        return []
    stages = content.get("stages") if isinstance(content, dict) else None
    return (
        [stage for stage in stages.values() if isinstance(stage, dict)]
        if isinstance(stages, dict)
        else []
    )


def _files(out: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """All that is no folder in the out, or the out itself.

    A run that works there meanwhile may take files away.
    """
    candidates = [out] if not out.is_dir() else []
    for folder, folders, names in os.walk(out):
        candidates += [Path(folder) / name for name in (*folders, *names)]
    for path in candidates:
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            if not stat.S_ISDIR(status.st_mode) and not _NOBODYS.fullmatch(path.name):
                yield path, status


def _md5_of_folder(folder: Path, paths: Mapping[Path, object]) -> str:
    """DVC's digest of a folder: that of the list of its files and their digests."""
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    listed = json.dumps(
        [{"md5": _md5(folder / name), "relpath": name} for name in names], sort_keys=True
    )
    return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
