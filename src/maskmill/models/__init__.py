"""Segmentation networks by name: `create("unet", in_channels=1, num_classes=4, feature_scale=4)`.

Every network maps (N, C, H, W) float to logits (N, num_classes, H, W) for any H and W. One file of
`networks` is one network; `maskmill.settings.network_names` lists names that are short for one with
options. Needs torch alone.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from maskmill.settings import network_names
from maskmill.settings.network_names import names, spelt_out
from maskmill.system import components
from maskmill.system.errors import MaskmillError

__all__ = ["count_parameters", "create", "create_from", "names", "network_options"]

_NETWORKS = "maskmill.models.networks"


def network_options(name: str) -> list[str]:
    """The options of network `name` that params.yaml may set.

    Raises: MaskmillError when there is no such network.
    """
    network, fixed = spelt_out(name)
    known = components.keywords(components.factory(_NETWORKS, network, "network"))
    return [option for option in known if option not in ("in_channels", "num_classes", *fixed)]


def create(name: str, /, *, in_channels: int, num_classes: int, **options: Any) -> nn.Module:
    """Make network `name` with fresh weights.

    Raises: MaskmillError for an unknown network or option, or a value the network refuses.
    """
    return create_from(
        name,
        options,
        f"params.yaml: models.{name}",
        in_channels=in_channels,
        num_classes=num_classes,
    )


def create_from(
    name: str, options: Mapping[str, Any], where: str, *, in_channels: int, num_classes: int
) -> nn.Module:
    """As `create`, from options that a user wrote at `where`, which errors name."""
    network, fixed = spelt_out(name)
    known = network_names.names()
    if name not in known:
        near = components.suggest(name, known)
        raise MaskmillError(f"{where}: {name!r} is no network{near}; there are {', '.join(known)}")
    for option in options.keys() & fixed:
        said = ", ".join(f"{key}: {value}" for key, value in fixed.items())
        raise MaskmillError(
            f"{where}.{option}: got {options[option]!r}, and {name} is short for network: "
            f"{network}, {said}; delete it, or set network: {network} and the options"
        )
    given = {"in_channels": in_channels, "num_classes": num_classes}
    model: nn.Module = components.create(_NETWORKS, network, where, given, fixed | dict(options))
    return model


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(p.numel() for p in model.parameters())
