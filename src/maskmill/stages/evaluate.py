"""evaluate: score one variant on the validation and the test split."""

import logging
import math
from pathlib import Path
from typing import Any

from maskmill.curation import manifest
from maskmill.evaluation import memory
from maskmill.evaluation.cost import Cost, write_cost
from maskmill.evaluation.evaluate import (
    EvaluationResult,
    evaluate_split,
    write_evaluation,
    write_statistics,
)
from maskmill.inference.predict import Predictor
from maskmill.metrics import Labels, create
from maskmill.samples.shards import Shard
from maskmill.settings.config import Data, Evaluation, Inference, Intervals, Paths, Report
from maskmill.statistics import units
from maskmill.statistics.intervals import scores_with_intervals
from maskmill.statistics.scores import Score, clean_name, write_scores

_log = logging.getLogger(__name__)


def evaluate(
    paths: Paths, data: Data, evaluation: Evaluation, metrics: dict[str, dict[str, Any]],
    inference: Inference, intervals: Intervals, report: Report, variant: str,
) -> None:  # fmt: skip
    """Write the scores, the cost and the evaluation reports of a variant.

    The files are metrics/{val,test}/<variant>.{json,parquet}, metrics/cost/<variant>.json and
    reports/evaluation/<variant>/. The .json holds the scores with their intervals, the .parquet the
    statistic of each image that they are made of.
    """
    predictor = Predictor(Path(paths.models) / variant, settings=inference)
    prepared = Path(paths.prepared)
    labels = Labels.of(data)
    families, table = create(metrics, labels), manifest.read(prepared / "manifest.parquet")
    for split in ("val", "test"):
        shard = Shard(prepared / "shards", split)
        result = evaluate_split(
            predictor, shard, metrics=families, labels=labels, primary=evaluation.primary,
            gallery=report.gallery, title=f"{variant} on {split}",
        )  # fmt: skip
        scores = _scores(result, units.units_of_images(shard.ids, table, intervals), intervals)
        out = Path(paths.metrics) / split
        write_scores(out / f"{variant}.json", scores)
        write_statistics(out / f"{variant}.parquet", result)
        for name in (evaluation.primary, clean_name(evaluation.primary)):
            if name in scores and not math.isnan(scores[name].value):
                _log.info(f"{variant}: {name} {scores[name].value:.4f} over {split}")
    write_evaluation(Path(paths.reports) / "evaluation" / variant, result, data.classes)
    largest = max(range(len(shard)), key=lambda i: shard.sizes[i][0] * shard.sizes[i][1])
    memory_mb = memory.memory_mb(predictor, shard[largest][0])
    cost = Cost(predictor.card.parameters, round(result.ms_per_image, 2), memory_mb)
    write_cost(Path(paths.metrics) / "cost" / f"{variant}.json", cost)


def _scores(result: EvaluationResult, of: Any, settings: Intervals) -> dict[str, Score]:
    """Scores over the split, and once more over its clean images where some of them leak.

    Clean images are those that nothing ties to the training images. Where all images leak, their
    scores are NaN.
    """
    scores = scores_with_intervals(result.metrics, result.statistics, of, settings)
    clean = result.images["clean"].to_numpy(bool)
    if not clean.all():
        again = dict.fromkeys(scores, Score(math.nan))
        if clean.any():
            again = scores_with_intervals(
                result.metrics, result.statistics[clean], of[clean], settings
            )
        scores |= {clean_name(name): score for name, score in again.items()}
        scores[clean_name("images")] = Score(float(clean.sum()))
    return scores
