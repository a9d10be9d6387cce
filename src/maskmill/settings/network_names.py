"""The names of networks: of the files in models/networks, and the shorthands.

A shorthand is short for a network with some of its options.

Settings are held against them without an import of torch.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple


class Shorthand(NamedTuple):
    """What a name is short for, and where that was proposed."""

    network: str
    options: dict[str, Any]
    paper: str


_RESNET, _RESNEXT, _WIDE = "arXiv:1512.03385", "arXiv:1611.05431", "arXiv:1605.07146"
_SE, _SCSE, _ATTENTION = "arXiv:1709.01507", "arXiv:1803.02579", "arXiv:1804.03999"

SHORTHANDS = MappingProxyType(
    {
        "attention_unet": Shorthand("unet", {"skip_gate": "attention"}, _ATTENTION),
        "scse_unet": Shorthand("unet", {"gate": "scse"}, _SCSE),
        "se_unet": Shorthand("unet", {"gate": "se"}, _SE),
        "resnet18_unet": Shorthand("resnet_unet", {"encoder": "resnet18"}, _RESNET),
        "resnet34_unet": Shorthand("resnet_unet", {"encoder": "resnet34"}, _RESNET),
        "resnet50_unet": Shorthand("resnet_unet", {"encoder": "resnet50"}, _RESNET),
        "resnet101_unet": Shorthand("resnet_unet", {"encoder": "resnet101"}, _RESNET),
        "resnet152_unet": Shorthand("resnet_unet", {"encoder": "resnet152"}, _RESNET),
        "resnext50_unet": Shorthand("resnet_unet", {"encoder": "resnext50_32x4d"}, _RESNEXT),
        "wide_resnet50_unet": Shorthand("resnet_unet", {"encoder": "wide_resnet50_2"}, _WIDE),
        "se_resnet18_unet": Shorthand("resnet_unet", {"encoder": "resnet18", "gate": "se"}, _SE),
        "se_resnet34_unet": Shorthand("resnet_unet", {"encoder": "resnet34", "gate": "se"}, _SE),
        "se_resnet50_unet": Shorthand("resnet_unet", {"encoder": "resnet50", "gate": "se"}, _SE),
    }
)


_FILES = Path(__file__).parents[1] / "models/networks"


def names() -> list[str]:
    """All of them, in alphabetical order."""
    return sorted({*(file.stem for file in _FILES.glob("[a-z]*.py")), *SHORTHANDS})


def spelt_out(name: str) -> tuple[str, dict[str, Any]]:
    """The network that `name` stands for, and the options that it implies.

    A file of that name comes first.
    """
    shorthand = None if (_FILES / f"{name}.py").exists() else SHORTHANDS.get(name)
    return (shorthand.network, dict(shorthand.options)) if shorthand else (name, {})
