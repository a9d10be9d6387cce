"""Scores by name with their intervals, as files that later stages read.

Reading them needs none of the libraries that compute them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maskmill.system import files


@dataclass(frozen=True)
class Score:
    """A number and how sure it is."""

    value: float  # NaN where there is nothing to score
    low: float = math.nan  # of the interval; NaN where there is none
    high: float = math.nan
    n: int = 0  # independent units behind the interval, that hold what the score is about
    independent: bool = True  # False: the units are parts of groups, and nothing is decided by them

    def as_json(self) -> dict[str, float | None]:
        """{value, low, high, n}; NaN becomes null."""
        return _without_nan({"value": self.value, "low": self.low, "high": self.high, "n": self.n})


def write_scores(path: Path, scores: Mapping[str, Score]) -> None:
    """Write each score as {value, low, high, n}; NaN becomes null."""
    files.write_json(path, {name: score.as_json() for name, score in scores.items()})


def read_scores(path: Path) -> dict[str, Score]:
    """What `write` wrote."""
    return {
        name: Score(
            _number(part["value"]), _number(part["low"]), _number(part["high"]), int(part["n"])
        )
        for name, part in files.read_json(path).items()
    }


def write_values(path: Path, values: Mapping[str, float]) -> None:
    """Write plain numbers by name; NaN becomes null."""
    files.write_json(path, _without_nan(values))


def read_values(path: Path) -> dict[str, float]:
    """The numbers alone, of what `write` or `write_values` wrote; null becomes NaN."""
    parts = {
        name: part["value"] if isinstance(part, dict) else part
        for name, part in files.read_json(path).items()
    }
    return {name: _number(value) for name, value in parts.items()}


def clean_name(metric: str) -> str:
    """What a score is called that counts only images that nothing ties to the training images."""
    return f"clean/{metric}"


def best_score(scores: Mapping[str, float]) -> tuple[str, float]:
    """The name and value of the best score; NaN loses against any number."""
    return max(scores.items(), key=lambda item: (not math.isnan(item[1]), item[1]))


def score_in_words(score: Score) -> str:
    """A score in words: `0.8639 [0.845, 0.881]`, or the value alone where it has no interval."""
    return f"{number_in_words(score.value)} {interval_in_words(score)}".rstrip()


def interval_in_words(score: Score) -> str:
    """`[0.845, 0.881]`, rounded outwards so that the score stays inside; "" for no interval."""
    if not math.isfinite(score.low):
        return ""
    low, high = (
        sign * math.floor(sign * bound * 1000 + 1e-6) / 1000
        for sign, bound in ((1, score.low), (-1, score.high))
    )
    return f"[{number_in_words(low, 3)}, {number_in_words(high, 3)}]"


def number_in_words(value: float, digits: int = 4) -> str:
    """A number with so many digits behind the point, two fewer from 10 on; a dash for NaN."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.{digits if abs(value) < 10 else max(0, digits - 2)}f}"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
