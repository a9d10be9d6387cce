"""PNGs that are written row by row are those that every reader reads."""

import io

import numpy as np
import pytest
from PIL import Image

from maskmill.images import decode, png_file


@pytest.mark.parametrize("shape", [(1, 1), (70, 33), (70, 33, 3)], ids=str)
def test_pixels_and_text_come_back(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    file = io.BytesIO()
    parts = (pixels[start : start + 16] for start in range(0, len(pixels), 16))
    bands = shape[2] if len(shape) == 3 else 1
    png_file.write_rows(
        file, shape[:2], bands, parts, {"model": "cells version 3", "of": "Zürich 日"}
    )
    assert np.array_equal(decode.mask(file.getvalue()), pixels)  # all checksums, by libpng
    with Image.open(file) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.text == {"model": "cells version 3", "of": "Zürich 日"}


def test_a_large_mask_takes_several_chunks():
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1000), np.uint8)
    file = io.BytesIO()
    png_file.write_rows(
        file, (1500, 1000), 1, (pixels[i : i + 100] for i in range(0, 1500, 100)), {}
    )
    assert file.getvalue().count(b"IDAT") == 2
    assert np.array_equal(decode.mask(file.getvalue()), pixels)
