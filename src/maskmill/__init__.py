"""maskmill turns a folder of images and masks into a versioned, gated, served segmentation model.

The data are validated and the model is trained on the way.

    import maskmill
    mask = maskmill.load("models:/icbm152@champion").predict("slice.png")  # (H, W) uint8 class ids
"""

import os
from typing import TYPE_CHECKING

# OpenCV reads its limit once, when it is imported; its own is 2^30 px. This line runs before any
# module here can import it. maskmill decodes no file by OpenCV (images/decode.py); the limit guards
# what a user's code does beside it.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")
# Arrow chooses once too, and its own allocator keeps what each thread has freed.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

if TYPE_CHECKING:
    from maskmill.inference.predict import Predictor

__version__ = "0.2.0"


def load(uri: str) -> "Predictor":
    """A predictor from a registered version: `models:/NAME@champion` or `models:/NAME/3`.

    Raises: MaskmillError when there is no such version, or its weights are not those that were
        registered.
    """
    from maskmill.tracking.registry import load as load_version

    return load_version(uri)
