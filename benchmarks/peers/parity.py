"""PYTHONPATH=src .venv-peers/bin/python benchmarks/peers/parity.py: equal weights give equal maps.

Each network of maskmill is held against its peer. Random weights and statistics, one image of 97 x
160 px, evaluation mode. For each network: the worst difference of all maps, relative to the largest
value of the map that it is in, and the number of parameters beside the published one. Exits with 1
where a difference is above 1e-5, or a number is another. `make bench-peers` sets up the
environment.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import segmentation_models_pytorch as smp
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from maskmill.models import count_parameters, encoders
from maskmill.models.classifiers import classifier
from maskmill.models.decoders import UNetDecoder, Upsampling
from maskmill.models.squeeze_excite import SqueezeExcite

LIMIT = 1e-5
# With 1000 classes, from the table of torchvision's documentation; SE-ResNet-50 from timm's card.
PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
}
SE_RESNET50 = 28_088_024
SMP_WIDTHS = (16, 32, 64, 128, 256)  # of smp's U-Net decoder, finest first


class Row(NamedTuple):
    """What one network was held against, and what came out."""

    name: str
    peer: str
    difference: float
    count_parameters: int
    published: int | None


def main() -> int:
    rows = [
        *(against_torchvision(name) for name in PUBLISHED),
        *(classifies(name) for name in ("resnet18", "resnet50")),
    ]
    rows += [se_resnet50(), smp_decoder()]
    print(
        "| network | peer | worst relative difference | parameters | published"
        " |\n|---|---|---|---|---|"
    )
    for row in rows:
        published = f"{row.published:,}" if row.published else ""
        print(
            f"| {row.name} | {row.peer} | {row.difference:.1e} | {row.parameters:,} | {published} |"
        )
    wrong = [
        row.name
        for row in rows
        if not row.difference <= LIMIT or row.published not in (None, row.parameters)
    ]
    print(
        f"{len(rows) - len(wrong)} of {len(rows)} agree"
        + (f"; not: {', '.join(wrong)}" if wrong else "")
    )
    return 1 if wrong else 0


def against_torchvision(name: str) -> Row:
    """The five maps of an encoder."""
    peer = randomised(torchvision.models.get_model(name, weights=None))
    ours = getattr(encoders, name)(in_channels=3).eval()
    ours.load_state_dict(
        {key: value for key, value in peer.state_dict().items() if not key.startswith("fc.")}
    )
    counted = count_parameters(classifier(name))
    return Row(
        name,
        "torchvision",
        worst(ours(image()), residual_maps(peer, image())),
        counted,
        PUBLISHED[name],
    )


def classifies(name: str) -> Row:
    """All of torchvision's keys, and the same logits."""
    peer, ours = (
        randomised(torchvision.models.get_model(name, weights=None)),
        classifier(name).eval(),
    )
    ours.load_state_dict(peer.state_dict())
    difference = worst([ours(image())], [peer(image())])
    return Row(
        f"{name}, classifier", "torchvision", difference, count_parameters(ours), PUBLISHED[name]
    )


def se_resnet50() -> Row:
    """In timm the gate and its layers have other names."""
    peer = randomised(timm.create_model("seresnet50", pretrained=False))
    ours = encoders.resnet50(in_channels=3, gate=SqueezeExcite).eval()
    names = {".se.fc1.": ".gate.squeeze.", ".se.fc2.": ".gate.excite."}
    ours.load_state_dict(
        {renamed(k, names): v for k, v in peer.state_dict().items() if not k.startswith("fc.")}
    )
    counted = count_parameters(classifier("resnet50", gate=SqueezeExcite))
    maps = residual_maps(peer, image(), relu="act1")
    return Row(
        "resnet50, gate SqueezeExcite",
        "timm seresnet50",
        worst(ours(image()), maps),
        counted,
        SE_RESNET50,
    )


def smp_decoder() -> Row:
    """A U-Net decoder of smp's widths, with nearest upsampling and no skip at full resolution.

    The upsampling has no convolution.
    """
    peer = randomised(smp.Unet("resnet18", encoder_weights=None, decoder_channels=SMP_WIDTHS[::-1]))
    kept = Upsampling(
        lambda below, out: nn.Conv2d(below, below, 1, bias=False),
        partial(F.interpolate, mode="nearest"),
    )
    ours = UNetDecoder((0, 64, 64, 128, 256, 512), SMP_WIDTHS, upsampling=kept).eval()
    state = ours.state_dict()
    for depth, block in enumerate(reversed(peer.decoder.blocks)):
        below = state[f"ups.{depth}.reduce.weight"]
        below.copy_(torch.eye(len(below))[:, :, None, None])
        for i, part in enumerate((block.conv1, block.conv2)):
            conv, norm = part[0], part[1]
            weight = conv.weight.detach()
            # smp joins (up, skip), maskmill (skip, up)
            joined = (
                torch.cat([weight[:, len(below) :], weight[:, : len(below)]], 1)
                if i == 0
                else weight
            )
            state[f"ups.{depth}.convs.{3 * i}.weight"].copy_(joined)
            for key, value in norm.state_dict().items():
                state[f"ups.{depth}.convs.{3 * i + 1}.{key}"].copy_(value)
    maps = peer.encoder(image(multiple=32))[1:]
    empty = torch.empty(1, 0, 96, 160)
    difference = worst([ours([empty, *maps])], [peer.decoder([image(multiple=32), *maps])])
    counted = count_parameters(ours) - sum(up.reduce.weight.numel() for up in ours.ups)
    return Row(
        "UNetDecoder of smp's widths",
        "smp Unet",
        difference,
        counted,
        count_parameters(peer.decoder),
    )


def residual_maps(peer: nn.Module, x: Tensor, relu: str = "relu") -> list[Tensor]:
    """The maps of a peer's stem and four stages, in the order that both peers name them."""
    maps = [getattr(peer, relu)(peer.bn1(peer.conv1(x)))]
    x = peer.maxpool(maps[0])
    for stage in (peer.layer1, peer.layer2, peer.layer3, peer.layer4):
        x = stage(x)
        maps.append(x)
    return maps


def randomised(model: nn.Module) -> nn.Module:
    """Norms that differ from channel to channel, so that no wrong key goes unnoticed."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def image(multiple: int = 1) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(1, 3, 97 // multiple * multiple, 160)


def worst(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    assert len(ours) == len(theirs)
    return max(
        float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True)
    )


def renamed(key: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        key = key.replace(old, new)
    return key


if __name__ == "__main__":
    with torch.no_grad():
        sys.exit(main())
