"""The flow runs that go on in a workspace, whoever has started them."""

from contextlib import suppress
from pathlib import Path

import psutil

from maskmill.services.keeper import GRACE_S
from maskmill.system import processes

_KILLED_S = 5.0  # the kernel needs that long at the most to end what is killed
_BY_HAND = ("pipelines",)  # python -m MODULE: what `make flow` runs ..
_BY_WORKER = ("prefect.engine", "prefect.flow_engine")  # .. and what Prefect's worker does


def by_hand(root: Path) -> list[psutil.Process]:
    """The processes of `make flow`, which are below no worker."""
    return _running(_BY_HAND, root)


def by_worker(root: Path) -> list[psutil.Process]:
    """The processes of the flow runs that the worker has started."""
    return _running(_BY_WORKER, root)


def end_flow_run(process: psutil.Process) -> None:
    """Ask a flow run's process to end; kill it where it takes longer than its trainings may.

    What it has started ends with it, but for the servers, which may be its children: `make flow`
    starts them.
    """
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        if processes.wait_for_end([process], GRACE_S):
            process.kill()
            processes.wait_for_end([process], _KILLED_S)


def _running(modules: tuple[str, ...], root: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            flag, module = process.cmdline()[1:3]
            if flag == "-m" and module in modules and process.cwd() == str(root):
                found.append(process)
        except (psutil.Error, OSError, ValueError):  # gone, another user's, or with fewer arguments
            continue
    return found
