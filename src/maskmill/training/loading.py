"""Training batches for the loop, and what becomes of loader processes that die or hang."""

import multiprocessing
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from maskmill.config import Train
from maskmill.data.augmentation import Recipe
from maskmill.data.dataset import training_batches
from maskmill.data.sampling import Sampler
from maskmill.data.shards import Shard
from maskmill.errors import MaskmillError

_LOST = re.compile(r"DataLoader (worker|timed out)")  # how PyTorch says that a process died, or gave nothing in time


@dataclass(frozen=True)
class Loading:
    """The images of each step, which are a function of the step alone: `devices` share them, in order of rank."""

    shard: Shard
    recipe: Recipe
    train: Train
    sampler: Sampler = field(default_factory=Sampler)
    workers: int = 0
    rank: int = 0
    pin: bool = False  # page-locked memory, from which a GPU reads faster

    def __call__(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This rank's images (N, C, H, W) and masks (N, H, W), uint8, of the steps from `first` to the last.

        Raises: MaskmillError when there is nothing to load, a loader process dies, or gives nothing for
        `train.loader_timeout_s`.
        """
        loader = training_batches(
            self.shard, self.recipe, batch=self.images_per_step, seed=self.train.seed, first=first,
            last=self.train.steps, workers=self.workers, sampler=self.sampler, rank=self.rank,
            ranks=self.train.devices, pin=self.pin, timeout_s=self.train.loader_timeout_s,
        )  # fmt: skip
        before = set(multiprocessing.active_children())
        batches = iter(loader)
        processes = set(multiprocessing.active_children()) - before
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if not _LOST.search(str(error)):
                    raise
                for process in processes:
                    process.kill()  # one that is stopped would not hear of anything else
                reason = str(error).partition("\n")[0]
                raise MaskmillError(
                    f"a loader process died, or gave no batch for {self.train.loader_timeout_s:g} s ({reason}); start "
                    "the same command again, which goes on at the last checkpoint; if it happens again, lower "
                    f"train.workers (now {self.workers}), whose processes share the memory, or raise "
                    "train.loader_timeout_s in params.yaml"
                ) from error
            yield batch

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
            self.shard, self.recipe, batch=self.images_per_step, seed=self.train.seed, first=step, last=step + 1,
            workers=0, sampler=self.sampler,
        )  # fmt: skip
        assert loader.batch_sampler is not None
        return [self.shard.ids[draw.sample] for draw in next(iter(loader.batch_sampler))]
