"""Two models on the same images: the difference of their scores, and how sure that is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from maskmill.metrics import Metrics
from maskmill.settings.config import Intervals, Slices
from maskmill.statistics import intervals, slices
from maskmill.statistics.scores import Score
from maskmill.statistics.units import are_independent, caveat_of_units, units_of_images


def paired_scores(
    metrics: Metrics,
    a: pd.DataFrame,
    b: pd.DataFrame,
    units: np.ndarray,
    settings: Intervals,
    *,
    only: str = "",
    independent: bool = True,
) -> dict[str, Score]:
    """Each score, or the one named `only`, of a less that of b, on the same images.

    `a` and `b` are tables of statistics, with id and `metrics.fields`. `units`: (N,) of a's rows;
    b's may stand in another order.
    """
    fields = list(metrics.fields)
    of_b = b.set_index("id").loc[a["id"], fields]
    return intervals.paired_differences(
        metrics, a[fields].to_numpy(float), of_b.to_numpy(float), units, settings, only=only,
        independent=independent,
    )  # fmt: skip


class Comparison:
    """The headline scores of all variants together: against the leader, and in slices."""

    def __init__(
        self, tables: Mapping[str, Mapping[str, pd.DataFrame]], lead: str, headline: Metrics,
        primary: str, table: pd.DataFrame, settings: Intervals,
    ) -> None:  # fmt: skip
        """Keep the tables, from which `headline` makes the primary score.

        `tables`: split -> variant -> statistic of each image.
        """
        self._tables, self._lead, self._headline, self._primary = tables, lead, headline, primary
        self._manifest, self._settings = table, settings
        self._ids = {split: of[lead]["id"].tolist() for split, of in tables.items()}
        self._units = {
            split: units_of_images(ids, table, settings) for split, ids in self._ids.items()
        }
        self._independent = {
            split: are_independent(self._units[split], ids, table)
            for split, ids in self._ids.items()
        }

    def differences(self, variant: str) -> dict[str, Score]:
        """By split: the primary score of a variant less that of the leader.

        There is nothing for the leader itself.
        """
        return {
            split: paired_scores(
                self._headline,
                of[variant],
                of[self._lead],
                self._units[split],
                self._settings,
                only=self._primary,
                independent=self._independent[split],
            )[self._primary]
            for split, of in self._tables.items()
            if variant != self._lead
        }

    def totals(self, variant: str, metrics: Metrics) -> np.ndarray:
        """(S,) the statistic of the whole test split."""
        summed: np.ndarray = (
            self._tables["test"][variant][list(metrics.fields)].to_numpy(float).sum(axis=0)
        )
        return summed

    def caveat(self) -> str:
        """What the test intervals cannot be relied on for."""
        return caveat_of_units(
            self._units["test"], self._ids["test"], self._manifest, self._settings
        )

    def slices(self, images: pd.DataFrame, settings: Slices) -> slices.Table:
        """Of the leader on test."""
        return slices.slice_scores(
            self._tables["test"][self._lead], images, self._manifest, self._headline, self._primary,
            self._units["test"], settings, self._settings,
        )  # fmt: skip
