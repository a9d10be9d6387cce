"""Segmentation networks by name: `create("unet", in_channels=1, num_classes=4, feature_scale=4)`.

Every network maps (N, C, H, W) float to logits (N, num_classes, H, W) for any H and W. One file of `networks` is one
variant; needs torch alone.
"""

from typing import Any

from torch import nn

from maskmill import components

_NETWORKS = "maskmill.models.networks"


def names() -> list[str]:
    """The variants there are."""
    return components.names(_NETWORKS)


def create(name: str, *, in_channels: int, num_classes: int, **options: Any) -> nn.Module:
    """Make variant `name` with fresh weights.

    Raises: MaskmillError for an unknown variant or option, or a value the variant refuses.
    """
    given = {"in_channels": in_channels, "num_classes": num_classes}
    model: nn.Module = components.create(_NETWORKS, name, f"params.yaml: models.{name}", given, options)
    return model


def parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in model.parameters())
