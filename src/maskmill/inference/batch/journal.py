"""`journal.jsonl`: what became of each image and tile, so that a killed run goes on where it was.

A line of JSON for each event: `begun` names the image, its version, what predicts it and the name
of its results; `tile` a tile whose pixels are on the disk; `done` the results; `failed` why there
are none. A line counts once it is whole; the results of an image are complete when it is `done`.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskmill.system import files
from maskmill.system.errors import MaskmillError

NAME = "journal.jsonl"


@dataclass
class Progress:
    """What the journal says of one image."""

    task: dict[str, Any]  # the file's version, the model and the settings
    name: str  # of its results, below the folder, without their endings
    rows: int = 0  # of tiles whose pixels are on the disk
    results: tuple[str, ...] | None = None  # None: not done
    facts: dict[str, Any] = field(default_factory=dict)  # of `done`


class Journal:
    """The journal of one folder of results, for one process at a time."""

    def __init__(self, folder: Path, file: Any) -> None:
        self._folder, self._file = folder, file
        self._progress: dict[str, Progress] = {}
        self._names: dict[str, str] = {}  # of results -> the image that has them
        for event in _whole_lines(file):
            self._take(event)

    def find(self, key: str, task: dict[str, Any]) -> Progress | None:
        """What is known of an image in this version, by this model and these settings."""
        known = self._progress.get(key)
        return known if known is not None and known.task == task else None

    def find_done(self, key: str, task: dict[str, Any]) -> Progress | None:
        """The same where the image is done, and its results are there."""
        known = self.find(key, task)
        if known is None or known.results is None:
            return None
        there = all((self._folder / name).exists() for name in known.results)
        return known if there else None

    def begin(self, key: str, task: dict[str, Any], names: Iterator[str]) -> Progress:
        """The progress of an image; the first name that is free is that of its results for good.

        A name is free where no other image has it and no file begins with it.
        """
        if (known := self.find(key, task)) is not None:
            return known
        name = next(n for n in names if n not in self._names and not self._is_taken(n))
        self._append([{"event": "begun", "input": key, "name": name, **task}])
        return self._progress[key]

    def note_tiles(self, key: str, tiles: Sequence[dict[str, int]]) -> None:
        """Tiles of one row, whose pixels are on the disk."""
        self._append([{"event": "tile", "input": key, **tile} for tile in tiles])

    def note_done(self, key: str, results: Sequence[str], facts: dict[str, Any]) -> None:
        """The results of an image are complete."""
        self._append([{"event": "done", "input": key, "results": list(results), **facts}])

    def note_failed(self, key: str, error: str) -> None:
        """An image has no result."""
        self._append([{"event": "failed", "input": key, "error": error}])

    def forget_tiles(self, key: str) -> None:
        """The pixels of the tiles are gone."""
        self._append([{"event": "restarted", "input": key}])

    def _is_taken(self, name: str) -> bool:
        folder = (self._folder / name).parent
        return folder.exists() and any(
            (self._folder / f"{name}_{kind}{ending}").exists()
            for kind in ("mask", "overlay", "confidence") for ending in (".png", ".tif")
        )  # fmt: skip

    def _append(self, events: list[dict[str, Any]]) -> None:
        lines = "".join(
            json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n" for event in events
        )
        self._file.write(lines.encode("utf-8", "surrogateescape"))
        self._file.flush()
        os.fsync(self._file.fileno())
        for event in events:
            self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        kind, key = event.get("event"), event.get("input", "")
        if kind == "begun":
            task = {k: v for k, v in event.items() if k not in ("event", "input", "name")}
            self._progress[key] = Progress(task, event["name"])
            self._names[event["name"]] = key
        elif (known := self._progress.get(key)) is not None:
            if kind == "tile":
                known.rows = max(known.rows, event["row"] + 1)
            elif kind == "restarted":
                known.rows = 0
            elif kind == "done":
                known.results, known.facts = tuple(event["results"]), event


@contextlib.contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """The journal of a folder of results, which is made where it is not there.

    Raises: MaskmillError where another process works there, or the file is no journal.
    """
    with files.full_disk_in_words():
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / NAME).open("ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise MaskmillError(
                    f"{folder}: another `maskmill predict` writes there; wait for it to end, or"
                    " name another folder by --out"
                ) from None
            yield Journal(folder, file)


def _whole_lines(file: Any) -> list[dict[str, Any]]:
    """The events of the file, whose last line is cut away where a kill has left half of it."""
    file.seek(0)
    content = file.read()
    end = content.rfind(b"\n") + 1
    file.truncate(end)
    file.seek(end)
    events = []
    for number, line in enumerate(content[:end].split(b"\n")[:-1], 1):
        try:
            event = json.loads(line.decode("utf-8", "surrogateescape"))
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise MaskmillError(
                f"{file.name}: line {number} is not JSON; move the file aside, and all images are"
                " predicted anew"
            )
        events.append(event)
    return events
