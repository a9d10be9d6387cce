"""NumPy's .npy, for masks: a 2-D array of numbers. A pickle is never read."""

import io
from typing import Any

import numpy as np

from maskmill.images.formats.header import DamageError, Header, Samples, SizeLimits, UnreadError

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def header(content: bytes, limits: SizeLimits) -> Header:
    """Read the header and count the values."""
    shape, _, dtype, start = _described(content)
    if dtype.kind not in "uibf" or len(shape) != 2:
        raise UnreadError(
            f"an array of {dtype} {shape}; read are 2-D arrays of numbers, as masks; save one such"
            " array for each image"
        )
    height, width = shape
    limits(width, height, dtype.itemsize)
    if len(content) != start + width * height * dtype.itemsize:
        raise DamageError(
            f"cut off or damaged: {len(content) - start:,} bytes of values do not make {shape}"
            f" {dtype}"
        )
    return Header("NPY", width, height, 1, dtype.name, bits=8 * dtype.itemsize, pixels_at=start)


def samples(content: bytes, header: Header) -> Samples:
    """The values as they stand there."""
    shape, columns_first, dtype, start = _described(content)
    return (
        np.frombuffer(content, dtype, offset=start).reshape(
            shape, order="F" if columns_first else "C"
        ),
        None,
    )


def _described(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    file = io.BytesIO(content[:20_000])
    try:
        shape, columns_first, dtype = _READERS[np.lib.format.read_magic(file)](file)
    except Exception as error:  # the header is a Python literal, which fails in many ways
        # NumPy goes on with advice that would read pickles
        said, *_ = str(error).splitlines() or [""]
        raise DamageError(f"no header of NumPy: {type(error).__name__}: {said}") from None
    return shape, columns_first, dtype, file.tell()
