"""What every run of the line keeps to, whoever starts it.

One run works at a time, what a kill left is mended first, and an error puts the outs back.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from maskmill.protection.outs import check_outs
from maskmill.settings import config
from maskmill.system import exits
from maskmill.system.errors import MaskmillError
from maskmill.system.files import check_room, write_bytes
from maskmill.system.processes import RUN, die_with_parent, end_groups, search_path

Say = Callable[[str], None]
LOCK = Path("dvc.lock")


def run_dvc(*arguments: str) -> int:
    """Run DVC; its exit status, or what a shell gives for a DVC that was killed, which is said."""
    with Dvc() as ahead:
        return ahead.run(*arguments)


class Dvc:
    """A DVC that imports beside other work and then runs one command.

    It is in a process group of its own, which is ended whole when this process ends, the context is
    left or DVC is killed.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.repro"],
            stdin=subprocess.PIPE,
            text=True,
            env=dvc_environment(),
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )
        return self

    def run(self, *arguments: str) -> int:
        """DVC's exit status, or what a shell gives for a DVC that was killed, which is said."""
        kills = exits.memory_kills()
        with suppress(BrokenPipeError):  # it was killed before
            self._process.communicate(json.dumps(arguments))
        code = self._process.wait()
        if code < 0:
            print(f"error: DVC {exits.describe_exit(code, kills)}. {exits.GO_ON}", file=sys.stderr)
            return 128 - code
        return code

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._process.poll() is None or self._process.returncode < 0:
            end_groups(self._process.pid)
            self._process.wait()


def dvc_environment() -> dict[str, str]:
    """What DVC and its stages run in."""
    return {**os.environ, "PATH": search_path(), RUN: str(os.getpid())}


class Question:
    """A Python module that is run beside other work, since it imports for seconds."""

    def __init__(self, *command: str) -> None:
        self._asked = " ".join(command)
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> str:
        """What the command printed.

        Raises: MaskmillError with what it printed as error, or the signal that killed it.
        """
        out, error = self._process.communicate()
        if code := self._process.returncode:
            said = error.strip().removeprefix("error: ")
            raise MaskmillError(said or f"{self._asked} {exits.describe_exit(code)}")
        return out.strip()


@cache
def registry_question(*command: str) -> Question:
    """The question as this process has first asked it: whoever can, asks early."""
    return Question(*command)


def run_lock(state: Path, timeout_s: float = -1) -> FileLock:
    """The lock that a run holds as long as it works in this repository.

    Taking it waits for `timeout_s`; by default for as long as it takes.
    """
    return FileLock(state / "pipeline.lock", timeout=timeout_s)


@contextmanager
def exclusive_lock(state: Path, say: Say) -> Iterator[None]:
    """Wait until no other run works in this repository.

    Raises: DiskFullError where there is no room to work in.
    """
    check_room(state)
    state.mkdir(parents=True, exist_ok=True)
    lock = run_lock(state)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another run works in this repository; waiting for it to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def mend_after_kill(say: Say) -> None:
    """Put aside what a killed DVC may leave half-written.

    DVC's cache of runs restores what is lost thereby.
    """
    for path, readable in ((LOCK, _is_lock), (Path(".dvc/tmp/rwlock"), _is_json)):
        if path.exists() and not readable(path):
            aside = path.with_name(f"{path.name}.broken")
            path.replace(aside)
            say(f"{path} was cut off by a kill; put aside as {aside}")


def read_lock_file() -> bytes:
    """dvc.lock as it is now; empty where there is none."""
    return LOCK.read_bytes() if LOCK.exists() else b""


def put_back(lock: bytes, run: Callable[..., int] = run_dvc) -> str:
    """Bring back dvc.lock and the outs of all stages as they were, and say so.

    The user's own data/source is never touched.

    What ran well before the failure is in DVC's cache of runs: the next run takes it from there.
    Where the user has changed an out meanwhile, all stays as it is.
    """
    try:
        params = config.load()
    except MaskmillError as error:
        return f"the pipeline stopped; nothing was put back, since it is not known where: {error}"
    try:
        check_outs(params)
    except MaskmillError as error:
        return (
            "the pipeline stopped; nothing was put back, since that would lose changes of yours:"
            f" {error}"
        )
    if lock and read_lock_file() != lock:  # on a full disk even the same bytes could not be written
        write_bytes(LOCK, lock)
    if run("checkout", "--quiet", "--force", "dvc.yaml") == 0:
        return "the pipeline stopped; what stood on disk before is back in place"
    return "the pipeline stopped; `dvc checkout dvc.yaml` says which outs are missing"


def _is_lock(path: Path) -> bool:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe", pure=True).load(path))
    except (YAMLError, UnicodeDecodeError, Invalid):
        return False
    return True


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text()), dict)
    except ValueError:
        return False
