"""DVC commands as processes that are ready before they are wanted, and are gone when the run is.

python -m pipelines.repro: DVC's own command, with an error of its own for a killed stage and a full
disk.

Starting Python and importing DVC takes longer than DVC needs for a stage. So the process waits for
its arguments (a line of JSON) while the one before it works.
"""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from maskmill.system import exits, quick
from maskmill.system.files import disk_full
from maskmill.system.processes import end_groups, watch_parent
from pipelines import workspace

Process = subprocess.Popen[str]
# DVC's words for it
_SKIPPED = {"Cached": "didn't change, skipping", "Restored": "is cached - skipping run"}
_NOISE = re.compile(
    r"To track the changes with git|\tgit add |To enable auto staging|\tdvc config |Use `dvc push`"
    r"|(Updating|Generating) lock file|Having any troubles\?"
)
_KILLED = re.compile(r"exited with (-\d+)$")  # DVC's words for it


class Output:
    """What a command printed: its own error, and whether DVC had to run the stage at all."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._error: list[str] = []
        self.outcome = "Completed"  # or Cached, Restored

    def line(self, line: str) -> None:
        """Take the next line, and pass it on where it says something."""
        if _NOISE.match(line):
            return
        for outcome, words in _SKIPPED.items():
            if words in line:
                self.outcome = outcome
        if line.startswith("error: ") or (self._error and not line.startswith("ERROR: ")):
            self._error.append(line.removeprefix("error: "))
        elif line.startswith("ERROR: ") and not self._error:
            # DVC's own, where the stage said nothing
            self._error.append(line.removeprefix("ERROR: "))
        self._say(line)

    @property
    def error(self) -> str:
        """In the words of the stage, else of DVC."""
        return "\n".join(self._error)


class Commands:
    """Runs DVC commands, several at a time where asked to; leaving the context ends them."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._running: set[Process] = set()
        self.stopped = False
        self._ready = self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with self._lock:
            self.stopped = True
            left = [
                process.pid for process in (*self._running, self._ready) if process.poll() is None
            ]
        end_groups(*left)

    def run(self, *arguments: str, say: Callable[[str], None]) -> tuple[int, Output]:
        """Run `dvc ARGUMENTS`; give the exit status and what was printed.

        Each printed line is given to `say` at once.
        """
        output = Output(say)
        with self._lock:
            if self.stopped:
                return -signal.SIGTERM, output
            process, self._ready = self._ready, self._start()
            self._running.add(process)
        assert process.stdin
        assert process.stdout
        with process:
            with suppress(BrokenPipeError):  # it was killed before; its status says so
                process.stdin.write(json.dumps(arguments) + "\n")
                process.stdin.close()
            for line in process.stdout:
                if line.strip():
                    output.line(line.rstrip())
        with self._lock:
            self._running.remove(process)
        return process.returncode, output

    @staticmethod
    def _start() -> Process:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.repro"],
            env=workspace.dvc_environment() | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )


class PlainErrors(logging.Filter):
    """Puts DVC's error into a user's words, for a killed stage or a full disk.

    Of a killed stage DVC says `exited with -9`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kills = exits.memory_kills()

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error and (words := self._killed(error) or disk_full(error)):
            record.msg, record.args, record.exc_info = str(words), (), None
        return True

    def _killed(self, error: BaseException) -> str:
        """Which stage was killed, by what, and how to go on; "" where none was."""
        cause = error.__cause__
        found = _KILLED.search(str(cause))
        if cause is None or found is None:
            return ""
        stage = str(error).partition("'")[2].rstrip("'")  # failed to reproduce 'train@unet'
        return f"{stage} {exits.describe_exit(int(found[1]), self._kills)}. {exits.GO_ON}"


def main() -> int:
    """DVC's exit status; 0 where no command is wanted any more."""
    watch_parent(lambda: os.killpg(0, signal.SIGTERM))
    with quick.imports_without_gc():
        from dvc.cli import main as dvc
        from dvc.commands import repro  # what `dvc repro` imports late

        assert repro
    wanted = json.loads(sys.stdin.readline() or "[]")
    logging.getLogger("dvc.cli").addFilter(PlainErrors())  # it counts from now on
    return int(dvc(wanted)) if wanted else 0


if __name__ == "__main__":
    quick.exit_at_once(main())
