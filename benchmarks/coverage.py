"""PYTHONPATH=src python benchmarks/coverage.py: how often 95 % intervals hold the true score.

The 95 % are nominal. Images of a group share a part of how well they are segmented (the correlation
within a group), images and groups differ in size, and a rare class is in half of the groups. Each
row draws many data sets anew, and counts those whose interval holds the score of the whole
population. Then the same for blocks of one sequence whose neighbours are alike, and for the
difference of two models. Prints the tables of docs/intervals.md; 2 minutes of one core.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy import signal, special
from torch import Tensor

from maskmill.metrics import Labels
from maskmill.metrics.confusion import Confusion
from maskmill.statistics import bootstrap
from maskmill.statistics.bootstrap import Spread

CONFUSION = Confusion(Labels(("background", "common", "rare"), (1, 2), 255))
SCORED = ("dice_foreground", "dice/rare")
IMAGES = 6  # of a group
LENGTH = 400  # images of a sequence
TAIL, SETS, RESAMPLES, TOGETHER = 0.025, 2000, 1000, 50
FEW = ((5, 9), (10, 19), (20, 99))  # groups that hold the rare class

Bounds = tuple[np.ndarray, np.ndarray]
# method, score -> share of the intervals that hold the true score
Shares = dict[tuple[str, str], float]


def truths(
    rng: np.random.Generator, shape: tuple[int, ...], present: np.ndarray | float = 1.0
) -> np.ndarray:
    """(*shape, 3) log-normal true pixels of each class in each image.

    The rare class has pixels where it is `present`.
    """
    size = np.exp(rng.normal(0, 0.7, (*shape, 2))) * [1.0, 0.2]
    size[..., 1] *= present
    return np.concatenate([10 - size.sum(-1, keepdims=True).clip(max=9), size], axis=-1)


def predictions(rng: np.random.Generator, truth: np.ndarray, skill: np.ndarray) -> np.ndarray:
    """(..., 9) hits, true and predicted pixels of images that are segmented as well as `skill`.

    `skill` is standard normal.
    """
    noise = rng.normal(0, 0.3, (2, *truth.shape))
    hits = truth * special.expit(1.5 + 0.8 * skill[..., None] + noise[0])
    wrong = truth * special.expit(-1.5 - 0.6 * skill[..., None] + noise[1])
    return np.concatenate([hits, truth, hits + wrong], axis=-1)


def skills(rng: np.random.Generator, sets: int, n: int, correlation: float) -> np.ndarray:
    """(sets, n, IMAGES) standard normal, of this correlation within each of the n groups."""
    shared, own = rng.standard_normal((sets, n, 1)), rng.standard_normal((sets, n, IMAGES))
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


def group_truths(rng: np.random.Generator, sets: int, n: int) -> np.ndarray:
    """(sets, n, IMAGES, 3) true pixels; groups differ in size, and half hold the rare class."""
    present = rng.random((sets, n, 1)) < 0.5
    return truths(rng, (sets, n, IMAGES), present) * np.exp(rng.normal(0, 0.5, (sets, n, 1, 1)))


@cache
def population(better: float = 0.0) -> dict[str, float]:
    """The true scores of a million images that are segmented better by `better`.

    How the images are grouped does not matter.
    """
    rng, total = np.random.default_rng(1), np.zeros(len(CONFUSION.fields))
    for _ in range(10):
        total += predictions(
            rng, truths(rng, (100_000,)), rng.standard_normal(100_000) + better
        ).sum(axis=0)
    return {name: float(value) for name, value in scores(torch.from_numpy(total)).items()}


def scores(sums: Tensor) -> dict[str, Tensor]:
    every = CONFUSION.scores(sums)
    return {name: every[name] for name in SCORED}


def difference(sums: Tensor) -> dict[str, Tensor]:
    a, b = (scores(part) for part in sums.chunk(2, dim=-1))
    return {name: a[name] - b[name] for name in SCORED}


def percentile(spread: Spread) -> Bounds:
    low, high = (
        bootstrap.row_quantiles(spread.resampled, np.full(spread.value.shape, p))
        for p in (TAIL, 1 - TAIL)
    )
    return low, high


def bca(spread: Spread) -> Bounds:
    levels = bootstrap.bca_levels(spread, np.full(spread.value.shape, special.ndtri(TAIL)))
    low, high = (bootstrap.row_quantiles(spread.resampled, level) for level in levels)
    return low, high


def ours(spread: Spread) -> Bounds:
    return bootstrap.interval_bounds(spread, 1 - 2 * TAIL)


def shares(
    draw: Callable[[np.random.Generator], Mapping[str, np.ndarray]],
    methods: Mapping[str, tuple[str, Callable[[Spread], Bounds]]],
    truth: Mapping[str, float],
    sets: int,
    resamples: int,
    of: Callable[[Tensor], dict[str, Tensor]] = scores,
) -> Shares:
    """How often the interval of each method holds the truth.

    `draw` gives the unit sums (TOGETHER, U, S) by kind, and each method takes those of its kind.
    """
    rng, held = np.random.default_rng(0), defaultdict(list)
    for _ in range(sets // TOGETHER):
        made = {
            kind: bootstrap.resampled_scores(
                of, sums, resamples=resamples, seed=int(rng.integers(2**31))
            )
            for kind, sums in draw(rng).items()
        }
        for method, (kind, bounds) in methods.items():
            for name in SCORED:
                with np.errstate(invalid="ignore", divide="ignore"):
                    low, high = bounds(made[kind][name])
                given = np.isfinite(low)  # a score that hangs on one unit has no interval
                held[method, name].append(((low <= truth[name]) & (truth[name] <= high))[given])
    return {key: float(np.concatenate(parts).mean()) for key, parts in held.items()}


METHODS = {
    "images, percentile": ("images", percentile),
    "units, percentile": ("units", percentile),
    "units, BCa": ("units", bca),
    "maskmill": ("units", ours),
}


def independent(n: int, correlation: float, sets: int = SETS, resamples: int = RESAMPLES) -> Shares:
    """For n groups drawn independently."""

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        rows = predictions(
            rng, group_truths(rng, TOGETHER, n), skills(rng, TOGETHER, n, correlation)
        )
        return {"images": rows.reshape(TOGETHER, -1, rows.shape[-1]), "units": rows.sum(axis=2)}

    return shares(draw, METHODS, population(), sets, resamples)


def blocks(length: int, correlation: float, sets: int = SETS, resamples: int = RESAMPLES) -> Shares:
    """For blocks of `length` images of one sequence, an AR(1) process.

    Each image has this correlation with the one before it.
    """

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        noise = rng.standard_normal((TOGETHER, LENGTH)) * np.sqrt(1 - correlation**2)
        noise[:, 0] /= np.sqrt(1 - correlation**2)
        rows = predictions(
            rng, truths(rng, noise.shape), signal.lfilter([1], [1, -correlation], noise, axis=1)
        )
        return {"units": rows.reshape(TOGETHER, LENGTH // length, length, -1).sum(axis=2)}

    return shares(draw, {"maskmill": METHODS["maskmill"]}, population(), sets, resamples)


def pairs(n: int, better: float, sets: int = SETS, resamples: int = RESAMPLES) -> Shares:
    """How often the interval of the difference of two models on n groups holds 0.

    One model is better than the other by `better`.
    """

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        truth, both = group_truths(rng, TOGETHER, n), skills(rng, TOGETHER, n, 0.5)
        models = [
            predictions(
                rng,
                truth,
                np.sqrt(0.8) * both + np.sqrt(0.2) * skills(rng, TOGETHER, n, 0.5) + more,
            )
            for more in (better, 0.0)
        ]
        return {"units": np.concatenate(models, axis=-1).sum(axis=2)}

    return shares(
        draw,
        {"maskmill": METHODS["maskmill"]},
        dict.fromkeys(SCORED, 0.0),
        sets,
        resamples,
        difference,
    )


def few(
    n: int, share: float, failing: float, sets: int = SETS
) -> dict[tuple[int, str], tuple[float, float]]:
    """Coverage by how many of n groups truly hold the rare class, and how many intervals those are.

    A group holds it in a `share` of cases, and a few false pixels of it are predicted everywhere; a
    share of the groups is `failing`. Counted are the intervals that are given: (least n, score) ->
    share that holds the truth, data sets.
    """

    def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        present = rng.random((count, n, 1)) < share
        truth = truths(rng, (count, n, IMAGES), present)
        truth *= np.exp(rng.normal(0, 0.5, (count, n, 1, 1)))
        lost = 5.0 * (rng.random((count, n, 1)) < failing)
        rows = predictions(rng, truth, skills(rng, count, n, 0.5) - lost)
        rows[..., -1] += 0.002 * np.exp(rng.normal(0, 1, rows.shape[:-1]))
        return rows.sum(axis=2), present.sum(axis=(1, 2))

    rng = np.random.default_rng(2)
    total = sum(draw(rng, 200)[0].sum(axis=(0, 1)) for _ in range(200_000 // (200 * n)))
    truth = {name: float(value) for name, value in scores(torch.from_numpy(total)).items()}
    held = defaultdict(list)
    for _ in range(sets // TOGETHER):
        sums, support = draw(rng, TOGETHER)
        for name, spread in bootstrap.resampled_scores(
            scores, sums, resamples=RESAMPLES, seed=int(rng.integers(2**31))
        ).items():
            with np.errstate(invalid="ignore", divide="ignore"):
                low, high = ours(replace(spread, support=support))
            right = (low <= truth[name]) & (truth[name] <= high)
            for least, most in FEW:
                rows = (support >= least) & (support <= most) & np.isfinite(low)
                held[least, name].append(right[rows])
    found = {key: np.concatenate(parts) for key, parts in held.items()}
    return {key: (float(each.mean()), len(each)) for key, each in found.items() if len(each) >= 100}


def better_by(points: float) -> float:
    """How much better images must be segmented for so many points more dice_foreground."""
    low, high = 0.0, 0.5
    for _ in range(8):
        middle = (low + high) / 2
        gain = population(middle)["dice_foreground"] - population()["dice_foreground"]
        low, high = (middle, high) if 100 * gain < points else (low, middle)
    return low


def row(*cells: object) -> None:
    print(
        "| "
        + " | ".join(
            f"{100 * cell:.1f} %" if isinstance(cell, float) else str(cell) for cell in cells
        )
        + " |"
    )


def few_table(sets: int) -> None:
    """Print how intervals hold that few groups tell, and where groups fail."""
    print("\n| groups | hold the class, expected | failing | hold the class, n | ", end="")
    print("`dice/rare` | `dice_foreground` |\n|---|---|---|---|---|---|")
    for n, share in ((10, 0.6), (20, 0.3), (20, 0.6), (50, 0.2), (50, 0.6)):
        for failing in (0.0, 0.05):
            found = few(n, share, failing, sets)
            for least, most in FEW:
                if (least, "dice/rare") in found:
                    cells = [found[least, name][0] for name in ("dice/rare", "dice_foreground")]
                    parts = [f"{100 * part:.0f} %" for part in (share, failing)]
                    row(n, *parts, f"{least} to {min(most, n)}", *cells)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=SETS, help="data sets behind each row")
    sets = parser.parse_args().sets
    torch.set_num_threads(1)
    print(
        f"| score | groups | correlation | {' | '.join(METHODS)}"
        f" |\n|---|---|---|{'---|' * len(METHODS)}"
    )
    for n in (10, 20, 50, 100):
        for correlation in (0.2, 0.5, 0.8):
            found = independent(n, correlation, sets)
            for name in SCORED:
                row(f"`{name}`", n, str(correlation), *(found[method, name] for method in METHODS))
    lengths = (1, 5, 10, 20)
    print(
        f"\n| correlation | {' | '.join(f'blocks of {length}' for length in lengths)}"
        f" |\n|---|{'---|' * len(lengths)}"
    )
    for correlation in (0.0, 0.5, 0.8, 0.9, 0.95):
        row(
            str(correlation),
            *(blocks(length, correlation, sets)["maskmill", SCORED[0]] for length in lengths),
        )
    few_table(min(sets, 1000))
    print("\n| groups | equal models, told apart | 2 points apart, told apart |\n|---|---|---|")
    better = better_by(2.0)
    for n in (20, 50, 100):
        row(n, *(1 - pairs(n, more, sets)["maskmill", SCORED[0]] for more in (0.0, better)))


if __name__ == "__main__":
    main()
