"""The pyfunc model, kept as code: MLflow runs this file to make it and reads no pickle."""

import logging
import os
import secrets
from pathlib import Path

import mlflow
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import ValidationError

from maskmill.inference.predict import Predictor
from maskmill.serving.scoring import AnswerRow, RequestLimits, Scorer
from maskmill.settings.config import Inference
from maskmill.system.errors import MaskmillError

_LOG = logging.getLogger(__name__)


class SegmentationModel(PythonModel):  # type: ignore[misc]
    """Column `image`, base64 of an image file -> `mask`, `weights_sha256`, `error`.

    `mask` is base64 of a PNG of class ids, `error` is null or text.

    Limits: MASKMILL_THREADS, MASKMILL_MAX_ROWS and MASKMILL_MAX_PIXELS in the environment. Section
    `inference` of params.yaml: MASKMILL_INFERENCE, as JSON.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights that were registered with this code."""
        limits = RequestLimits(
            threads=_setting("MASKMILL_THREADS", torch.get_num_threads()),
            max_rows=_setting("MASKMILL_MAX_ROWS", 32),
            max_pixels=_setting("MASKMILL_MAX_PIXELS", 25_000_000),
        )
        predictor = Predictor(Path(context.artifacts["model"]), settings=_inference())
        self._scorer = Scorer(predictor, limits)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, object] | None = None,
    ) -> pd.DataFrame:
        """Return one row per image, with what is wrong with it.

        An error stands in its row, since MLflow answers errors with a stack trace.
        """
        images = model_input["image"].tolist()
        try:
            self._scorer.check_count(len(images))
        except MaskmillError as error:
            return _table([self._scorer.failed(str(error)) for _ in images])
        try:
            return _table(self._scorer.submit(images).result())
        except Exception:
            request = secrets.token_hex(8)
            _LOG.exception("request %s failed", request)
            raise MlflowException(
                f"an error of the server, request {request} in its log", INTERNAL_ERROR
            ) from None


def _table(rows: list[AnswerRow]) -> pd.DataFrame:
    # a column of strings would hold NaN
    return pd.DataFrame(rows, columns=list(AnswerRow.__annotations__), dtype=object)


def _inference() -> Inference:
    text = os.environ.get("MASKMILL_INFERENCE", "{}")
    try:
        return Inference.model_validate_json(text)
    except ValidationError as error:
        raise MaskmillError(
            f"MASKMILL_INFERENCE in the environment: got {text!r}; allowed is JSON of settings"
            f' below `inference` in params.yaml, {{"tile_px": 512}} for example: {error}'
        ) from None


def _setting(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise MaskmillError(
            f"{name} in the environment: got {text!r}; allowed is a whole number from 1"
        )
    return int(text)


mlflow.models.set_model(SegmentationModel())
