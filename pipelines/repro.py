"""DVC commands as processes that are ready before they are wanted, and are gone when the run is.

Starting Python and importing DVC takes longer than DVC needs for a stage. So a process waits for its arguments (a line
of JSON) while the one before it works: that is what `python -m pipelines.repro` is.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from maskmill.processes import end_groups, watch_parent
from pipelines import workspace

Process = subprocess.Popen[str]
_SKIPPED = {"Cached": "didn't change, skipping", "Restored": "is cached - skipping run"}  # DVC's words for it
_NOISE = re.compile(
    r"To track the changes with git|\tgit add |To enable auto staging|\tdvc config |Use `dvc push`"
    r"|(Updating|Generating) lock file"
)


class Output:
    """What a command printed: its own error, and whether DVC had to run the stage at all."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._error: list[str] = []
        self.outcome = "Completed"  # or Cached, Restored

    def line(self, line: str) -> None:
        """Take the next line, and pass it on where it says something."""
        for outcome, words in _SKIPPED.items():
            if words in line:
                self.outcome = outcome
        if line.startswith("error: ") or (self._error and not line.startswith("ERROR: ")):
            self._error.append(line.removeprefix("error: "))
        elif line.startswith("ERROR: ") and not self._error:  # DVC's own, where the stage said nothing
            self._error.append(line.removeprefix("ERROR: "))
        if not _NOISE.match(line):
            self._say(line)

    @property
    def error(self) -> str:
        """In the words of the stage, else of DVC."""
        return "\n".join(self._error)


class Commands:
    """Runs DVC commands, several at a time where asked to; leaving the context ends those that still run."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._running: set[Process] = set()
        self.stopped = False
        self._ready = self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self.stopped = True
            left = [process.pid for process in (*self._running, self._ready) if process.poll() is None]
        end_groups(*left)

    def run(self, *arguments: str, say: Callable[[str], None]) -> tuple[int, Output]:
        """The exit status of `dvc ARGUMENTS` and what was printed, each line of which is given to `say` at once."""
        output = Output(say)
        with self._lock:
            if self.stopped:
                return -signal.SIGKILL, output
            process, self._ready = self._ready, self._start()
            self._running.add(process)
        assert process.stdin
        assert process.stdout
        with process:
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
            env=workspace.environment() | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )


def main() -> int:
    """DVC's exit status; 0 where no command is wanted any more."""
    watch_parent(lambda: os.killpg(0, signal.SIGTERM))
    from dvc.cli import main as dvc
    from dvc.commands import repro  # what `dvc repro` imports late

    assert repro
    line = sys.stdin.readline()
    return int(dvc(json.loads(line))) if line else 0


if __name__ == "__main__":
    sys.exit(main())
