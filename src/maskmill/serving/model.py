"""The pyfunc model, kept as code: MLflow runs this file to make it and reads no pickle."""

import base64
import binascii
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from maskmill.data import decode
from maskmill.errors import MaskmillError
from maskmill.inference.predict import Predictor


class SegmentationModel(PythonModel):  # type: ignore[misc]
    """Column `image`: base64 of an image file of any size -> columns `mask` (base64 PNG of ids), `weights_sha256`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights that were registered with this code."""
        self._predictor = Predictor(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, object] | None = None
    ) -> pd.DataFrame:
        """One row per image. Raises: MaskmillError naming the row that is no image."""
        card = self._predictor.card
        rows = [
            base64.b64encode(decode.png_bytes(self._predictor.predict(_image(text, row, card.in_channels)))).decode()
            for row, text in enumerate(model_input["image"])
        ]
        return pd.DataFrame({"mask": rows, "weights_sha256": card.sha256})


def _image(text: str, row: int, channels: int) -> np.ndarray:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MaskmillError(f"row {row}: column image is not base64; send the bytes of an image file so") from None
    return decode.image(content, channels, f"row {row}")


mlflow.models.set_model(SegmentationModel())
