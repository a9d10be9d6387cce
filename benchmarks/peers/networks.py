"""Networks of maskmill beside the counterparts of torchvision, timm and segmentation_models.pytorch, as factories."""

from collections.abc import Callable
from typing import Any, NamedTuple

import segmentation_models_pytorch as smp
import timm
import torchvision
from torch import Tensor, nn

from maskmill import models
from maskmill.models import encoders
from maskmill.models.blocks import Head
from maskmill.models.classifiers import classifier
from maskmill.models.decoders import UNetDecoder
from maskmill.models.resnet import ResNetEncoder
from maskmill.models.squeeze_excite import SqueezeExcite

CHANNELS, CLASSES = 3, 2
SMP_WIDTHS = (16, 32, 64, 128, 256)  # of smp's U-Net decoder, finest first


class Pair(NamedTuple):
    """Two ways to make the same network."""

    peer: str
    ours: Callable[[], nn.Module]
    theirs: Callable[[], nn.Module]


class SmpShaped(nn.Module):
    """Encoder and U-Net decoder of smp's widths, which has no skip at full resolution."""

    def __init__(self, encoder: ResNetEncoder, num_classes: int = CLASSES) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = UNetDecoder((0, *encoder.channels), SMP_WIDTHS)
        self.head = Head(SMP_WIDTHS[0], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.decoder([x[:, :0], *self.encoder(x)]))


def _encoder(name: str) -> Pair:
    return Pair(
        "smp encoder",
        lambda: getattr(encoders, name)(in_channels=CHANNELS),
        lambda: smp.encoders.get_encoder(name, in_channels=CHANNELS, depth=5, weights=None),
    )


def _classifier(name: str) -> Pair:
    return Pair("torchvision", lambda: classifier(name), lambda: torchvision.models.get_model(name, weights=None))


def _unet(name: str) -> Pair:
    return Pair(
        "smp Unet",
        lambda: SmpShaped(getattr(encoders, name)(in_channels=CHANNELS)),
        lambda: smp.Unet(name, encoder_weights=None, in_channels=CHANNELS, classes=CLASSES),
    )


def _shipped(variant: str, encoder: str, **options: Any) -> Pair:
    return Pair(
        "smp Unet",
        lambda: models.create(variant, in_channels=CHANNELS, num_classes=CLASSES, **options),
        lambda: smp.Unet(encoder, encoder_weights=None, in_channels=CHANNELS, classes=CLASSES),
    )


PAIRS = {
    **{f"encoder {name}": _encoder(name) for name in ("resnet18", "resnet50")},
    **{f"classifier {name}": _classifier(name) for name in ("resnet18", "resnet50", "resnext50_32x4d")},
    "classifier SE-ResNet-50": Pair(
        "timm seresnet50",
        lambda: classifier("resnet50", gate=SqueezeExcite),
        lambda: timm.create_model("seresnet50", pretrained=False),
    ),
    **{f"{name} and UNetDecoder, smp's widths": _unet(name) for name in ("resnet18", "resnet50")},
    # Not like for like: the last up-step has twice the channels of smp's, and joins a skip at full resolution.
    **{f"{name}_unet": _shipped(f"{name}_unet", name) for name in ("resnet18", "resnet50")},
    "resnet18_unet, skip_channels: 0": _shipped("resnet18_unet", "resnet18", skip_channels=0),
}
