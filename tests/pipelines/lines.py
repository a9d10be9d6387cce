"""One finished line for a whole run of the tests, and copies of it that stand on their own."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

SAID = "said.txt"


def make_once(tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], str]) -> Path:
    """The folder that `make` has filled, with what it gave in SAID.

    The other processes of the tests wait for it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with FileLock(f"{folder}.lock"):
        if not (folder / SAID).exists():
            assert not folder.exists(), (
                "another process of the tests has failed to make the line; see there"
            )
            folder.mkdir()
            said = make(folder)
            (folder / SAID).write_text(said)
    return folder


def copy_repository(line: Path, to: Path) -> None:
    """Copy a repository whose line has run, and tell its store of the new place.

    DVC's cache is linked; other files are copied, since databases and logs are written where they
    are.
    """
    cache = line / ".dvc/cache"

    def place(source: str, target: str) -> None:  # nobody writes into a file of the cache
        (os.link if Path(source).is_relative_to(cache) else shutil.copy2)(source, target)

    shutil.copytree(line, to, symlinks=True, copy_function=place)
    for path in (to / ".maskmill/mlflow/artifacts").rglob("MLmodel"):
        path.write_text(path.read_text().replace(str(line), str(to)))
    with closing(sqlite3.connect(to / ".maskmill/mlflow/mlflow.db")) as store, store:
        for (table,) in store.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall():
            for _, column, *_ in store.execute(f"PRAGMA table_info({table})").fetchall():
                store.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?1, ?2) WHERE"
                    f" instr({column}, ?1)",
                    (str(line), str(to)),
                )


def running_in(root: Path) -> list[int]:
    """Processes whose working folder is the workspace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").readlink() == root and b"zombie" not in (
                    entry / "status"
                ).read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_until_nothing_runs_in(root: Path, seconds: float = 120) -> list[int]:
    """What still runs there after so long; what tells MLflow of a training lives longer."""
    deadline = time.monotonic() + seconds
    while running_in(root) and time.monotonic() < deadline:
        time.sleep(0.1)
    return running_in(root)
