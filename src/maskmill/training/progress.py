"""What people see of a training: a bar in a terminal, and lines with speed and time left."""

import logging
import time
from typing import Any, Self

import psutil
import torch
from tqdm import tqdm

from maskmill.system.events import record_event

_log = logging.getLogger(__name__)

_REFRESH_S = 2.0


class TrainingProgress:
    """Counts the images of the steps; times no step by itself, so no device is waited for."""

    def __init__(
        self, title: str, first: int, steps: int, images_per_step: int, device: str, shown: bool
    ) -> None:
        self._first, self._steps, self._images, self._device = first, steps, images_per_step, device
        self._done, self._training_s = first, 0.0
        self._title, self._recorded = title, shown
        self._start = self._mark = self._refreshed = time.monotonic()
        self._bar = tqdm(
            desc=title, total=steps, initial=first, unit="step", disable=None if shown else True,
            leave=False, mininterval=_REFRESH_S,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def step(self, loss: float, rate: float) -> None:
        """One step more is done; `loss` is the last that is known."""
        now = time.monotonic()
        self._training_s += now - self._mark
        self._mark = now
        self._done += 1
        self._bar.update()
        if now - self._refreshed < _REFRESH_S:
            return
        self._refreshed = now
        self._record()
        if not self._bar.disable:
            shown: dict[str, Any] = {
                "images/s": f"{self.images_per_s:.1f}",
                "loss": f"{loss:.3f}",
                "lr": f"{rate:.2g}",
            }
            self._bar.set_postfix(
                shown | {"memory": f"{memory_mb(self._device):.0f} MB"}, refresh=False
            )

    def line(self, text: str) -> None:
        """Write a line above the bar, with speed and time left.

        What the time since the last step went to is no step: else a validation would count as slow
        training.
        """
        self._record()
        now = time.monotonic()
        left = (now - self._start) / max(self._done - self._first, 1) * (self._steps - self._done)
        speed = f"{self.images_per_s:.0f} images/s"
        _log.info(f"{text}  {speed}, {duration_in_words(left)} left")
        self._mark = now

    def _record(self) -> None:
        """Tell whoever started the training how far it is."""
        if self._recorded:
            record_event("steps", title=self._title, done=self._done, total=self._steps)

    @property
    def images_per_s(self) -> float:
        """Of all devices, since the start of this process."""
        return (self._done - self._first) * self._images / max(self._training_s, 1e-9)


def memory_mb(device: str) -> float:
    """The most GPU memory that torch has had, in 10^6 bytes.

    On a CPU it is what the process holds now.
    """
    return (
        torch.cuda.max_memory_allocated()
        if device == "cuda"
        else psutil.Process().memory_info().rss
    ) / 1e6


def duration_in_words(seconds: float) -> str:
    """A time as people say it."""
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
