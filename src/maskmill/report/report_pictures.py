"""Pictures of the page: galleries, training pairs, augmentation sheet, as room allows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from maskmill.evaluation.evaluate import gallery_ids
from maskmill.report import pictures
from maskmill.samples.shards import Shard
from maskmill.settings.config import Data

_ROOM_BYTES = 14_000_000  # of text, for all galleries of the page
# longest side of a picture: of the leader, and of the variants after it
_LARGE_PX, _SMALL_PX = 512, 256
_SAMPLES, _SAMPLE_PX = 4, 256  # training pairs in the data card
_SHEET_PX = 1190, 8000  # width and height of the augmentation sheet, at most


class Pictures:
    """Tiles as text that stands in the page by itself."""

    def __init__(self, data: Data, test: Shard) -> None:
        self._data, self._test, self._room = data, test, _ROOM_BYTES
        self._background = None if data.background is None else data.classes.index(data.background)
        self._places = {name: place for place, name in enumerate(test.ids)}
        self._longest = _LARGE_PX
        self.left_out = 0  # images for which there was no room

    def galleries(
        self, images: pd.DataFrame, masks: Mapping[str, np.ndarray], count: int
    ) -> dict[str, list[dict[str, Any]]]:
        """The worst, least certain and best images: id, score, uncertainty, and four tiles each.

        Pictures of the first variant asked for, the leader, are larger than those of the others.
        """
        facts = images.set_index("id")
        shown: dict[str, list[dict[str, Any]]] = {}
        chosen = gallery_ids(images, count)
        for title in ("worst", "uncertain", "best"):
            rows = [self._row(name, facts.loc[name], masks[name]) for name in chosen[title]]
            shown[title] = [row for row in rows if row]
        self._longest = _SMALL_PX
        return shown

    def pair_of_models(
        self, row: Mapping[str, Any], champion: np.ndarray, challenger: np.ndarray
    ) -> dict[str, Any]:
        """Four tiles of a test image by two models, with both scores: `row` has its id and them."""
        image, truth = self._test[self._places[row["id"]]]
        masks = {"champion": champion, "challenger": challenger}
        return {
            "id": row["id"],
            "before": row["champion"],
            "after": row["challenger"],
            **self._pair(image, truth, _SMALL_PX),
            **{name: self._overlay(image, mask, _SMALL_PX) for name, mask in masks.items()},
        }

    def samples(self, train: Shard) -> list[dict[str, str]]:
        """Some training pairs, evenly over the split."""
        places = np.linspace(0, len(train) - 1, min(_SAMPLES, len(train))).astype(int).tolist()
        return [{"id": train.ids[i], **self._pair(*train[i], _SAMPLE_PX)} for i in places]

    def sheet(self, picture: np.ndarray) -> str:
        """The augmentation sheet."""
        width, height = _SHEET_PX
        scale = min(1.0, width / picture.shape[1], height / picture.shape[0])
        return pictures.photo_uri(
            pictures.shrink_to_fit(picture, max(1, round(scale * max(picture.shape[:2]))))
        )

    def _row(
        self, name: str, facts: "pd.Series[float]", predicted: np.ndarray
    ) -> dict[str, Any] | None:
        if self._room <= 0:
            self.left_out += 1
            return None
        image, truth = self._test[self._places[name]]
        wrong = pictures.error_map(predicted, truth, self._data.ignore_index)
        tiles = self._pair(image, truth, self._longest) | {
            "predicted": self._overlay(image, predicted, self._longest),
            "error": pictures.data_uri(pictures.shrink_to_fit(wrong, self._longest, ids=True)),
        }
        self._room -= sum(map(len, tiles.values()))
        return {"id": name, "score": facts["score"], "uncertainty": facts["uncertainty"], **tiles}

    def _pair(self, image: np.ndarray, mask: np.ndarray, longest: int) -> dict[str, str]:
        shown = pictures.photo_uri(pictures.shrink_to_fit(pictures.to_rgb(image), longest))
        return {"image": shown, "truth": self._overlay(image, mask, longest)}

    def _overlay(self, image: np.ndarray, mask: np.ndarray, longest: int) -> str:
        over = pictures.overlay(image, mask, self._data.palette, self._background)
        return pictures.photo_uri(pictures.shrink_to_fit(over, longest))
