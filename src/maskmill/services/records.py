"""Which process keeps a service: the file that its keeper writes, and whether it is still true."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from maskmill.system.files import open_atomic, read_json

KEEPER = "maskmill.services.keeper"
WORKER = "worker"  # the name of the service below which flows run


@dataclass(frozen=True)
class Record:
    """What a keeper says about its service."""

    name: str
    root: str
    port: int | None
    settings: str  # digest of what it was started with
    command: list[str]
    keeper: int  # process id
    pid: int  # of the service; 0 between two starts
    since: float  # s since 1970, of the last start
    restarts: int
    gave_up: bool = False

    @property
    def keeper_process(self) -> psutil.Process | None:
        """That very keeper, where it runs; another process with its id by now does not count."""
        found, command = _process(self.keeper)
        return found if _keeps(command) == (self.root, self.name) else None

    @property
    def alive(self) -> bool:
        return self.keeper_process is not None

    @property
    def orphan(self) -> psutil.Process | None:
        """The service's process, where it has outlived its keeper."""
        found, command = _process(self.pid)
        return found if command == self.command and not self.alive else None


def read_record(path: Path) -> Record | None:
    """The record in a file; None where there is none, or a killed writer's."""
    try:
        return Record(**read_json(path))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_record(path: Path, record: Record) -> None:
    """Write a record for its owner's eyes only: the digest is made from a password too."""
    with open_atomic(path, private=True) as file:
        file.write(json.dumps(asdict(record), indent=2).encode() + b"\n")


def running_keepers(root: Path) -> dict[str, psutil.Process]:
    """Service -> outer keeper, of all that run for a workspace.

    Those whose records somebody has deleted are among them.
    """
    found: dict[str, psutil.Process] = {}
    for pid in psutil.pids():
        process, command = _process(pid)
        kept = _keeps(command)
        if process and kept and kept[0] == str(root):
            found.setdefault(kept[1], process)  # the outer one has the lower number
    return found


def workspace_of_keeper(process: psutil.Process) -> str | None:
    """The workspace for which a keeper above this process works, if there is one."""
    kept = [_keeps(_process(above.pid)[1]) for above in process.parents()]
    return next((root for root, _ in filter(None, kept)), None)


def _keeps(command: list[str]) -> tuple[str, str] | None:
    """The workspace and the service of a keeper's command; None for another command."""
    if command[1:3] != ["-m", KEEPER]:
        return None
    spec = json.loads(command[-1])
    return spec["root"], spec["name"]


def _process(pid: int) -> tuple[psutil.Process | None, list[str]]:
    """A process and its command; None and nothing where there is none, or none of ours."""
    try:
        found = psutil.Process(pid) if pid else None
        return found, list(found.cmdline()) if found else []
    except psutil.Error:
        return None, []
