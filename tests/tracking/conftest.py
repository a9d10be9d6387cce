"""A real sqlite store in an empty folder, and tiny models to put into it."""

import shutil
from pathlib import Path

import pytest
import torch

from maskmill import models
from maskmill.inference import predict
from maskmill.samples.preprocessing import Preprocessing
from maskmill.settings import config
from maskmill.tracking import stores

ROOT = Path(__file__).parents[2]
COLOURS = {"background": "#000000", "cell": "#0072B2"}


@pytest.fixture
def params() -> config.Params:
    return config.load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sqlite file with MLflow's tables and nothing in them, which takes seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    stores._create_database(path)
    return path


@pytest.fixture
def store(
    tmp_path: Path, params: config.Params, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> stores.Store:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / ".maskmill/mlflow").mkdir(parents=True)
    shutil.copy2(empty_store, tmp_path / ".maskmill/mlflow/mlflow.db")
    return stores.connect_store(params.tracking, params.paths, tmp_path)


def save_model(folder: Path, seed: int) -> predict.Card:
    torch.manual_seed(seed)
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16)
    facts = {
        "variant": "unet", "options": {"feature_scale": 16}, "classes": tuple(COLOURS),
        "background": "background", "ignore_index": 255, "colours": COLOURS, "in_channels": 1,
        "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)), "precision": "fp32",
        "parameters": models.count_parameters(model), "best_step": 1,
    }  # fmt: skip
    return predict.save(folder, model.state_dict(), facts)
