"""Training batches for the loop, and what becomes of loader processes that die or hang."""

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Self

from torch import Tensor

from maskmill.samples.augmentation import Recipe
from maskmill.samples.dataset import training_batches
from maskmill.samples.sampling import Sampler
from maskmill.samples.shards import Shard
from maskmill.settings.config import Train
from maskmill.system.errors import MaskmillError

_LOST = "DataLoader worker"  # how PyTorch says that a process died
_DEATH_S = 1.0  # for the system to tell that a process is dead
# for each process after the last batch: PyTorch waits 5 s, and its SIGTERM then means nothing
_STUCK_S = 6.0


@dataclass(frozen=True)
class Loading:
    """The images of each step, which are a function of the step alone.

    The `devices` share them, in order of rank.
    """

    shard: Shard
    recipe: Recipe
    train: Train
    sampler: Sampler = field(default_factory=Sampler)
    workers: int = 0
    rank: int = 0
    pin: bool = False  # page-locked memory, from which a GPU reads faster

    def __call__(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This rank's images (N, C, H, W) and masks (N, H, W), uint8, of the steps from `first` on.

        Raises: MaskmillError when there is nothing to load; within `explained` also when a loader
            process dies, or gives nothing for `train.loader_timeout_s`.
        """
        loader = training_batches(
            self.shard, self.recipe, batch=self.images_per_step, seed=self.train.seed, first=first,
            last=self.train.steps, workers=self.workers, sampler=self.sampler, rank=self.rank,
            ranks=self.train.devices, pin=self.pin,
        )  # fmt: skip
        before = set(multiprocessing.active_children())
        batches = iter(loader)
        processes = set(multiprocessing.active_children()) - before
        with _Watchdog(processes, self.train.loader_timeout_s) as watchdog:
            while True:
                try:
                    with watchdog.waiting():
                        batch = next(batches, None)
                except (EOFError, OSError) as error:  # it died while it handed over a batch
                    if not (_any_dead(processes) or watchdog.bit):
                        raise
                    raise self._lost() from error
                if batch is None:
                    return
                yield batch

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """While this is entered, the death of a loader process is a MaskmillError.

        PyTorch raises at whatever line the training is when the system tells of a death, which is
        hardly ever here.
        """
        try:
            yield
        except RuntimeError as error:
            if _LOST not in str(error):
                raise
            raise self._lost() from error

    def _lost(self) -> MaskmillError:
        return MaskmillError(
            f"a loader process died, or gave no batch for {self.train.loader_timeout_s:g} s; start"
            " the same command again, which goes on at the last checkpoint; if it happens again,"
            f" lower train.workers (now {self.workers}), whose processes share the memory, or raise"
            " train.loader_timeout_s in params.yaml"
        )

    @property
    def images_per_step(self) -> int:
        """Of all devices together: the effective batch."""
        return self.train.batch_size * self.train.accumulate * self.train.devices

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the training images, after the recipe's crop."""
        height, width = self.recipe(*self.shard[0], (self.train.seed, 0, 0))[1].shape
        return height, width

    def ids(self, step: int) -> list[str]:
        """The samples of a step (from 0), of all devices."""
        loader = training_batches(
            self.shard, self.recipe, batch=self.images_per_step, seed=self.train.seed, first=step,
            last=step + 1, workers=0, sampler=self.sampler,
        )  # fmt: skip
        assert loader.batch_sampler is not None
        return [self.shard.ids[draw.sample] for draw in next(iter(loader.batch_sampler))]


def _any_dead(processes: Collection[BaseProcess]) -> bool:
    """Whether a process is dead, after some time for it to die.

    So the system's signal of a death comes before the error is raised, and not after.
    """
    for process in processes:
        process.join(_DEATH_S / len(processes))
    return any(process.exitcode for process in processes)


class _Watchdog:
    """Kills loader processes that give nothing in time, which lets go whoever waits for them.

    PyTorch's own timeout leaves out a process that stops between a batch and its memory: that is
    waited for for ever.
    """

    def __init__(self, processes: Collection[BaseProcess], timeout_s: float) -> None:
        self.bit = False
        self._processes, self._timeout_s = list(processes), timeout_s
        self._since: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loader watchdog", daemon=True)

    def __enter__(self) -> Self:
        if self._processes:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While this is entered, the processes are waited for."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._timeout_s / 4)):
            since = self._since
            if since is not None and time.monotonic() - since > self._timeout_s:
                self.bit = True
                self._kill()
        time.sleep(_STUCK_S * len(self._processes))
        self._kill()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()  # one that is stopped would not hear of anything else
