"""Score three rules without a network, which a network must beat to mean anything."""

from collections.abc import Callable, Iterable

import cv2
import numpy as np
import torch

from maskmill.metrics import Labels
from maskmill.metrics.confusion import Confusion
from maskmill.samples.shards import Shard
from maskmill.settings.config import Data

_THUMBNAIL_PX = 48  # side of the images that `nearest_image` compares
Rule = Callable[[np.ndarray], np.ndarray]  # (H, W, C) uint8 -> (H, W) uint8 ids


def baseline_scores(train: Shard, test: Shard, data: Data, primary: str) -> dict[str, float]:
    """The primary metric of each rule on `test`, having seen `train` alone."""
    table = _pixels_per_intensity(train, data)
    common = majority_class(table)
    rules = {
        "intensity look-up table": best_table(table),
        "nearest training image": nearest_image(train, data.ignore_index, common),
        "majority class": common,
    }
    return {name: _score(rule, test, data, primary) for name, rule in rules.items()}


def best_table(pixels: np.ndarray) -> Rule:
    """Return the rule that gives each grey value 0..255 its commonest class.

    `pixels` are (256, K) counts. No other table is right more often.
    """
    winner = pixels.argmax(axis=1).astype(np.uint8)
    return lambda image: winner[_grey(image)]


def majority_class(pixels: np.ndarray) -> Rule:
    """The commonest class everywhere."""
    winner = np.uint8(pixels.sum(axis=0).argmax())
    return lambda image: np.full(image.shape[:2], winner)


def nearest_image(train: Shard, ignore_index: int, otherwise: Rule) -> Rule:
    """Return the rule that gives the mask of the nearest training image, resized to the image.

    The nearest has the least mean squared difference at 48 x 48 px. Where its mask ignores a pixel,
    it is what `otherwise` says.
    """
    thumbnails = np.stack([_thumbnail(image) for image, _ in train])  # (N, 48 * 48) float32

    def rule(image: np.ndarray) -> np.ndarray:
        nearest = int(((thumbnails - _thumbnail(image)) ** 2).mean(axis=1).argmin())
        mask = np.ascontiguousarray(train[nearest][1])
        resized: np.ndarray = cv2.resize(
            mask, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST
        )
        return np.where(resized == ignore_index, otherwise(image), resized)

    return rule


def _score(
    rule: Rule, test: Iterable[tuple[np.ndarray, np.ndarray]], data: Data, primary: str
) -> float:
    confusion = Confusion(Labels.of(data))
    return confusion.over(
        (torch.from_numpy(rule(image)), torch.tensor(mask)) for image, mask in test
    )[primary]


def _pixels_per_intensity(train: Shard, data: Data) -> np.ndarray:
    """(256, K) int64: pixels of each grey value and class."""
    k = len(data.classes)
    counts = np.zeros((256, k), dtype=np.int64)
    for image, mask in train:
        valid = mask != data.ignore_index
        index = _grey(image)[valid].astype(np.int64) * k + mask[valid]
        counts += np.bincount(index, minlength=256 * k).reshape(256, k)
    return counts


def _grey(image: np.ndarray) -> np.ndarray:
    return (
        image[..., 0]
        if image.shape[2] == 1
        else cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    )


def _thumbnail(image: np.ndarray) -> np.ndarray:
    small = cv2.resize(_grey(image), (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    thumbnail: np.ndarray = small.astype(np.float32).ravel()
    return thumbnail
