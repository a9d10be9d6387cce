"""What training sees more often than by chance: rare classes, and crops around foreground.

All of it is a pure function of the settings, the training pixels and the draw, so that neither the
number of loader workers nor a restart changes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from maskmill.settings.config import Sampling

# each image alike, crops anywhere
PLAIN = Sampling(rare_below=0.0, foreground_crops=0.0, crop_classes="equal")
_CROP = 1  # tells the generator of a draw's crop from that of its transforms


class Draw(NamedTuple):
    """A sample in an epoch, and how often the epoch had it before.

    That is 0 but for images that are drawn more often.
    """

    epoch: int
    sample: int
    turn: int = 0

    def key(self, seed: int) -> tuple[int, ...]:
        """The seed of everything that is drawn at random for it."""
        return (
            (seed, self.epoch, self.sample, self.turn)
            if self.turn
            else (seed, self.epoch, self.sample)
        )


@dataclass(frozen=True)
class ForegroundCrops:
    """Some of the crops are cut around a pixel of a foreground class."""

    share: float  # of the draws
    size_px: tuple[int, int]  # height, width
    held: np.ndarray  # (N, K) bool: the foreground classes that each sample holds
    odds: np.ndarray  # (K,) float64: how likely each class is beside the others of its image

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, draw: Draw, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The crop of one pair around a pixel of the foreground.

        The pair itself where this draw is cropped anywhere, or holds no foreground.

        The pixel, each of its class alike, is in the middle of the crop, or as near to it as the
        border lets it be.
        Shape: image (H, W, C), mask (H, W) -> views of at most `size_px`; what is smaller stays for
            the recipe to pad.
        """
        rng = np.random.default_rng((seed, *draw, _CROP))
        odds = self.odds * self.held[draw.sample]
        if rng.random() >= self.share or not odds.any():
            return image, mask
        places = mask == rng.choice(len(odds), p=odds / odds.sum())
        window = tuple(
            slice(start, start + side)
            for start, side in zip(
                _starts(_pixel(places, rng), mask.shape, self.size_px), self.size_px, strict=True
            )
        )
        return image[window], mask[window]


@dataclass(frozen=True)
class Sampler:
    """How often each sample is drawn, and where it is cropped.

    Without either setting each is drawn once per epoch and cropped anywhere.
    """

    weights: np.ndarray | None = None  # (N,) float64: how often, beside the others
    crops: ForegroundCrops | None = None


def create_sampler(
    sampling: Sampling,
    pixels: np.ndarray,
    foreground: Sequence[int],
    crop_px: tuple[int, int] | None,
) -> Sampler:
    """What the settings ask for.

    Shape: pixels (N, K), of each class in each training sample; foreground: ids of classes;
        crop_px: height, width.
    """
    weights = repeat_factors(pixels, sampling.rare_below) if sampling.rare_below else None
    if not sampling.foreground_crops:
        return Sampler(weights)
    assert crop_px is not None  # config.Params sees to it
    totals = pixels.sum(axis=0, dtype=float)
    odds = np.zeros(pixels.shape[1])
    odds[list(foreground)] = 1.0
    if sampling.crop_classes == "rare":
        odds = np.divide(odds, totals, out=np.zeros_like(odds), where=totals > 0)
    return Sampler(weights, ForegroundCrops(sampling.foreground_crops, crop_px, pixels > 0, odds))


def repeat_factors(pixels: np.ndarray, below: float) -> np.ndarray:
    """How often each image is drawn, relative to one with no rare class.

    These are the repeat factors of LVIS.

    Gupta et al., "LVIS", sec. 4, arXiv:1908.03195: with f(c) the share of the images that hold
    class c, r(c) = max(1, sqrt(below / f(c))), and an image's factor is the largest r(c) of the
    classes that it holds.
    Shape: (N, K) pixels of each class in each image -> (N,) float64, at least 1.
    """
    held = pixels > 0
    frequency = held.mean(axis=0)
    of_class = np.sqrt(
        np.divide(below, frequency, out=np.ones_like(frequency), where=frequency > 0)
    ).clip(1)
    factors: np.ndarray = np.where(held, of_class, 1.0).max(axis=1)
    return factors


def describe_sampling(sampling: Sampling, pixels: np.ndarray, classes: Sequence[str]) -> list[str]:
    """What the settings do with these (N, K) pixels, a sentence each."""
    said = []
    if sampling.rare_below:
        shares = (pixels > 0).mean(axis=0)
        rare = [
            f"{classes[i]} (in {shares[i]:.1%})"
            for i in np.argsort(shares)
            if 0 < shares[i] < sampling.rare_below
        ]
        said.append(
            f"drawn more often: images with {', '.join(rare)}" if rare else
            f"no class is in less than {sampling.rare_below:.1%} of the training images: "
            "all are drawn alike"
        )  # fmt: skip
    if sampling.foreground_crops:
        said.append(f"{sampling.foreground_crops:.0%} of the crops are cut around foreground")
    return said


def one_epoch(
    samples: int, weights: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The samples of one epoch in their order, and the turn of each.

    An epoch has as many draws as there are samples. By weights w, sample i comes n(i) = samples *
    w(i) / sum(w) times, rounded up or down at random so that the mean over epochs is n(i)
    (systematic resampling).
    Returns: (samples,) int64 twice.
    """
    shuffled = rng.permutation(samples)
    if weights is None:
        return shuffled, np.zeros(samples, np.int64)
    ends = np.cumsum(weights[shuffled])
    ends *= samples / ends[-1]
    ends[-1] = samples
    last = np.floor(ends + rng.random()).astype(np.int64)
    counts: np.ndarray = np.diff(last, prepend=0)
    drawn, firsts = np.repeat(shuffled, counts), np.repeat(np.cumsum(counts) - counts, counts)
    order = rng.permutation(samples)  # or the copies of an image would stand side by side
    return drawn[order], (np.arange(samples) - firsts)[order]


def _pixel(places: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of one of the true pixels, each equally likely.

    The function looks for columns in one row alone.
    """
    in_row = places.view(np.uint8).sum(axis=1, dtype=np.uint32)  # half the time of count_nonzero
    ends = np.cumsum(in_row, dtype=np.int64)
    wanted = int(rng.integers(ends[-1]))
    row = int(np.searchsorted(ends, wanted, side="right"))
    columns = np.flatnonzero(places[row])
    return row, int(columns[wanted - ends[row]])  # from the row's end


def _starts(pixel: tuple[int, int], shape: tuple[int, ...], size_px: tuple[int, int]) -> list[int]:
    """Where the crop begins in each direction."""
    return [
        max(0, min(place - side // 2, length - side))
        for place, length, side in zip(pixel, shape, size_px, strict=True)
    ]
