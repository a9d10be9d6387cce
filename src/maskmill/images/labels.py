"""What a mask's stored values mean: ids of classes, by the table `data.values`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maskmill.images import decode
from maskmill.images.decode import DecodeError
from maskmill.images.moments import histogram
from maskmill.settings.config import IGNORE, Data

_SHOWN = 8
_BLOCK = 4096  # colours whose distances are taken at once


class Ids(NamedTuple):
    """What a mask says, and what of it has no meaning."""

    pixels: np.ndarray  # (H, W) uint8 ids
    counts: np.ndarray  # (256,) int64, pixels of each id
    unknown: dict[str, int]  # stored value or colour without a meaning -> its pixels


def read_ids(path: Path, data: Data) -> np.ndarray:
    """The ids of a mask file, (H, W) uint8.

    Raises: DecodeError for a file that `decode.mask` refuses, and values that have no meaning.
    """
    name = decode.escape_name(str(path))
    found = class_ids(stored_values(path, data), data, name)
    if found.unknown:
        raise DecodeError(f"{name}: {explain_values(found.unknown, data)}")
    return found.pixels


def stored_values(
    source: Path | bytes, data: Data, name: str = "", page: int | None = None
) -> np.ndarray:
    """Return a mask's values as `class_ids` takes them; `page` is that of a stack, from 0.

    They are colours where the table is of them, of a palette or grey file, too; by a threshold,
    what a palette's colours show.
    """
    colours, by_threshold = of_colours(data), data.threshold is not None
    values = decode.mask(
        source,
        data.decoding,
        name,
        palette_colours=colours or by_threshold,
        lossy=by_threshold or data.nearest_colour,
        page=page,
    )
    return np.repeat(values[..., None], 3, axis=2) if colours and values.ndim == 2 else values


def of_colours(data: Data) -> bool:
    """Whether `data.values` names colours."""
    return any(isinstance(key, str) for key in data.values or ())


def class_ids(stored: np.ndarray, data: Data, name: str = "mask") -> Ids:
    """The ids of a mask's stored values.

    With a table, and above 255, what has no meaning is `ignore_index` in the ids; without one it
    stays as it is.

    Raises: DecodeError for colours where the table names numbers, or the other way.
    """
    if data.threshold is not None:
        return _by_threshold(stored, data, data.threshold)
    if of_colours(data):
        return _of_colours(stored, data, name)
    if stored.ndim == 3:
        if (stored[..., :1] != stored).any():
            raise DecodeError(
                f"{name}: a mask of colours; allowed is one value per pixel, or colours in"
                ' data.values of params.yaml, e.g. {"#000000": background, "#ff0000": tumour}'
            )
        stored = np.ascontiguousarray(stored[..., 0])
    if stored.dtype == np.uint8:
        return _of_bytes(stored, data)
    table, known = _tables(data, 65536)
    if stored.dtype == np.int32:  # the last entry, at -1, is that of NO_DATA
        table, known = np.append(table, np.uint8(data.ignore_index)), np.append(known, True)
    found = table[stored]
    return Ids(found, histogram(found), _count_values(stored[~known[stored]], str))


def _by_threshold(stored: np.ndarray, data: Data, threshold: int) -> Ids:
    """Two classes: below the threshold the first, from it on the second.

    Of colours the brightest channel counts. No stored value is `ignore_index`.
    """
    values = stored
    if stored.ndim == 3:
        values = np.maximum(np.maximum(stored[..., 0], stored[..., 1]), stored[..., 2])
    found = (values >= threshold).astype(np.uint8)
    if values.dtype == np.int32:
        found[values == decode.NO_DATA] = data.ignore_index
    return Ids(found, histogram(found), {})


def list_values(unknown: Mapping[str, int]) -> str:
    """Values without a meaning in one short line: photographs as masks would have a million."""
    if len(unknown) <= _SHOWN:
        return " ".join(unknown)
    commonest = sorted(unknown, key=lambda value: -unknown[value])[:_SHOWN]
    return f"{' '.join(commonest)} and {len(unknown) - _SHOWN:,} more"


def explain_values(unknown: Mapping[str, int], data: Data) -> str:
    """What was got, what is allowed and where to change it, of values without a meaning."""
    most = sorted(unknown.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{value} ({pixels:,} px)" for value, pixels in most[:_SHOWN])
    if len(most) > _SHOWN:
        listed += f", and {len(most) - _SHOWN} more"
    if data.values is None:
        allowed = (
            f"0 to {len(data.classes) - 1} (data.classes) and {data.ignore_index}"
            " (data.ignore_index)"
        )
    else:
        allowed = ", ".join(map(str, data.values))
    return (
        f"values without a meaning: {listed}; allowed are {allowed}; add them to data.values in"
        f" params.yaml (value: class, or value: {IGNORE}), or mend the mask"
    )


def _tables(data: Data, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Stored value -> id, and whether it has a meaning."""
    if data.values is None:
        table = np.arange(size).clip(max=256)
        table[256:] = data.ignore_index
        known = np.zeros(size, bool)
        known[[*range(len(data.classes)), data.ignore_index]] = True
        return table.astype(np.uint8), known
    table, known = np.full(size, data.ignore_index, np.uint8), np.zeros(size, bool)
    for value, label in data.values.items():
        if int(value) < size:
            table[int(value)], known[int(value)] = _id(label, data), True
    return table, known


def _of_bytes(stored: np.ndarray, data: Data) -> Ids:
    """By one histogram, and OpenCV's look-up, which is many times as fast as indexing."""
    import cv2

    table, known = _tables(data, 256)
    counts = histogram(stored, np.flatnonzero(known).tolist())
    unknown = {
        str(value): int(counts[value]) for value in np.flatnonzero(np.where(known, 0, counts))
    }
    if data.values is None:
        return Ids(stored, counts, unknown)
    return Ids(
        cv2.LUT(stored, table), np.bincount(table, counts, minlength=256).astype(np.int64), unknown
    )


def _of_colours(stored: np.ndarray, data: Data, name: str) -> Ids:
    if stored.ndim == 2 or stored.dtype != np.uint8:
        raise DecodeError(
            f"{name}: {stored.dtype} values of shape {stored.shape};"
            " data.values in params.yaml names colours, for which (H, W, 3) uint8 is allowed;"
            " give numbers there"
        )
    packed = stored[..., 0].astype(np.uint32) << 16
    packed |= stored[..., 1].astype(np.uint32) << 8
    packed |= stored[..., 2]
    # touched only where colours occur; 0: without a meaning, else 1 + id
    table = np.zeros(1 << 24, np.uint16)
    for colour, label in (data.values or {}).items():
        table[_code(colour)] = 1 + _id(label, data)
    found = table[packed]
    if data.nearest_colour and (strangers := np.unique(packed[found == 0])).size:
        table[strangers] = table[_nearest_colours(strangers, data)]
        found = table[packed]
    out = np.where(found == 0, data.ignore_index, found - 1).astype(np.uint8)
    return Ids(out, histogram(out), _count_values(packed[found == 0], "#{:06x}".format))


def _nearest_colours(strangers: np.ndarray, data: Data) -> np.ndarray:
    """(N,) colours 0xrrggbb -> the colour of the table nearest to each, by Euclid in RGB.

    Of colours that are equally near the table's first one counts.
    """
    named = np.array([_code(colour) for colour in data.values or ()], np.uint32)
    targets = _channels(named)
    nearest = np.empty(len(strangers), np.intp)
    for start in range(0, len(strangers), _BLOCK):
        block = slice(start, start + _BLOCK)
        differences = _channels(strangers[block])[:, None] - targets
        nearest[block] = (differences**2).sum(axis=2).argmin(axis=1)
    return named[nearest]


def _channels(codes: np.ndarray) -> np.ndarray:
    """(N,) colours 0xrrggbb -> (N, 3) int32."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.int32)


def _code(colour: int | str) -> int:
    """`#rrggbb` as 0xrrggbb."""
    return int(str(colour)[1:], 16)


def _count_values(values: np.ndarray, name: Callable[[int], str]) -> dict[str, int]:
    found, counts = np.unique(values, return_counts=True)
    return {
        name(value): count for value, count in zip(found.tolist(), counts.tolist(), strict=True)
    }


def _id(label: str, data: Data) -> int:
    return data.ignore_index if label == IGNORE else data.classes.index(label)
