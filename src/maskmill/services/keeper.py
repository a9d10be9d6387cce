"""python -m maskmill.services.keeper SPEC: keep one service running, and leave nothing behind.

The keeper starts the service again when it dies.

There are two processes, an outer and an inner one; the service is a child of the inner one. Both
adopt what lies below them when its parent dies, so whichever of the three is killed, the ones that
are left end everything else: process groups would not do, since Prefect puts each flow run into a
session of its own.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import psutil

from maskmill.services import records
from maskmill.system import processes

# environment: a digest that a password is part of, which a command line would show
SETTINGS = "MASKMILL_SETTINGS"
_SERVER_S = 8.0  # between being asked to end and being killed
# for a worker, whose flow run may wait for the checkpoint of a training
GRACE_S = processes.FLOW_GRACE_S + 2.0
RESTARTS, WITHIN_S = 5, 300.0  # then it gives up
MAX_LOG_BYTES = 10_000_000
_POLL_S = 0.25
_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def main(spec: dict[str, Any]) -> NoReturn:
    """Split into outer and inner process."""
    _become_subreaper()
    outer = os.getpid()
    inner = os.fork()
    if inner == 0:
        os.setsid()  # a kill of the outer one's group leaves it alive to clean up
        _become_subreaper()
        _keep_running(spec, outer)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(inner, signal.SIGTERM))
    while inner not in (ended := _collect_ended_children()):
        time.sleep(_POLL_S)
    end_all_below(0)
    sys.exit(ended[inner])


def _keep_running(spec: dict[str, Any], outer: int) -> NoReturn:
    """Run the service until somebody stops it, the outer process is gone, or it died too often."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    path, log = Path(spec.pop("record")), Path(spec.pop("log"))
    settings = os.environ.pop(SETTINGS)
    record = records.Record(
        **spec, settings=settings, keeper=outer, pid=0, since=time.time(), restarts=0
    )
    records.write_record(path, record)
    grace_s = GRACE_S if record.name == records.WORKER else _SERVER_S
    deaths: list[float] = []
    try:
        while True:
            process = subprocess.Popen(record.command, start_new_session=True)
            record = replace(record, pid=process.pid, since=time.time())
            records.write_record(path, record)
            _say(f"{record.name} started as process {process.pid}")
            process.returncode = _wait_for_service(process.pid, outer, log)
            end_all_below(grace_s)
            now = time.time()
            deaths = [*(t for t in deaths if now - t < WITHIN_S), now]
            record = replace(
                record, pid=0, restarts=record.restarts + 1, gave_up=len(deaths) > RESTARTS
            )
            records.write_record(path, record)
            _say(f"{record.name} ended with status {process.returncode}")
            if record.gave_up:
                _say(f"gave up: {RESTARTS} restarts within {WITHIN_S:.0f} s were of no use")
                sys.exit(1)
            again = time.monotonic() + 2.0 ** (len(deaths) - 1)
            while time.monotonic() < again:
                _sleep_unless_orphaned(outer)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_all_below(grace_s, record.pid)
        if not record.gave_up:
            path.unlink(missing_ok=True)


def _wait_for_service(service: int, outer: int, log: Path) -> int:
    """The exit status of the service, once it has ended."""
    while service not in (ended := _collect_ended_children()):
        if os.fstat(1).st_size > MAX_LOG_BYTES:
            if log.exists():
                shutil.copyfile(log, log.with_suffix(".log.1"))
            os.ftruncate(1, 0)
        _sleep_unless_orphaned(outer)
    return ended[service]


def _sleep_unless_orphaned(outer: int) -> None:
    """Sleep for a moment, or end with the outer process."""
    if os.getppid() != outer:
        _say("the outer keeper was killed; stopping")
        sys.exit(1)
    time.sleep(_POLL_S)


def end_all_below(grace_s: float, service: int = 0) -> None:
    """Ask every process below this one to end, and kill what is left after `grace_s`.

    Those below `service` are asked first, it itself when they are gone or half the time is: a
    worker's flow runs tell Prefect then how they ended.
    """
    began = time.monotonic()
    asked: set[psutil.Process] = set()
    while below := _processes_below(os.getpid(), recursive=True):
        waited = time.monotonic() - began
        if waited > grace_s:
            wanted, sent, asked = below, signal.SIGKILL, set()
        else:
            first = _processes_below(service) if service and waited < grace_s / 2 else set()
            wanted, sent = first or _processes_below(os.getpid()), signal.SIGTERM
        for process in wanted - asked:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(sent)
        asked |= wanted
        time.sleep(0.05)


def _processes_below(pid: int, *, recursive: bool = False) -> set[psutil.Process]:
    _collect_ended_children()
    with suppress(psutil.NoSuchProcess):
        return set(psutil.Process(pid).children(recursive=recursive))
    return set()


def _collect_ended_children() -> dict[int, int]:
    """Process id -> exit status of the children, adopted ones too, that have ended."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def _become_subreaper() -> None:
    """Become the parent of what lies below this process and loses its own; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _say(message: str) -> None:
    print(f"[keeper {time.strftime('%Y-%m-%d %H:%M:%S')}] {message}", flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
