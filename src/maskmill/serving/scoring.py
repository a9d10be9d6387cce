"""From base64 images to rows of answers, with one set of limits for each server of a model."""

import base64
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch

from maskmill.images import decode
from maskmill.inference.predict import Predictor
from maskmill.system.errors import MaskmillError
from maskmill.system.processes import usable_cores


@dataclass(frozen=True)
class RequestLimits:
    """What one request may ask for, and what a prediction may take."""

    threads: int  # CPU threads of one prediction
    max_rows: int
    max_pixels: int  # of one image


class AnswerRow(TypedDict):
    """The answer to one image: a mask, or what was wrong."""

    mask: str | None  # base64 of a PNG of class ids, at the image's size
    weights_sha256: str
    error: str | None


class Scorer:
    """Answers requests in a pool of threads that fills the cores and no more.

    Each request has `threads` CPU threads, one image at a time as in evaluation; as many requests
    are worked on at once as there are cores for, and the others wait.

    Raises: MaskmillError when the network gives numbers that are not finite.
    """

    def __init__(self, predictor: Predictor, limits: RequestLimits) -> None:
        self.limits = limits
        self._predictor, self._card = predictor, predictor.card
        grey = np.full((64, 64, self._card.in_channels), 128, np.uint8)
        if not predictor.logits(grey).isfinite().all():
            raise MaskmillError(
                f"{self._card.variant}, weights {self._card.sha256[:16]}..: a grey image gives NaN "
                "or infinity; serve another version (--model), or train it again with a lower "
                "train.learning_rate"
            )
        # PyTorch keeps the number of threads per thread: each worker sets its own.
        self._pool = ThreadPoolExecutor(
            max(1, usable_cores() // limits.threads),
            "scoring",
            torch.set_num_threads,
            (limits.threads,),
        )

    def submit(self, images: Sequence[object]) -> "Future[list[AnswerRow]]":
        """One row per image, in order; the row of a wrong image says what is wrong with it."""
        return self._pool.submit(
            lambda: [self._row(image, f"row {i}") for i, image in enumerate(images)]
        )

    def check_count(self, rows: int) -> None:
        """Raises: MaskmillError when a request holds too many rows."""
        most = self.limits.max_rows
        if rows > most:
            raise MaskmillError(
                f"got {rows:,} rows; at most {most:,} are answered in one request "
                "(services.max_rows in params.yaml); send the others in further requests"
            )

    def failed(self, error: str) -> AnswerRow:
        """The row of an image that has no mask."""
        return {"mask": None, "weights_sha256": self._card.sha256, "error": error}

    def _row(self, image: object, name: str) -> AnswerRow:
        try:
            mask = self._predictor.predict(self._pixels(image, name))
        except MaskmillError as error:
            return self.failed(str(error))
        png = base64.b64encode(decode.png_bytes(mask)).decode()
        return {"mask": png, "weights_sha256": self._card.sha256, "error": None}

    def _pixels(self, image: object, name: str) -> np.ndarray:
        encoded = image_text(image, name)
        try:
            content = base64.b64decode(encoded, validate=True)
        except ValueError:  # another character, or a cut off end
            raise MaskmillError(
                f"{name}: column image is not base64; send the bytes of an image file so"
            ) from None
        return decode.image(
            content, self._card.in_channels, self._card.decoding, name, self.limits.max_pixels
        )


def image_text(image: object, name: str) -> str:
    """A value of column `image`.

    Raises: MaskmillError when it is no string.
    """
    if isinstance(image, str):
        return image
    kind = "null" if image is None else type(image).__name__
    raise MaskmillError(
        f"{name}: column image: got a value of type {kind}; allowed is a base64 string"
    )
