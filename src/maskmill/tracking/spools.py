"""A file of JSON lines per training, which holds what is known of it before it is anywhere else.

The file lies on the disk and only grows. The first line holds the facts; then come, as they happen,
a line per process that works on the training, a line per row of its history, and one that says it
finished. Each is flushed to the disk; a line that a kill cut off does not count. Nothing that the
disk does can stop the training: what could not be written is tried again with the next line, and
`register` takes from history.csv what is missing in the end.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskmill.system import files
from maskmill.system.errors import MaskmillError
from maskmill.tracking import owners
from maskmill.tracking.owners import Owner
from maskmill.tracking.runs import FINISHED, KILLED, RUNNING, MetricRow, TrainingRun

FOLDER = "spool"  # in paths.state
_KEPT = 100  # newest files; where no MLflow ever takes them, older ones are dropped


@dataclass(frozen=True)
class Facts:
    """What is known when a training starts."""

    fingerprint: str  # of all that the weights follow from
    variant: str
    params: dict[str, Any]
    git_commit: str
    data_title: str
    data_hash: str


class Spool:
    """The file of one training, to add to."""

    def __init__(self, path: Path, started_ms: int, steps: set[int], size: int) -> None:
        self.path, self.started_ms = path, started_ms
        self._steps, self._size = steps, size
        self._pending: list[bytes] = []
        self._told = False

    @property
    def key(self) -> str:
        """The training's name, the same before and after a restart."""
        return self.path.stem

    def add(self, rows: Sequence[MetricRow]) -> None:
        """Rows of the history; one whose step is there already is not written again."""
        new = [row for row in rows if row["step"] not in self._steps]
        if new:
            self._steps.update(int(row["step"]) for row in new)
            self._append(*({"row": row} for row in new))

    def finish(self) -> None:
        """The training is over, and its model written."""
        self._append({"ended": FINISHED})

    def _append(self, *lines: Mapping[str, Any]) -> None:
        self._pending += map(_encode, lines)
        content = b"".join(self._pending)
        try:
            with self.path.open("r+b") as file:
                file.truncate(self._size)  # of a line that was cut off
                file.seek(self._size)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._tell(error)
            return
        self._size += len(content)
        self._pending.clear()

    def _tell(self, error: OSError | MaskmillError) -> None:
        if not self._told:
            print(
                f"tracking: {self.path} cannot be written ({error}); the training goes on without",
                file=sys.stderr,
            )
        self._told = True


def begin_spool(folder: Path, facts: Facts) -> Spool:
    """The spool of the unfinished training with this fingerprint, else a new one.

    No process may work on the unfinished training.
    """
    now = _now_ms()
    try:
        spool = _unfinished(folder, facts) or _new(folder, facts, now)
    except (OSError, MaskmillError) as error:
        spool = Spool(folder / f"{uuid.uuid4().hex}.jsonl", now, set(), 0)
        spool._tell(error)
    spool._append({"owner": asdict(owners.this_process())})
    return spool


def read(path: Path) -> TrainingRun | None:
    """What the file says; None where it is gone, or nothing of it can be read."""
    lines = list(_lines(path))
    if not lines or set(lines[0].get("facts", ())) != set(Facts.__annotations__):
        return None  # the first line is damaged, or of another version of this program
    rows = {int(line["row"]["step"]): line for line in lines if "row" in line}
    owner = next((Owner(**line["owner"]) for line in reversed(lines) if "owner" in line), None)
    ended = any("ended" in line for line in lines)
    return TrainingRun(
        key=path.stem,
        **lines[0]["facts"],
        started_ms=lines[0]["time_ms"],
        ended_ms=lines[-1]["time_ms"],
        history=[line["row"] for line in rows.values()],
        times_ms={step: line["time_ms"] for step, line in rows.items()},
        status=FINISHED if ended else KILLED if owner is None or owner.gone else RUNNING,
        owner=owner,
    )


def all_in(folder: Path) -> list[Path]:
    """Every file."""
    return sorted(folder.glob("*.jsonl"))


def delete(path: Path) -> None:
    """Drop the file, and what its sender had to say."""
    for name in (path, log(path)):
        name.unlink(missing_ok=True)


def log(path: Path) -> Path:
    """Where the file's sender writes what went wrong."""
    return path.with_suffix(".log")


def _unfinished(folder: Path, facts: Facts) -> Spool | None:
    for path in all_in(folder):
        known = read(path)
        if known is None or (known.fingerprint, known.variant) != (
            facts.fingerprint,
            facts.variant,
        ):
            continue
        elsewhere = known.status == RUNNING and known.owner and not known.owner.here
        if known.status == KILLED or elsewhere:
            return Spool(
                path, known.started_ms, set(known.times_ms), _whole_lines_bytes(path.read_bytes())
            )
    return None


def _new(folder: Path, facts: Facts, now_ms: int) -> Spool:
    path = folder / f"{uuid.uuid4().hex}.jsonl"
    line = _encode({"facts": asdict(facts)})
    files.write_bytes(path, line)
    for old in sorted(all_in(folder), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        delete(old)
    return Spool(path, now_ms, set(), len(line))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content[: _whole_lines_bytes(content)].splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # a damaged disk: the other lines still count
            continue


def _whole_lines_bytes(content: bytes) -> int:
    """How many bytes belong to lines that are complete."""
    return content.rfind(b"\n") + 1


def _encode(line: Mapping[str, Any]) -> bytes:
    return (json.dumps({"time_ms": _now_ms(), **line}, default=str) + "\n").encode()


def _now_ms() -> int:
    return int(1000 * time.time())
