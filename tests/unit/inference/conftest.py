"""Small networks that have not learnt anything, saved as models."""

import pytest
import torch

from maskmill import models
from maskmill.inference import predict
from maskmill.samples.preprocessing import Preprocessing


@pytest.fixture
def save_model(tmp_path):
    """A function that saves a small network and gives its folder."""

    def save(channels=1, precision="fp32", network="unet", **facts):
        torch.manual_seed(0)
        options = {"feature_scale": 16}
        model = models.create(network, in_channels=channels, num_classes=4, **options)
        made = {
            "variant": network, "options": options, "classes": ("a", "b", "c", "d"),
            "background": "a", "ignore_index": 255, "colours": dict.fromkeys("abcd", "#000000"),
            "in_channels": channels,
            "preprocessing": Preprocessing(mean=(0.5,) * channels, std=(0.25,) * channels),
            "precision": precision, "parameters": models.count_parameters(model), "best_step": 1,
        }  # fmt: skip
        predict.save(tmp_path / "model", model.state_dict(), made | facts)
        return tmp_path / "model"

    return save
