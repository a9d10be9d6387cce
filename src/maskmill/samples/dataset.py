"""Training batches in an order that the seed alone decides, so that a restart can resume."""

import signal
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from maskmill.samples.augmentation import Recipe
from maskmill.samples.sampling import Draw, ForegroundCrops, Sampler, one_epoch
from maskmill.samples.shards import Shard
from maskmill.system.errors import MaskmillError
from maskmill.system.processes import die_with_parent

_PLAIN = Sampler()


class TrainingPairs(Dataset[tuple[Tensor, Tensor]]):
    """Varied pairs: a draw -> image (C, H, W) uint8, mask (H, W) uint8."""

    def __init__(
        self, shard: Shard, recipe: Recipe, seed: int, crops: ForegroundCrops | None = None
    ) -> None:
        self._shard, self._recipe, self._seed, self._crops = shard, recipe, seed, crops

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        image, mask = self._shard[draw.sample]
        if self._crops is not None:
            image, mask = self._crops(image, mask, draw, self._seed)
        image, mask = self._recipe(image, mask, draw.key(self._seed))
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(mask.copy())


class BatchOrder:
    """Batches of draws for optimizer steps `first`..`last`-1, from shuffled epochs in a row.

    Step k takes places k*batch .. (k+1)*batch-1 of the endless row of epochs. Without `weights`
    (see `sampling.one_epoch`) each epoch has every sample once. Of `ranks` processes that share
    each batch, this one takes the part `rank`.
    """

    def __init__(
        self, samples: int, batch: int, seed: int, first: int, last: int,
        weights: np.ndarray | None = None, *, rank: int = 0, ranks: int = 1,
    ) -> None:  # fmt: skip
        self._samples, self._batch, self._seed = samples, batch, seed
        self._first, self._last, self._weights = first, last, weights
        self._part = range(batch * rank // ranks, batch * (rank + 1) // ranks)
        self._shuffled = -1  # the epoch that _order belongs to

    def __len__(self) -> int:
        return self._last - self._first

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in range(self._first, self._last):
            places = [step * self._batch + i for i in self._part]
            yield [self._draw(*divmod(p, self._samples)) for p in places]

    def _draw(self, epoch: int, place: int) -> Draw:
        if self._shuffled != epoch:
            rng = np.random.default_rng((self._seed, epoch))
            self._order, self._turns = one_epoch(self._samples, self._weights, rng)
            self._shuffled = epoch
        return Draw(epoch, int(self._order[place]), int(self._turns[place]))


def training_batches(
    shard: Shard, recipe: Recipe, *, batch: int, seed: int, first: int, last: int, workers: int,
    sampler: Sampler = _PLAIN, rank: int = 0, ranks: int = 1, pin: bool = False,
) -> DataLoader[tuple[Tensor, Tensor]]:  # fmt: skip
    """Loader of uint8 batches for steps `first`..`last`-1, the same for any `workers`.

    A batch is (N, C, H, W) and (N, H, W).

    Of `ranks` processes that share each batch, this one takes the part `rank`. `pin`: into
    page-locked memory.
    Raises: MaskmillError when there is no image, or the images, after the recipe's crop, would not
        have one size.
    """
    if not len(shard):
        raise MaskmillError(
            "the split `train` is empty: there is nothing to train on; "
            "give it images by `splits` in params.yaml or data/splits.csv"
        )
    pairs = TrainingPairs(shard, recipe, seed, sampler.crops)
    # two sizes are enough to tell whether the recipe makes them one
    sizes = {tuple(pairs[Draw(0, i)][1].shape): i for i in _one_of_each_size(shard)[:2]}
    if len(sizes) > 1:
        listed = ", ".join(f"{shard.ids[i]} {h} x {w}" for (h, w), i in sizes.items())
        raise MaskmillError(
            f"training images differ in size ({listed} px) and cannot form a batch; "
            "set augmentation.crop_px in params.yaml, for example [128, 128]"
        )
    order = BatchOrder(
        len(shard), batch, seed, first, last, sampler.weights, rank=rank, ranks=ranks
    )
    return DataLoader(
        pairs,
        batch_sampler=order,
        num_workers=workers,
        collate_fn=_stack,
        pin_memory=pin,
        worker_init_fn=_serve,
    )


def _serve(_worker: int) -> None:
    """A loader process lives as long as the training: signals to the whole group are not for it."""
    die_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _stack(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    if len({mask.shape for _, mask in pairs}) > 1:
        raise MaskmillError(
            "params.yaml: augmentation.transforms: a transform changes the size of some images, "
            "which then form no batch; take it out, or set augmentation.crop_px and put only "
            "transforms that keep the size"
        )
    images, masks = zip(*pairs, strict=True)
    return torch.stack(images), torch.stack(masks)


def _one_of_each_size(shard: Shard) -> list[int]:
    heights, widths = np.asarray(shard.sizes).T
    _, firsts = np.unique(heights << 32 | widths, return_index=True)
    return sorted(firsts.tolist())
