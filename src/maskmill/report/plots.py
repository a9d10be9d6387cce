"""Tables for `dvc plots`, VS Code and Studio, whose templates draw rows as they are."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from maskmill.statistics.scores import Score

_ROWS = 100  # of a true class


def confusion_table(counts: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Columns truth, predicted: 100 rows of each true class that has pixels, from (K, K) counts.

    Each row is one percent of the class's pixels.

    DVC's template `confusion_table` counts rows, so that millions of pixels stand for themselves as
    a hundred.
    """
    rows = [
        (classes[i], classes[j])
        for i in range(len(classes))
        for j, count in enumerate(_rounded(counts[i]))
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["truth", "predicted"])


def class_table(variants: Mapping[str, Mapping[str, Score]], names: Sequence[str]) -> pd.DataFrame:
    """class, dice: of each class and variant, from the scores of each variant on test."""
    rows = [
        (f"{name}, {variant}", scores[f"dice/{name}"].value)
        for name in names
        for variant, scores in variants.items()
    ]
    return pd.DataFrame(rows, columns=["class", "dice"])


def _rounded(counts: np.ndarray) -> list[int]:
    """Whole percents that add up to 100: what is left over goes to the largest remainders."""
    total = int(counts.sum())
    if not total:
        return [0] * len(counts)
    exact = counts * _ROWS / total
    made = np.floor(exact).astype(int)
    made[np.argsort(made - exact, kind="stable")[: _ROWS - made.sum()]] += 1
    return [int(n) for n in made]
