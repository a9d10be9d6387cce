"""DVC commands as processes that are ready before they are wanted, and are gone when the run is.

python -m pipelines.repro: DVC's own command, with an error of its own for a killed stage and a full
disk.

Starting Python and importing DVC takes longer than DVC needs for a stage. So the process waits for
its arguments (a line of JSON) while the one before it works.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from maskmill.system import events, quick
from maskmill.system.processes import end_groups, watch_parent
from pipelines import workspace

Process = subprocess.Popen[str]
_NOISE = re.compile(
    r"To track the changes with git|\tgit add |To enable auto staging|\tdvc config |Use `dvc push`"
    r"|(Updating|Generating) lock file|Having any troubles\?"
)
_EVERY_S = 0.5  # between two looks at the record


class Output:
    """What a command printed and recorded: its error, its steps, whether its stage had to run."""

    def __init__(
        self, say: Callable[[str], None], step: Callable[[int, int], None] | None = None
    ) -> None:
        self._say, self._step = say, step
        self._own = self._dvcs = ""
        self._printed: list[str] = []
        self.outcome = "Completed"  # or Cached, Restored

    def line(self, line: str) -> None:
        """Take the next printed line, and pass it on where it says something."""
        if _NOISE.match(line):
            return
        if line.startswith("error: ") or (self._printed and not line.startswith("ERROR: ")):
            self._printed.append(line.removeprefix("error: "))
        self._say(line)

    def event(self, event: Mapping[str, Any]) -> None:
        """Take the next event of the record."""
        match event:
            case {"event": "stage", "outcome": str(outcome)}:
                self.outcome = outcome
            case {"event": "error", "text": str(text)}:
                self._own = text
            case {"event": "dvc_error", "text": str(text)}:
                self._dvcs = self._dvcs or text
            case {"event": "steps", "done": int(done), "total": int(total)} if self._step:
                self._step(done, total)

    @property
    def error(self) -> str:
        """In the words of the stage (which one of the user's own only prints), else of DVC."""
        return self._own or "\n".join(self._printed) or self._dvcs


class Commands:
    """Runs DVC commands, several at a time where asked to; leaving the context ends them."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._running: set[Process] = set()
        self._records = tempfile.TemporaryDirectory(prefix="maskmill-events-")
        self._begun = 0
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
                process.pid
                for process in (*self._running, self._ready[0])
                if process.poll() is None
            ]
        end_groups(*left)
        self._records.cleanup()

    def run(
        self,
        *arguments: str,
        say: Callable[[str], None],
        step: Callable[[int, int], None] | None = None,
    ) -> tuple[int, Output]:
        """Run `dvc ARGUMENTS`; give the exit status and what was printed and recorded.

        Each printed line is given to `say` at once, and each count of optimizer steps (done, total)
        to `step`, from a thread of its own.
        """
        output = Output(say, step)
        with self._lock:
            if self.stopped:
                return -signal.SIGTERM, output
            (process, record), self._ready = self._ready, self._start()
            self._running.add(process)
        assert process.stdin
        assert process.stdout
        with process:
            with suppress(BrokenPipeError):  # it was killed before; its status says so
                process.stdin.write(json.dumps(arguments) + "\n")
                process.stdin.close()
            with _followed(record, output):
                for line in process.stdout:
                    if line.strip():
                        output.line(line.rstrip())
        with self._lock:
            self._running.remove(process)
        return process.returncode, output

    def _start(self) -> tuple[Process, Path]:
        """A process that waits for its arguments, and the file of what it and its stage record."""
        self._begun += 1
        record = Path(self._records.name) / f"{self._begun}.jsonl"
        record.touch()
        environment = {"PYTHONUNBUFFERED": "1", events.FILE: str(record)}
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.repro"],
            env=workspace.dvc_environment() | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        return process, record


@contextmanager
def _followed(record: Path, output: Output) -> Iterator[None]:
    """Hand the events of a record to `output`, as they come."""
    ended, reader = threading.Event(), events.EventReader(record)

    def follow() -> None:
        over = False
        while not over:
            over = ended.wait(_EVERY_S)
            with suppress(FileNotFoundError):  # the run was left
                for event in reader.new():
                    output.event(event)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def main() -> int:
    """DVC's exit status; 0 where no command is wanted any more."""
    watch_parent(lambda: os.killpg(0, signal.SIGTERM))
    with quick.imports_without_gc():
        from pipelines import dvc_command
    wanted = json.loads(sys.stdin.readline() or "[]")
    return dvc_command.run_command(wanted) if wanted else 0


if __name__ == "__main__":
    quick.exit_at_once(main())
