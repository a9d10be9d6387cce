"""Scores of one model on one split, from one confusion matrix, and the images it does best and worst on."""

import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from maskmill import files
from maskmill.data import decode
from maskmill.data.shards import Shard
from maskmill.evaluation.scores import clean_name
from maskmill.inference.predict import Predictor
from maskmill.metrics.confusion import Confusion


@dataclass(frozen=True)
class Evaluation:
    """One model on one split."""

    scores: dict[
        str, float
    ]  # by `metrics.confusion`: over the split, never a mean over images; see `scores.clean_name`
    confusion: np.ndarray  # (K, K) int64, rows truth
    per_image: pd.DataFrame  # id, score: the primary metric of each image alone
    masks: dict[str, np.ndarray]  # id -> (H, W) uint8, the best and worst only
    ms_per_image: float  # median time of a prediction, without scoring


def evaluate(
    predictor: Predictor, shard: Shard, *, foreground: tuple[int, ...], primary: str, gallery: int, title: str
) -> Evaluation:
    """Predict every image of the split, one at a time as serving does, and count.

    Keeps the `gallery` best and `gallery` worst masks by the image's own primary metric. Where images of the split
    leak, the scores come twice: over all images, and over those that nothing ties to the training images.
    """
    card = predictor.card
    total, clean = (Confusion(card.classes, card.ignore_index) for _ in range(2))
    rows: list[tuple[str, float]] = []
    seconds: list[float] = []
    bar = tqdm(shard, title, unit="image", disable=None, leave=False)
    for name, is_clean, (image, mask) in zip(shard.ids, shard.clean, bar, strict=True):
        one = Confusion(card.classes, card.ignore_index)
        start = time.perf_counter()
        predicted = predictor.predict(image)
        seconds.append(time.perf_counter() - start)
        one.update(predicted, mask)
        total.add(one)
        if is_clean:
            clean.add(one)
        rows.append((name, one.scores(foreground)[primary]))
    per_image = pd.DataFrame(rows, columns=["id", "score"])
    best, worst = best_and_worst(per_image, gallery)
    masks = {name: predictor.predict(shard[shard.ids.index(name)][0]) for name in (*best, *worst)}
    scores = total.scores(foreground)
    if not all(shard.clean):
        scores |= {clean_name(name): score for name, score in clean.scores(foreground).items()}
        scores[clean_name("images")] = sum(shard.clean)
    return Evaluation(scores, total.matrix, per_image, masks, 1000 * statistics.median(seconds))


def best_and_worst(per_image: pd.DataFrame, count: int) -> tuple[list[str], list[str]]:
    """Ids of the `count` highest scores, best first, and of the lowest, worst first; no id in both, NaN in neither."""
    ranked = per_image.dropna(subset="score").sort_values(["score", "id"])["id"].tolist()
    worst = ranked[:count]
    best = [name for name in ranked[::-1][:count] if name not in worst]
    return best, worst


def read_per_image(folder: Path) -> pd.DataFrame:
    """id, score: what `write_details` wrote; an image without a score has NaN."""
    return pd.read_csv(folder / "per_image.csv", dtype={"id": str}, keep_default_na=False, na_values={"score": [""]})


def write_details(folder: Path, evaluation: Evaluation, classes: tuple[str, ...]) -> None:
    """Write confusion.csv (truth, predicted, pixels), per_image.csv and the kept masks."""
    cells = [
        {"truth": truth, "predicted": predicted, "pixels": int(evaluation.confusion[i, j])}
        for i, truth in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]
    files.write_text(folder / "confusion.csv", pd.DataFrame(cells).to_csv(index=False))
    files.write_text(folder / "per_image.csv", evaluation.per_image.to_csv(index=False))
    shutil.rmtree(folder / "masks", ignore_errors=True)
    for name, mask in evaluation.masks.items():
        decode.write_png(folder / "masks" / f"{name}.png", mask)


def read_confusion(folder: Path, classes: tuple[str, ...]) -> np.ndarray:
    """(K, K) int64, rows truth: what `write_details` wrote."""
    cells = pd.read_csv(folder / "confusion.csv", dtype={"truth": str, "predicted": str}, keep_default_na=False)
    table = cells.pivot(index="truth", columns="predicted", values="pixels")
    counts: np.ndarray = table.loc[list(classes), list(classes)].to_numpy(np.int64)
    return counts
