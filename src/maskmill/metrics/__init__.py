"""What a prediction is worth: one family of scores per file.

A family turns each image into a statistic, a few numbers that add up, and makes its scores from
sums of them. So the statistics of images, batches and processes are summed in any order, and those
of resampled units give the intervals. Every score says in `definitions` what it is. A class that is
neither in the truth nor in the prediction has NaN and is left out of means; pixels whose truth is
`ignore_index` take part in nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from maskmill.system import components

ALWAYS = "confusion"  # the family that every evaluation has


class ClassMeaning(Protocol):
    """What says what ids mean, as section `data` of params.yaml does."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def foreground(self) -> tuple[int, ...]: ...
    @property
    def ignore_index(self) -> int: ...


@dataclass(frozen=True)
class Labels:
    """What the ids in a mask mean."""

    classes: tuple[str, ...]  # order = id
    foreground: tuple[int, ...]  # ids of all classes but the background
    ignore_index: int

    @classmethod
    def of(cls, data: ClassMeaning) -> Self:
        """Those of a data set."""
        return cls(data.classes, data.foreground, data.ignore_index)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image's prediction and truth, on the CPU."""

    predicted: Tensor  # (H, W) uint8, class ids
    truth: Tensor  # (H, W) uint8, class ids or ignore_index
    probabilities: Tensor  # (K, H, W) float32, softmax over the classes


class Metric(ABC):
    """A family of scores. One named `.._foreground` is a mean over the foreground classes."""

    fields: tuple[str, ...]  # what the S numbers of a statistic are
    definitions: Mapping[str, str]  # score, or `<score>/` for one of each class -> its definition
    # keys of `definitions` that are better the lower they are; others the higher
    lower: frozenset[str] = frozenset()
    over_all: frozenset[str] = frozenset()  # scores that are means over all classes

    @abstractmethod
    def statistic(self, sample: Sample) -> Tensor:
        """(S,) float64 of one image; those of several images add up."""

    @abstractmethod
    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        """Scores by name from summed statistics: (..., S) -> each (...), float64."""


class Metrics(Metric):
    """Several families as one."""

    def __init__(self, families: Mapping[str, Metric]) -> None:
        self._families = dict(families)
        self.fields = tuple(
            f"{name}:{field}" for name, family in families.items() for field in family.fields
        )
        self.definitions = {
            key: text for family in families.values() for key, text in family.definitions.items()
        }
        self.lower = frozenset().union(*(family.lower for family in families.values()))
        self.over_all = frozenset().union(*(family.over_all for family in families.values()))
        self.names = tuple(self.scores(torch.zeros(len(self.fields), dtype=torch.float64)))

    @property
    def families(self) -> Mapping[str, Metric]:
        """The parts by name, in the order of their fields."""
        return self._families

    def split(self, totals: Tensor) -> dict[str, Tensor]:
        """What belongs to each family by name: (..., S) -> each (..., S of the family)."""
        sizes = [len(family.fields) for family in self._families.values()]
        return dict(zip(self._families, torch.split(totals, sizes, dim=-1), strict=True))

    def statistic(self, sample: Sample) -> Tensor:
        return torch.cat([family.statistic(sample) for family in self._families.values()])

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        parts = self.split(totals)
        return {
            score: value
            for name, family in self._families.items()
            for score, value in family.scores(parts[name]).items()
        }


def create(families: Mapping[str, Mapping[str, Any]], labels: Labels) -> Metrics:
    """The confusion matrix's scores and those of the named families, with their options.

    Raises: MaskmillError for an unknown family or option, or a value that the family refuses.
    """
    wanted = {ALWAYS: {}, **families}
    return Metrics({
        name: components.create(
            __name__, name, f"params.yaml: metrics.{name}", {"labels": labels}, options
        )
        for name, options in wanted.items()
    })  # fmt: skip


def definition_key(score: str) -> str:
    """Return the key of a score in `definitions` and `lower`.

    The scores of single classes share one key: `dice/bar` stands under `dice/`, any other score
    under its own name.
    """
    return score.partition("/")[0] + "/" if "/" in score else score


def by_class(
    name: str, labels: Labels, values: Tensor, ids: Sequence[int] | None = None
) -> dict[str, Tensor]:
    """`name/<class>` -> its score, from values of shape (..., K).

    With `ids` the values are (..., len(ids)), of these classes alone.
    """
    chosen = range(len(labels.classes)) if ids is None else ids
    return {f"{name}/{labels.classes[i]}": values[..., place] for place, i in enumerate(chosen)}


def divide_or_nan(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, NaN where the denominator is 0."""
    return torch.where(denominator > 0, numerator / denominator, torch.nan)
