"""Where a model is bad: its headline score over parts of the images, worst first."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd

from maskmill.metrics import Metrics
from maskmill.settings.config import Intervals, Slices
from maskmill.statistics.intervals import scores_with_intervals
from maskmill.statistics.scores import Score
from maskmill.statistics.units import ENOUGH, are_independent
from maskmill.system.components import suggest
from maskmill.system.errors import MaskmillError

WORSE, CHANCE = "worse than the rest", "may be chance"
_FACTS = ("brightness", "contrast", "sharpness", "object_px", "foreground")
_MISSING = {"object_px": "no foreground", "foreground": "all ignored"}
_PRESENCE = "px_"  # of a manifest column: the pixels of a class


@dataclass(frozen=True)
class Slice:
    """Images that share something, and what the model is worth on them."""

    column: str
    value: str
    images: int
    score: Score
    verdict: str = ""  # `WORSE`, `CHANCE` where the score is below that of all images, or ""


@dataclass(frozen=True)
class Table(Sequence[Slice]):
    """The slices, worst first, and what to hold against them."""

    slices: tuple[Slice, ...]
    whole: Score  # of all images
    left_out: int  # slices of fewer images than `slices.minimum`
    caution: str  # in words: what many comparisons do

    @overload
    def __getitem__(self, place: int) -> Slice: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Slice, ...]: ...
    def __getitem__(self, place: int | slice) -> Slice | tuple[Slice, ...]:
        return self.slices[place]

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[Slice]:
        return iter(self.slices)


def slice_scores(
    evaluated: pd.DataFrame, images: pd.DataFrame, manifest: pd.DataFrame, metrics: Metrics,
    primary: str, units: np.ndarray, settings: Slices, intervals: Intervals,
) -> Table:  # fmt: skip
    """The primary metric of each slice, with its interval over units.

    It is made of the statistics of the slice's images.

    `evaluated` has id and a column per number of a statistic, `units` (N,) its rows' units;
    `images` has `image_facts`. Sliced by group, look, object size, foreground, presence of each
    class, and the manifest's `slices.columns`. A column in which all images are alike gives none.

    Raises: MaskmillError where `slices.columns` names no column of the manifest.
    """
    check_columns(settings.columns, manifest)
    statistics = evaluated[list(metrics.fields)].to_numpy(np.float64)

    def score(rows: np.ndarray) -> Score:
        return scores_with_intervals(
            metrics, statistics[rows], units[rows], intervals, only=primary
        )[primary]

    whole = score(np.ones(len(evaluated), dtype=bool))
    independent = are_independent(units, evaluated["id"].tolist(), manifest)
    made, left_out = [], 0
    for column, values in slice_values(evaluated["id"], images, manifest, settings).items():
        for value in sorted(set(values)) if len(set(values)) > 1 else ():
            rows = values == value
            if rows.sum() < settings.minimum:
                left_out += 1
                continue
            own = score(rows)
            verdict = _verdict(own, whole, independent=independent)
            made.append(Slice(column, str(value), int(rows.sum()), own, verdict))
    made.sort(key=lambda s: (math.isnan(s.score.value), s.score.value, s.column, s.value))
    return Table(tuple(made), whole, left_out, _caution(len(made), intervals.confidence))


def check_columns(columns: Sequence[str], manifest: pd.DataFrame) -> None:
    """Raises: MaskmillError naming the column that the manifest lacks, and those there are."""
    for column in columns:
        if column not in manifest:
            there = [str(name) for name in manifest.columns]
            raise MaskmillError(
                f"params.yaml: slices.columns: {column!r} is not a column of the"
                f" manifest{suggest(column, there)}; there are {', '.join(there)}; change"
                " slices.columns"
            )


def slice_values(
    ids: pd.Series, images: pd.DataFrame, manifest: pd.DataFrame, settings: Slices
) -> dict[str, np.ndarray]:  # fmt: skip
    """Find what to slice by, and the value of each image in words: column -> (N,) text."""
    rows = manifest.drop_duplicates("id").set_index("id").loc[ids]
    facts = images.drop_duplicates("id").set_index("id").loc[ids]
    made = {"group": by_value(rows["group"])}
    made |= {
        fact: by_quantile(facts[fact], settings.bins, _MISSING.get(fact, "unknown"))
        for fact in _FACTS
    }
    for name in rows.columns:
        if str(name).startswith(_PRESENCE):
            held = np.where(rows[name].to_numpy() > 0, "present", "absent")
            made[f"class {str(name).removeprefix(_PRESENCE)}"] = held
    for name in settings.columns:
        numbers = pd.api.types.is_numeric_dtype(rows[name]) and not pd.api.types.is_bool_dtype(
            rows[name]
        )
        many = numbers and rows[name].nunique() > settings.bins
        made[name] = (
            by_quantile(rows[name], settings.bins, "unknown") if many else by_value(rows[name])
        )
    return made


def by_value(column: pd.Series) -> np.ndarray:
    """(N,) each value as text; "unknown" where there is none."""
    found: np.ndarray = np.where(column.isna(), "unknown", column.map(_text)).astype(str)
    return found


def by_quantile(column: pd.Series, bins: int, missing: str) -> np.ndarray:
    """(N,) the least and greatest value of each one's bin, as "12 to 48".

    Each bin has equally many images. Equal values are never parted, so there are fewer bins where
    many are equal; NaN is `missing`.
    """
    values = column.to_numpy(np.float64, na_value=math.nan)
    made = np.full(len(values), missing, dtype=object)
    given = ~np.isnan(values)
    if given.any():
        edges = np.unique(np.quantile(values[given], np.linspace(0, 1, bins + 1)[1:-1]))
        place = np.searchsorted(edges, values, side="left")
        parts = [given & (place == i) for i in range(len(edges) + 1)]
        ranges = [(values[part].min(), values[part].max()) for part in parts if part.any()]
        for part, label in zip(
            [part for part in parts if part.any()], _labels(ranges), strict=True
        ):
            made[part] = label
    return made.astype(str)


def _labels(ranges: Sequence[tuple[float, float]]) -> list[str]:
    """Each range in as few digits as keep them apart."""
    for digits in range(2, 17):
        texts = [(_text(low, digits), _text(high, digits)) for low, high in ranges]
        apart = all(before[1] != after[0] for before, after in itertools.pairwise(texts))
        if apart:
            break
    return [low if low == high else f"{low} to {high}" for low, high in texts]


def _text(value: object, digits: int = 6) -> str:
    """Numbers without an exponent where they are whole or large."""
    if isinstance(value, float | np.floating):
        return f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return str(value)


def _verdict(own: Score, whole: Score, *, independent: bool) -> str:
    """Whether a slice is worse than all images, in words.

    It is worse only with an interval wholly below the score of all images, over units enough and
    independent.
    """
    if not own.value < whole.value:
        return ""
    return WORSE if own.high < whole.value and own.n >= ENOUGH and independent else CHANCE


def _caution(count: int, confidence: float) -> str:
    if not count:
        return "No slice has images enough."
    expected = count * (1 - confidence) / 2
    return (
        f"{count} slices were compared. The worst of many looks bad by chance alone: of so many,"
        f" about {expected:.1f} would lie wholly below the score of all images although nothing is"
        " wrong. Take a slice as a place to look, and test it on other images."
    )
