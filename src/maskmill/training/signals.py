"""SIGTERM, by which a machine that is taken away says so, and Ctrl-C: the training ends at its next step, saved."""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Terminated(SystemExit):
    """The training has written a checkpoint and ends, as it was asked to; the status is as a shell gives it."""

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(128 + by)


class Termination:
    """While it is entered, SIGTERM and SIGINT are noted in `asked`, the first of them, and do nothing else.

    A second SIGINT is a KeyboardInterrupt. A signal that came too late to be heeded takes its usual way at the end.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread set one
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) not in (None, signal.SIG_IGN):  # a shell has background jobs ignore SIGINT
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.asked and kind is None:
            signal.raise_signal(self.asked)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
        self.asked = self.asked or signal.Signals(number)
