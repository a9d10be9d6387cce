"""Masks of champion and challenger of the test images that lost most, for the page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.images import decode
from maskmill.inference.predict import Predictor
from maskmill.samples.shards import Shard
from maskmill.system import files

_FOLDER, _INDEX = "gate", "lost.json"  # below paths.reports
_SIDES = ("champion", "challenger")


def write_masks(
    reports: Path,
    lost: Sequence[Mapping[str, Any]],
    load: Callable[[], tuple[Shard, Predictor, Predictor]] | None = None,
) -> None:
    """Write reports/gate/: lost.json, and the masks of champion and challenger of each image.

    `load` gives the test images, the champion and the challenger; it is asked where an image lost.
    """
    folder = reports / _FOLDER
    files.write_json(folder / _INDEX, list(lost))
    if not lost:
        return
    assert load
    shard, *both = load()
    for place, row in enumerate(lost):
        image = shard[shard.ids.index(row["id"])][0]
        for side, predictor in zip(_SIDES, both, strict=True):
            decode.write_png(folder / f"{place}-{side}.png", predictor.predict(image))


def read_masks(reports: Path) -> list[tuple[Mapping[str, Any], np.ndarray, np.ndarray]]:
    """What `write_masks` wrote: id and scores, the champion's mask, the challenger's."""
    folder = reports / _FOLDER
    rows = files.read_json(folder / _INDEX)
    return [
        (row, *(decode.mask(folder / f"{place}-{side}.png") for side in _SIDES))
        for place, row in enumerate(rows)
    ]
