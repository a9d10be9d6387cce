"""Scores by name, as files that every later stage reads; without the libraries that compute them."""

import math
from collections.abc import Mapping
from pathlib import Path

from maskmill import files


def write(path: Path, scores: Mapping[str, float]) -> None:
    """Write scores by name; NaN (an absent class) becomes null."""
    files.write_json(path, {name: value if math.isfinite(value) else None for name, value in scores.items()})


def read(path: Path) -> dict[str, float]:
    """What `write` wrote; null becomes NaN."""
    return {name: math.nan if value is None else value for name, value in files.read_json(path).items()}


def clean_name(metric: str) -> str:
    """What a score is called that counts only images that nothing ties to the training images."""
    return f"clean/{metric}"


def best(scores: Mapping[str, float]) -> tuple[str, float]:
    """The name and value of the best score; NaN loses against any number."""
    return max(scores.items(), key=lambda item: (not math.isnan(item[1]), item[1]))
