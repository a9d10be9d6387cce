"""Registered weights stay loadable: shipped variants keep names and shapes of what they save."""

import hashlib

import pytest
import torch

from maskmill import models


@pytest.mark.parametrize(
    ("name", "options", "digest"),
    [
        ("unet", {"feature_scale": 4}, "5f16c0a3907c7713"),
        ("resnet18_unet", {"width": 32, "skip_channels": 8}, "18709887765b5e7c"),
        (
            "se_resnet18_unet",
            {"width": 32, "skip_channels": 8, "reduction": 16},
            "93ebb43dd39bb709",
        ),
    ],
)
def test_names_and_shapes_are_those_of_version_0_1(name, options, digest):
    with torch.device("meta"):
        model = models.create(name, in_channels=1, num_classes=4, **options)
    lines = sorted(f"{key} {tuple(value.shape)}" for key, value in model.state_dict().items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest
