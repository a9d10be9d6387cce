"""The registered model as MLflow serves it: base64 images in, base64 masks out."""

import base64
from importlib.metadata import version
from typing import Any

import numpy as np

from maskmill.images import decode

_NEEDED = (
    "mlflow",
    "torch",
    "numpy",
    "pandas",
    "pillow",
    "imagecodecs",
    "safetensors",
    "pydantic",
    "ruamel.yaml",
)
_EXAMPLE_PX = 64


def requirements() -> list[str]:
    """What serving needs, in the versions at hand.

    A local build's `+cpu` names no release and is cut off.
    """
    return [f"{name}=={version(name).split('+')[0]}" for name in _NEEDED]


def input_example(channels: int) -> Any:
    """One row of input: a mid-grey 64 x 64 PNG."""
    import pandas as pd

    pixels = np.full((_EXAMPLE_PX, _EXAMPLE_PX, channels), 128, dtype=np.uint8)
    return pd.DataFrame({"image": [base64.b64encode(decode.png_bytes(pixels)).decode()]})
