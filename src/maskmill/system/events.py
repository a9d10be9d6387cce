"""What a run tells whoever started it, as data: a line of JSON for each event.

They go to the file that the environment names; without one, nothing is written.

| event | values |
|---|---|
| `steps` | `done` of `total` optimizer steps of the training `title` |
| `error` | `text`: what the user has to mend, in the words of a stage |
| `dvc_error` | `text`: what DVC says where it fails |
| `stage` | `name` in DVC, `outcome`: Completed, Failed, Cached, Restored (from the run cache) |
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

FILE = "MASKMILL_EVENTS"  # environment: the file, which is there already


def record_event(event: str, **values: Any) -> None:
    """Add an event to the record; a file that is gone or full keeps nobody from working."""
    path = os.environ.get(FILE)
    if not path:
        return
    line = json.dumps({"event": event, **values}) + "\n"
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, line.encode())  # at once: stages and DVC write into one file
        finally:
            os.close(file)


class EventReader:
    """Reads what is new in a record each time that it is asked."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the events since the last call; a line that is not whole yet comes later."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError):  # a full disk has cut it
                yield json.loads(line)
