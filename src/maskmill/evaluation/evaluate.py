"""Evaluate one model on one split.

It gives a statistic and facts of each image, one confusion matrix, and what to show.
"""

import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from maskmill.evaluation import image_facts
from maskmill.evaluation.diagnostics import Diagnostics
from maskmill.images import decode
from maskmill.inference.ensemble import Ensemble
from maskmill.inference.predict import Predictor
from maskmill.metrics import Labels, Metrics, Sample
from maskmill.metrics.confusion import confusion_matrix
from maskmill.samples.shards import Shard
from maskmill.system import files


@dataclass(frozen=True)
class EvaluationResult:
    """One model on one split."""

    metrics: Metrics
    statistics: np.ndarray  # (N, S) float64, rows in the order of `images`
    # id, clean, score (the primary metric of the image alone), and `image_facts.FACTS`
    images: pd.DataFrame
    confusion: np.ndarray  # (K, K) int64, rows truth
    diagnostics: dict[str, Any]  # see `diagnostics.Diagnostics.result`
    masks: dict[str, np.ndarray]  # id -> (H, W) uint8: the best, worst and least certain only
    ms_per_image: float  # median time of a prediction, without scoring

    def points(self, *, clean: bool = False) -> dict[str, float]:
        """Return scores by name, over the split or over its clean images.

        Nothing ties clean images to the training images.
        """
        rows = self.statistics[self.images["clean"].to_numpy()] if clean else self.statistics
        totals = torch.from_numpy(rows.sum(axis=0))
        return {name: float(value) for name, value in self.metrics.scores(totals).items()}


def evaluate_split(
    predictor: Predictor | Ensemble,
    shard: Shard,
    *,
    metrics: Metrics,
    labels: Labels,
    primary: str,
    gallery: int,
    title: str,
) -> EvaluationResult:
    """Predict every image of the split, one at a time as serving does, and measure.

    Keeps the masks of the `gallery` best and worst by the image's own primary metric, and of the
    least certain.
    """
    k = len(labels.classes)
    counts, diagnostics = torch.zeros(k, k, dtype=torch.int64), Diagnostics(labels)
    rows: list[torch.Tensor] = []
    facts: list[dict[str, float]] = []
    seconds: list[float] = []
    for image, mask in tqdm(shard, title, unit="image", disable=None, leave=False):
        start = time.perf_counter()
        logits = predictor.logits(image)
        predicted = logits.max(0).indices.to(torch.uint8).cpu()
        seconds.append(time.perf_counter() - start)
        sample = Sample(
            predicted=predicted, truth=torch.tensor(mask), probabilities=logits.softmax(0).cpu()
        )
        rows.append(metrics.statistic(sample))
        counts += confusion_matrix(sample.predicted, sample.truth, labels)
        diagnostics.update(sample)
        own = float(metrics.scores(rows[-1])[primary])
        facts.append({"score": own, **image_facts.facts_of_image(image, sample, labels)})
    images = pd.DataFrame({"id": shard.ids, "clean": shard.clean}).join(pd.DataFrame(facts))
    shown = {name for names in gallery_ids(images, gallery).values() for name in names}
    masks = {name: predictor.predict(shard[shard.ids.index(name)][0]) for name in sorted(shown)}
    return EvaluationResult(
        metrics, torch.stack(rows).numpy(), images, counts.numpy(), diagnostics.result(), masks,
        1000 * statistics.median(seconds),
    )  # fmt: skip


def gallery_ids(images: pd.DataFrame, count: int) -> dict[str, list[str]]:
    """Return the ids of the `count` worst, best and least certain images, each in that order.

    No id stands there twice, and no worst or best image has a score of NaN.
    """
    ranked = images.dropna(subset="score").sort_values(["score", "id"])["id"].tolist()
    worst = ranked[:count]
    best = [name for name in ranked[::-1][:count] if name not in worst]
    doubtful = images.sort_values(["uncertainty", "id"], ascending=[False, True])["id"].tolist()
    return {
        "worst": worst,
        "best": best,
        "uncertain": [n for n in doubtful if n not in (*worst, *best)][:count],
    }


def write_evaluation(folder: Path, evaluation: EvaluationResult, classes: tuple[str, ...]) -> None:
    """Write confusion.csv, images.csv, diagnostics.json and the kept masks.

    The columns of confusion.csv are truth, predicted and pixels.
    """
    cells = [
        {"truth": truth, "predicted": predicted, "pixels": int(evaluation.confusion[i, j])}
        for i, truth in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]
    files.write_text(folder / "confusion.csv", pd.DataFrame(cells).to_csv(index=False))
    files.write_text(folder / "images.csv", evaluation.images.to_csv(index=False))
    files.write_json(folder / "diagnostics.json", evaluation.diagnostics)
    shutil.rmtree(folder / "masks", ignore_errors=True)
    for name, mask in evaluation.masks.items():
        decode.write_png(folder / "masks" / f"{name}.png", mask)


def write_statistics(path: Path, evaluation: EvaluationResult) -> None:
    """Write the statistic of each image as parquet: id, clean, and a column per number."""
    with files.open_atomic(path) as file:
        statistics_table(evaluation).to_parquet(file, index=False)


def statistics_table(evaluation: EvaluationResult) -> pd.DataFrame:
    """The statistic of each image: id, clean, and a column per number."""
    table = pd.DataFrame(evaluation.statistics, columns=list(evaluation.metrics.fields))
    return pd.concat([evaluation.images[["id", "clean"]], table], axis=1)


def read_statistics(path: Path) -> pd.DataFrame:
    """What `write_statistics` wrote."""
    return pd.read_parquet(path)


def read_images(folder: Path) -> pd.DataFrame:
    """images.csv that `write` wrote; an image without a score has NaN."""
    numbers = ["score", *image_facts.FACTS]
    return pd.read_csv(
        folder / "images.csv",
        dtype={"id": str},
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
    )


def read_confusion(folder: Path, classes: tuple[str, ...]) -> np.ndarray:
    """(K, K) int64, rows truth: what `write` wrote."""
    cells = pd.read_csv(
        folder / "confusion.csv", dtype={"truth": str, "predicted": str}, keep_default_na=False
    )
    table = cells.pivot(index="truth", columns="predicted", values="pixels")
    counts: np.ndarray = table.loc[list(classes), list(classes)].to_numpy(np.int64)
    return counts
