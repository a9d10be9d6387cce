"""The size of a training image, and whether the crop fits into any image, from headers alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from maskmill import sources
from maskmill.images import decode
from maskmill.settings import config
from maskmill.settings.config import Params
from maskmill.system.errors import MaskmillError

_UPRIGHT = 5  # of the camera's eight orientations the first that swaps height and width


def check_crop(params: Params) -> None:
    """Hold `augmentation.crop_px` against the images of the source, up to the first that it fits.

    Raises: MaskmillError where it is higher and wider than every image: training would see padding
        for the most part.
    """
    crop, largest = params.augmentation.crop_px, (0, 0)
    if crop is None:
        return
    for height, width in _sizes(params):
        if height >= crop[0] or width >= crop[1]:
            return
        largest = max(largest, (height, width))
    if largest != (0, 0):
        raise MaskmillError(
            f"{config.PARAMS}: augmentation.crop_px: got {list(crop)},"
            " and no image is as high or as wide;"
            f" the largest has {list(largest)}; take at most that, or null for whole images"
        )


def size_in_training(params: Params) -> tuple[int, int] | None:
    """Return the height and width of a training image, or None before there is an image.

    They are those of the crop, or else of the first image.
    """
    return params.augmentation.crop_px or next(_sizes(params), None)


def _sizes(params: Params) -> Iterator[tuple[int, int]]:
    """Yield the height and width of each image.

    A source that cannot be listed yields none; its stage reports the error.
    """
    where = Path(params.paths.source_config)
    try:
        pairs = sources.create(
            config.read_yaml(where), Path(params.paths.source), params.data, where
        )
    except MaskmillError:
        return
    for pair in pairs:
        try:
            if pair.image is not None:
                yield _size(pair.image, params.data.decoding)
        except decode.DecodeError:
            continue


def _size(image: Path | Callable[[], np.ndarray], decoding: config.Decoding) -> tuple[int, int]:
    if not isinstance(image, Path):
        height, width = image().shape[:2]
        return int(height), int(width)
    header = decode.header(image, decoding)
    turned = header.orientation >= _UPRIGHT and decoding.exif == "upright"
    return (header.width, header.height) if turned else (header.height, header.width)
