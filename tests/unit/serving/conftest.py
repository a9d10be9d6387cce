"""A tiny model on disk."""

from pathlib import Path

import pytest
import torch

from maskmill import models
from maskmill.inference import predict
from maskmill.samples.preprocessing import Preprocessing


def save(folder: Path, spoil=lambda weights: None) -> Path:
    torch.manual_seed(0)
    weights = models.create("unet", in_channels=1, num_classes=3, feature_scale=16).state_dict()
    spoil(weights)
    facts = {
        "variant": "unet", "options": {"feature_scale": 16}, "classes": ("a", "b", "c"),
        "background": "a", "ignore_index": 255, "colours": dict.fromkeys("abc", "#000000"),
        "in_channels": 1, "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)),
        "precision": "fp32", "parameters": 1, "best_step": 1,
    }  # fmt: skip
    predict.save(folder, weights, facts)
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"))
