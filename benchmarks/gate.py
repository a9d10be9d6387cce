"""make bench-gate: what the gate promotes and refuses, by simulation on the shipped code.

Champion and variants are scored on the same images, whose difficulty they share; each has noise of
its own in each image and class. The variants compete on a validation split of the same size first,
and the one with the best score goes to the gate, so that the winner's luck there is part of what is
counted. Prints the table of docs/gate.md; 5 minutes of one core.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import torch
from scipy import special

from maskmill.decisions.gate import Contender, Rules, TestImages, judge
from maskmill.decisions.verdict import PROMOTED
from maskmill.metrics import Labels, create
from maskmill.settings.config import Gate, Intervals
from maskmill.statistics.units import ENOUGH

CLASSES = ("background", "a", "b", "c", "rare")
HEADLINE = create({}, Labels(CLASSES, (1, 2, 3, 4), 255))
FIELDS = list(HEADLINE.fields)
PRIMARY, RARE = "dice_foreground", "dice/rare"
SETS, POPULATION = 200, 20_000
INTERVALS = Intervals(resamples=1000)

Shift = tuple[float, ...]  # how much better each class is segmented, in log-odds


@dataclass(frozen=True)
class Case:
    """What a test set is like; the validation split is alike."""

    groups: int = 200
    images: int = 1  # of a group
    correlation: float = (
        0.5  # of how hard the images of a group are, and of how well a model does on them
    )
    noise: float = 0.3  # of a model, in an image and in a class of it, in log-odds
    support: int = 50  # groups that hold the rare class
    variants: int = 3
    rule: str = "superior"


def truths(rng: np.random.Generator, case: Case, groups: int, support: int) -> np.ndarray:
    """(groups, images, 5) true pixels, log-normal; the rare class is in `support` groups."""
    size = np.exp(rng.normal(0, 0.7, (groups, case.images, 4))) * [1, 1, 1, 0.5]
    size[rng.permutation(groups)[support:], :, 3] = 0
    return np.concatenate([10 - size.sum(-1, keepdims=True).clip(max=9), size], axis=-1)


def correlated(
    rng: np.random.Generator, case: Case, shape: tuple[int, ...], inner: tuple[int, ...] = ()
) -> np.ndarray:
    """(*shape, images, *inner) standard normal, of this correlation within each group."""
    shared = rng.standard_normal((*shape, 1, *inner))
    own = rng.standard_normal((*shape, case.images, *inner))
    part = case.correlation if case.images > 1 else 0.0
    return np.sqrt(part) * shared + np.sqrt(1 - part) * own


def predictions(
    rng: np.random.Generator, case: Case, truth: np.ndarray, hard: np.ndarray, shift: Shift
) -> np.ndarray:
    """(N, 15) hits, true and predicted pixels of a model that is better by `shift`."""
    groups = truth.shape[0]
    noise = correlated(rng, case, (groups,))[..., None] + correlated(rng, case, (groups,), (5,))
    right = special.expit(1.7 + 0.8 * hard[..., None] + case.noise * noise + np.asarray(shift))
    hits, wrong = truth * right, truth * (1 - right) * np.exp(rng.normal(0, 0.2, truth.shape))
    return np.concatenate([hits, truth, hits + wrong], axis=-1).reshape(-1, 15)


def splits(
    rng: np.random.Generator, case: Case, shifts: list[Shift], groups: int, support: int
) -> Iterator[np.ndarray]:
    """The statistics of models on the same images, of one split."""
    truth, hard = truths(rng, case, groups, support), correlated(rng, case, (groups,))
    for shift in shifts:
        yield predictions(rng, case, truth, hard, shift)


def score(rows: np.ndarray, name: str = PRIMARY) -> float:
    return float(HEADLINE.scores(torch.from_numpy(rows.sum(axis=0)))[name])


@cache
def gain_of(case: Case, shift: Shift, name: str) -> float:
    """The true gain of a shift."""
    rng, groups = np.random.default_rng(1), POPULATION // case.images
    support = round(groups * case.support / case.groups)
    ours, theirs = splits(rng, case, [shift, (0.0,) * 5], groups, support)
    return score(ours, name) - score(theirs, name)


def shift_for(
    case: Case, points: float, name: str, places: tuple[int, ...], base: Shift = (0.0,) * 5
) -> Shift:
    """The shift of the classes `places` that gains so many points in a score."""
    low, high, made = -3.0, 3.0, base
    for _ in range(14):
        middle = (low + high) / 2
        made = tuple(middle if i in places else base[i] for i in range(5))
        low, high = (middle, high) if 100 * gain_of(case, made, name) < points else (low, middle)
    return made


def changes(case: Case) -> dict[str, Shift]:
    """What the variants truly are, against the champion."""
    every, drop = tuple(range(5)), shift_for(case, -5, RARE, (4,))
    return {
        "none": (0.0,) * 5,
        "-1 point": shift_for(case, -1, PRIMARY, every),
        "+2 points": shift_for(case, 2, PRIMARY, every),
        "rare -5": drop,
        "rare -5, mean +1": shift_for(case, 1, PRIMARY, (0, 1, 2, 3), drop),
    }


def is_promoted(rng: np.random.Generator, case: Case, shift: Shift) -> bool:
    """Whether the variant that leads on validation passes the gate."""
    models = [shift] * case.variants
    scores = [score(rows) for rows in splits(rng, case, models, case.groups, case.support)]
    best = int(np.argmax(scores))  # the luck of this one ends with the validation split
    champion, *others = splits(rng, case, [(0.0,) * 5, *models], case.groups, case.support)
    n = len(champion)
    ids = [str(i) for i in range(n)]
    tables = [
        pd.DataFrame(rows, columns=FIELDS).assign(id=ids) for rows in (others[best], champion)
    ]
    test = TestImages(ids, ids, np.ones(n, bool), np.arange(n) // case.images, independent=True)
    settings = Intervals(resamples=INTERVALS.resamples, seed=int(rng.integers(2**31)))
    margin = 0.01 if case.rule == "not_inferior" else 0.0
    rules = Rules(Gate(minimum={}, rule=case.rule, margin=margin), PRIMARY, HEADLINE, settings)
    ours, theirs = (
        Contender(name, table, frozenset())
        for name, table in zip(("new", "old"), tables, strict=True)
    )
    return judge(ours, theirs, test, rules, {PRIMARY: 1.0}, None).outcome == PROMOTED


CASES = (
    Case(variants=1),
    Case(),
    Case(variants=8),
    Case(rule="not_inferior"),
    Case(noise=0.6),
    Case(support=200),
    Case(support=10),
    Case(groups=500, support=125),
    Case(groups=100, support=25),
    Case(groups=50, support=12),
    Case(groups=20, support=10),
    Case(groups=40, images=5, support=10),
    Case(groups=40, images=5, correlation=0.8, support=10),
    Case(groups=19, support=10),
    Case(groups=10, support=5),
    Case(groups=5, support=3),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=SETS, help="test sets behind each cell")
    sets = parser.parse_args().sets
    torch.set_num_threads(1)
    names = list(changes(CASES[0]))
    print(
        f"| units | images of each | noise | hold `rare` | variants | rule | {' | '.join(names)} |"
    )
    print(f"|{'---|' * (6 + len(names))}")
    for case in CASES:
        cells = []
        for place, shift in enumerate(changes(case).values()):
            rng = np.random.default_rng(place)
            cells.append(np.mean([is_promoted(rng, case, shift) for _ in range(sets)]))
        alike = f"{case.images}, correlation {case.correlation}" if case.images > 1 else "1"
        rule = case.rule if case.groups >= ENOUGH else "few_units"
        row = [case.groups, alike, case.noise, case.support, case.variants, f"`{rule}`"]
        print(
            f"| {' | '.join(map(str, row))} | {' | '.join(f'{100 * c:.1f} %' for c in cells)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
