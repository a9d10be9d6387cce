"""ensemble: score cross-validation of one variant, and its models together on the test split."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from maskmill.curation import manifest
from maskmill.evaluation import evaluate
from maskmill.inference.ensemble import Ensemble
from maskmill.inference.predict import Predictor
from maskmill.metrics import Labels, Metrics, create
from maskmill.samples.shards import Shard
from maskmill.settings.config import Data, Evaluation, Inference, Intervals, Paths
from maskmill.stages.fold import read_held_out
from maskmill.statistics import units
from maskmill.statistics.intervals import scores_with_intervals
from maskmill.statistics.scores import Score
from maskmill.system import files

_log = logging.getLogger(__name__)


def ensemble(
    paths: Paths, data: Data, evaluation: Evaluation, metrics: dict[str, dict[str, Any]],
    inference: Inference, intervals: Intervals, variant: str, folds: int,
) -> None:  # fmt: skip
    """Write folds/<variant>.json: scores over all held-out images, and of the ensemble on test.

    Held out: each image is predicted by the one model that did not train on it, and the statistics
    of all are summed; one score, not a mean over folds. `folds` gives each fold's own, `members`
    each model's on the test split.
    """
    folders = [Path(paths.folds) / str(number) / variant for number in range(folds)]
    labels = Labels.of(data)
    families, table = (
        create(metrics, labels),
        manifest.read(Path(paths.prepared) / "manifest.parquet"),
    )
    held_out = [read_held_out(folder) for folder in folders]
    members, shard = (
        [Predictor(folder, settings=inference) for folder in folders],
        Shard(Path(paths.prepared) / "shards", "test"),
    )

    def over_test(predictor: Predictor | Ensemble, title: str) -> pd.DataFrame:
        result = evaluate.evaluate_split(
            predictor,
            shard,
            metrics=families,
            labels=labels,
            primary=evaluation.primary,
            gallery=0,
            title=title,
        )
        return evaluate.statistics_table(result)

    def scored(rows: pd.DataFrame) -> dict[str, Score]:
        numbers = rows[list(families.fields)].to_numpy(float)
        return scores_with_intervals(
            families,
            numbers,
            units.units_of_images(rows["id"].tolist(), table, intervals),
            intervals,
        )

    alone = [
        over_test(member, f"{variant}, fold {number}, on test")
        for number, member in enumerate(members)
    ]
    together = over_test(Ensemble(members), f"{variant}, {folds} folds, on test")
    found = {
        "variant": variant, "metric": evaluation.primary,
        "held_out": _plain_scores(scored(pd.concat(held_out))),
        "test": _plain_scores(scored(together)), "folds": _values(families, held_out),
        "members": _values(families, alone),
    }  # fmt: skip
    files.write_json(Path(paths.folds) / f"{variant}.json", found)
    _log.info(_summary_table(found))


def _plain_scores(scores: dict[str, Score]) -> dict[str, dict[str, float | None]]:
    parts = {name: (score.value, score.low, score.high, score.n) for name, score in scores.items()}
    return {
        name: dict(zip(("value", "low", "high", "n"), map(_finite, part), strict=True))
        for name, part in parts.items()
    }


def _values(families: Metrics, tables: Sequence[pd.DataFrame]) -> dict[str, list[float | None]]:
    """Each score, once per table."""
    import torch

    made = [
        families.scores(torch.from_numpy(table[list(families.fields)].to_numpy(float).sum(0)))
        for table in tables
    ]
    return {name: [_finite(float(scores[name])) for scores in made] for name in made[0]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _summary_table(found: dict[str, Any]) -> str:
    """The primary metric of each model, of all held-out images, and of the ensemble, as a table."""
    metric = found["metric"]
    lines = [f"{found['variant']}: {metric}", f"{'':>10}  {'held out':>23}  {'test':>23}"]
    rows = zip(found["folds"][metric], found["members"][metric], strict=True)
    lines += [
        f"{f'fold {i}':>10}  {_number_in_words(own):>23}  {_number_in_words(test):>23}"
        for i, (own, test) in enumerate(rows)
    ]
    held_out, test = (_with_interval(found[part][metric]) for part in ("held_out", "test"))
    lines.append(f"{'together':>10}  {held_out:>23}  {test:>23}")
    return "\n".join(lines)


def _with_interval(score: dict[str, float | None]) -> str:
    bounds = (
        ""
        if score["low"] is None
        else f" [{_number_in_words(score['low'])}, {_number_in_words(score['high'])}]"
    )
    return f"{_number_in_words(score['value'])}{bounds}"


def _number_in_words(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
