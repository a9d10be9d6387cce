"""Networks of maskmill beside those of torchvision, timm and segmentation_models.pytorch.

Each network and its counterpart are factories.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import segmentation_models_pytorch as smp
import timm
import torchvision
from torch import nn

from maskmill import models
from maskmill.models import encoders
from maskmill.models.classifiers import classifier
from maskmill.models.squeeze_excite import SqueezeExcite

CHANNELS, CLASSES = 3, 2
# decoder of 16 to 256 channels, no skip at full resolution
LIKE_SMP = {"decoder_width": 16, "skip_channels": 0}


class Pair(NamedTuple):
    """Two ways to make the same network."""

    peer: str
    ours: Callable[[], nn.Module]
    theirs: Callable[[], nn.Module]


def _encoder(name: str) -> Pair:
    return Pair(
        "smp encoder",
        lambda: getattr(encoders, name)(in_channels=CHANNELS),
        lambda: smp.encoders.get_encoder(name, in_channels=CHANNELS, depth=5, weights=None),
    )


def _classifier(name: str) -> Pair:
    return Pair(
        "torchvision",
        lambda: classifier(name),
        lambda: torchvision.models.get_model(name, weights=None),
    )


def _unet(encoder: str, **options: Any) -> tuple[str, Pair]:
    variant = f"{encoder}_unet"
    pair = Pair(
        "smp Unet",
        lambda: models.create(variant, in_channels=CHANNELS, num_classes=CLASSES, **options),
        lambda: smp.Unet(encoder, encoder_weights=None, in_channels=CHANNELS, classes=CLASSES),
    )
    return ", ".join([variant, *(f"{option}: {value}" for option, value in options.items())]), pair


PAIRS = {
    **{f"encoder {name}": _encoder(name) for name in ("resnet18", "resnet50")},
    **{
        f"classifier {name}": _classifier(name)
        for name in ("resnet18", "resnet50", "resnext50_32x4d")
    },
    "classifier SE-ResNet-50": Pair(
        "timm seresnet50",
        lambda: classifier("resnet50", gate=SqueezeExcite),
        lambda: timm.create_model("seresnet50", pretrained=False),
    ),
    **dict(_unet(name, **LIKE_SMP) for name in ("resnet18", "resnet50")),
    # Not like for like: a skip at full resolution, and at the end also twice the channels of smp's
    # last up-step.
    **dict([_unet("resnet18", decoder_width=16), _unet("resnet18"), _unet("resnet50")]),
}
