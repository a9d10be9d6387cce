"""Start a service under a keeper, and stop it with everything that it has started."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from maskmill.services import records
from maskmill.services.catalogue import Service
from maskmill.services.keeper import GRACE_S, MAX_LOG_BYTES, SETTINGS
from maskmill.services.records import KEEPER, WORKER
from maskmill.system import files, processes
from maskmill.system.errors import MaskmillError

_TAIL_LINES = 15
_POLL_S = 0.1


def start_keeper(service: Service) -> None:
    """Start the keeper, detached from this terminal, and wait until its record is there."""
    service.log.parent.mkdir(parents=True, exist_ok=True)
    service.record.parent.mkdir(parents=True, exist_ok=True)
    if service.log.exists() and service.log.stat().st_size > MAX_LOG_BYTES // 10:
        service.log.replace(service.log.with_suffix(".log.1"))
    spec = {
        "name": service.name, "root": str(service.root), "port": service.port,
        "command": service.command, "record": str(service.record), "log": str(service.log),
    }  # fmt: skip
    with service.log.open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", KEEPER, json.dumps(spec)],
            cwd=service.root, env=service.environment | {SETTINGS: service.settings},
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    while keeper.poll() is None:
        record = records.read_record(service.record)
        if record and record.keeper == keeper.pid and record.pid:
            return
        time.sleep(_POLL_S)
    raise describe_failure(service, "its keeper ended at once")


def stop_service(path: Path) -> bool:
    """End a record's keeper, its service and all that they started; return whether any ran."""
    record = records.read_record(path)
    if record is None:  # absent, or not readable
        path.unlink(missing_ok=True)
        return False
    found = record.keeper_process or record.orphan
    if found:
        end_process(found)
    path.unlink(missing_ok=True)
    return found is not None


def end_process(process: psutil.Process) -> None:
    """Ask a process to end; kill what is left after the time that a keeper takes.

    That is what it and those below it have left.
    """
    left = _tree(process)
    with suppress(psutil.NoSuchProcess):
        process.terminate()
    left = processes.wait_for_end(left, GRACE_S + 2)
    for late in left:
        with suppress(psutil.NoSuchProcess):
            late.kill()
    processes.wait_for_end(left, 5)


def stop_all(paths: list[Path]) -> list[str]:
    """Stop what the records name, and return what ran.

    The worker comes first, so that its runs can say how they ended.
    """
    workers = [path for path in paths if path.stem == WORKER]
    servers = [path for path in paths if path.stem != WORKER]
    stopped = [path.stem for path in workers if stop_service(path)]
    with ThreadPoolExecutor() as pool:
        return stopped + [
            path.stem
            for path, ran in zip(servers, pool.map(stop_service, servers), strict=True)
            if ran
        ]


def describe_failure(service: Service, why: str) -> MaskmillError:
    """The error for a service that did not start: why, and the end of its log.

    Where no space is left on the disk, it says so instead.
    """
    if "no space left" in last_lines(service.log).lower():
        return files.DiskFullError(
            f"{service.name}: {why}, since no space was left on a disk "
            f"({files.free_mb(service.state):.0f} MB free in {service.state}); "
            "free some space and run `maskmill up` again"
        )
    return MaskmillError(
        f"{service.name}: {why}; the end of {service.log}:{last_lines(service.log)}"
    )


def last_lines(log: Path) -> str:
    """The last lines of a log, each on a line of its own."""
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:] if log.exists() else []
    return "".join(f"\n  | {line}" for line in lines)


def read_records(state: Path) -> list[Path]:
    """The records of what runs, or has run, in this workspace."""
    return sorted((state / "services").glob("*.json"))


@contextmanager
def exclusive_lock(state: Path) -> Iterator[None]:
    """One `maskmill up` or `down` at a time in a workspace."""
    lock = FileLock(state / "services" / "up.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(
            "another `maskmill up` or `maskmill down` works here; waiting for it to end", flush=True
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
