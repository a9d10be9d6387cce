"""SIGTERM, by which a machine that is taken away says so: the training ends at its next step, with a checkpoint."""

import signal
import threading
from types import FrameType
from typing import Any, Self

STATUS = 128 + signal.SIGTERM  # 143, as a shell gives it


class Terminated(SystemExit):
    """The training has written a checkpoint and ends, as it was asked to."""

    def __init__(self) -> None:
        super().__init__(STATUS)


class Termination:
    """While it is entered, SIGTERM is noted in `asked` and does nothing else."""

    def __init__(self) -> None:
        self.asked = False
        self._handler: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread set one
            self._handler = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
