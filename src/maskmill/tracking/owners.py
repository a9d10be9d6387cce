"""The process that a training runs in, told apart from a later one with the same process id."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat after the command's name


@dataclass(frozen=True)
class Owner:
    """Where a process runs, its number, and when it was born."""

    host: str
    pid: int
    born: str

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process of this host."""
        return self.host == _host()

    @property
    def gone(self) -> bool:
        """Whether it is certain that it ended; of a process on another host nothing is certain."""
        return self.here and self.born != _start_time(self.pid)


def this_process() -> Owner:
    """This process."""
    return Owner(_host(), os.getpid(), _start_time(os.getpid()))


def _host() -> str:
    """The machine's name and, on Linux, the namespace of its process ids.

    Two containers may share a name.
    """
    namespace = Path("/proc/self/ns/pid")
    return (
        f"{platform.node()} {namespace.readlink()}" if sys.platform == "linux" else platform.node()
    )


def _start_time(pid: int) -> str:
    """When the process started; "" where there is none, or only its exit status is left."""
    if sys.platform != "linux":
        shown = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return shown.stdout.strip()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "" if fields[_STATE] in "ZX" else f"{fields[_STARTED]} ticks after boot {boot}"
