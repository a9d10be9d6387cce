"""Children that die with their parent, so that a killed run leaves nothing behind that still writes."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_POLL_S = 1.0
RUN = "MASKMILL_RUN"  # environment: the process id of the run that a stage belongs to


def die_with_parent() -> None:
    """Have this process killed as soon as its parent is gone.

    Linux's kernel does it (prctl PR_SET_PDEATHSIG); elsewhere a thread looks once a second whether the parent
    has changed, which is how Unix shows that it died. A process whose run (see `RUN`) is gone already ends here.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)
    else:
        watch_parent(lambda: os._exit(1))
    run = os.environ.get(RUN)
    if run and not _alive(int(run)):
        os._exit(1)


def watch_parent(act: Callable[[], None]) -> None:
    """Call `act` in a thread, once, within a second after this process has lost its parent.

    For a process that must do something first, or whose parent started it from a thread: there the kernel's signal
    comes when that thread ends.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
        act()

    threading.Thread(target=watch, daemon=True).start()


def search_path() -> str:
    """PATH on which `python` is the one that this runs in, also where no environment is activated: stages start so."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def cores() -> int:
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
