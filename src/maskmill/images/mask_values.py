"""The values of a mask, as they come from a file: whole numbers, without alpha, and no data."""

import numpy as np

from maskmill.images import pixels, policy
from maskmill.images.formats.header import DamageError, Header
from maskmill.settings.config import Decoding

NO_DATA = -1  # in a mask of int32: a pixel that its writer left out; it takes part in nothing
_MOST = 65535
_ALLOWED = f"allowed are whole numbers from 0 to {_MOST}, and negative ones or NaN for no data"


def drop_alpha(stored: np.ndarray, header: Header, decoding: Decoding) -> np.ndarray:
    """(H, W, bands) with alpha as the last -> the values alone, (H, W) or (H, W, 3).

    Where `decoding.mask_alpha` is zero, the pixels that are wholly clear become 0, or black; those
    that are partly so, which smoothing makes, keep their values.
    Raises: DamageError where it refuses, for pixels that are not opaque.
    """
    alpha = stored[..., -1]
    values = stored[..., 0] if stored.shape[2] == 2 else stored[..., :-1]
    if not (clear := pixels.count_not_opaque(stored, header)):
        return np.ascontiguousarray(values)
    if decoding.mask_alpha == "refuse":
        raise DamageError(
            f"{clear:,} transparent pixels in a mask; allowed is no alpha, or a full one; export it"
            f" without, or take them for 0, or black, by {policy.WHERE}.mask_alpha: zero"
        )
    values = values.copy()
    values[alpha == 0] = 0
    return values


def to_whole_numbers(stored: np.ndarray) -> np.ndarray:
    """Values of any kind as uint8 or uint16, and as int32 where there are NO_DATA among them.

    Negative numbers and NaN become NO_DATA.
    Raises: DamageError for fractions, and for numbers above 65535.
    """
    if stored.dtype == np.uint8:
        return stored
    if stored.dtype.kind in "ub" or (stored.dtype.kind == "i" and stored.min() >= 0):
        return _narrow(stored)
    with np.errstate(invalid="ignore"):  # a signalling NaN
        known = stored >= 0
        if stored.dtype.kind == "f" and (partial := known & (stored != np.rint(stored))).any():
            raise DamageError(
                f"the value {stored[partial][0]:g} in a mask; {_ALLOWED}; export it so"
            )
    if known.all():
        return _narrow(stored)
    whole = np.full(stored.shape, NO_DATA, np.int32)
    whole[known] = _narrow(stored[known])
    return whole


def _narrow(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 on as uint8 or uint16."""
    if (most := float(numbers.max(initial=0))) > _MOST:  # float16 holds no 65535
        raise DamageError(f"the value {most:.0f} in a mask; {_ALLOWED}; export it so")
    return numbers.astype(np.uint8 if numbers.dtype.itemsize == 1 else np.uint16)
