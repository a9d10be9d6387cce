"""Children that end with their parent, so that a killed run leaves nothing that still writes."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

GRACE_S = (
    25.0  # for a training to end with a checkpoint; Kubernetes and Prefect kill 30 s after SIGTERM
)
# for a flow, which waits for its training and then tells Prefect's server
FLOW_GRACE_S = GRACE_S + 8.0

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_POLL_S, _SOON_S = 1.0, 0.05
_end: signal.Signals | None = None  # what this process gets when its parent is gone
RUN = "MASKMILL_RUN"  # environment: the process id of the run that a stage belongs to


def die_with_parent() -> None:
    """Have this process killed as soon as its parent is gone.

    `asked_to_end_with_parent` gives a gentler end.

    Linux's kernel does it (prctl PR_SET_PDEATHSIG); elsewhere a thread looks once a second whether
    the parent has changed, which is how Unix shows that it died. A process whose run (see `RUN`) is
    gone already ends here.
    """
    parent = os.getppid()
    _end_by(signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)
    if sys.platform != "linux":
        watch_parent(lambda: os.kill(os.getpid(), _end or signal.SIGKILL))
    run = os.environ.get(RUN)
    if run and not _alive(int(run)):
        os._exit(1)


@contextmanager
def asked_to_end_with_parent() -> Iterator[None]:
    """While this is entered, a process that loses its parent gets SIGTERM before it is killed.

    SIGKILL follows `GRACE_S` later. Nothing changes where `die_with_parent` was not called.
    """
    if _end is None:
        yield
        return

    def kill() -> None:
        time.sleep(GRACE_S)
        os.kill(os.getpid(), signal.SIGKILL)

    watch_parent(kill)
    _end_by(signal.SIGTERM)
    try:
        yield
    finally:
        _end_by(signal.SIGKILL)


def _end_by(number: signal.Signals) -> None:
    global _end  # noqa: PLW0603  a process has one
    _end = number
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def report_interrupt() -> int:
    """Say that Ctrl-C has ended a command that can be started again.

    Returns: its exit status, as a shell gives it.
    """
    print("stopped; start it again and it goes on from here", file=sys.stderr)
    return 128 + signal.SIGINT


def exit_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit(143), so that context managers exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def end_groups(*leaders: int) -> None:
    """Ask all processes of these groups to end, and kill those that remain.

    They are killed after `GRACE_S`, or when this is interrupted.
    """
    deadline = time.monotonic() + GRACE_S
    try:
        _signal_groups(leaders, signal.SIGTERM)
        while _any_in(leaders) and time.monotonic() < deadline:
            time.sleep(_SOON_S)
    finally:
        _signal_groups(leaders, signal.SIGKILL)


def _signal_groups(leaders: tuple[int, ...], number: signal.Signals) -> None:
    for leader in leaders:
        # macOS: PermissionError where only an exit status is left
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)


def _any_in(groups: tuple[int, ...]) -> bool:
    """Whether a process is left in one of the groups; a zombie that no one has reaped is none."""
    import psutil  # of all that import this module, few wait for a group

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) in groups and _is_running(process):
                return True
    return False


def wait_for_end(processes: Sequence["psutil.Process"], seconds: float) -> list["psutil.Process"]:
    """The processes that still run after so many seconds.

    One whose parent has not asked for its exit status yet counts as ended.
    """
    deadline = time.monotonic() + seconds
    while (
        left := [process for process in processes if _is_running(process)]
    ) and time.monotonic() < deadline:
        time.sleep(_SOON_S)
    return left


def _is_running(process: "psutil.Process") -> bool:
    import psutil

    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def watch_parent(act: Callable[[], None]) -> None:
    """Call `act` in a thread, once, within a second after this process has lost its parent.

    For a process that must do something first, or whose parent started it from a thread: there the
    kernel's signal comes when that thread ends.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        act()

    threading.Thread(target=watch, daemon=True).start()


def is_first_of_training() -> bool:
    """Whether this process is the first of its training, which all are that are the only one.

    It can be asked before Fabric starts the others, which run the program from its beginning: they
    find what the first did until then, and have nothing to do after the training.
    """
    return os.environ.get("LOCAL_RANK", "0") == "0"


def search_path() -> str:
    """PATH on which `python` is the one that runs this process.

    It holds where no environment is activated, too: stages start so.
    """
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and another user's
        pass
    return True
