"""Signals that end a training at its next step, saved: SIGTERM and Ctrl-C.

A machine that is taken away says so by SIGTERM.
"""

import signal
import threading
from types import FrameType
from typing import Any, Self


class Terminated(SystemExit):
    """The training has written a checkpoint and ends, as it was asked to.

    The status is as a shell gives it.
    """

    def __init__(self, by: signal.Signals) -> None:
        super().__init__(128 + by)


class Termination:
    """While it is entered, the first SIGTERM or SIGINT is noted in `asked`.

    They do nothing else. A second SIGINT is a KeyboardInterrupt. A signal that came too late to be
    heeded takes its usual way at the end.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Python lets no other thread set a handler
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                # a shell has background jobs ignore SIGINT: that stays
                if signal.getsignal(number) not in (None, signal.SIG_IGN):
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
