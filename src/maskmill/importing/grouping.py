"""Which images belong together, guessed from their names and from how alike neighbours are."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

PATTERNS = (
    r"(?P<group>.+)/\D*(?P<order>\d+)",  # a folder each: patient1/slice_003
    r"(?P<group>.+)/",
    # a prefix and a frame number: 0016E5_00390, Seq05VD_f01110
    r"(?P<group>.+)[_.-][A-Za-z]*(?P<order>\d+)",
)
BLOCKS = 5
_LEAST_STACK = 10
_COMPARED = 60
_NUMBERED = re.compile(r"(\D*)\d+")


def guess_pattern(names: Sequence[str]) -> str | None:
    """Return the first pattern that all names match and that makes useful groups.

    These are two groups or more, most of them of several images.
    """
    for pattern in PATTERNS:
        matches = [re.match(pattern, name) for name in names]
        if pattern.endswith("/"):
            full = all(matches)
        else:
            full = all(
                match and match.end() == len(name)
                for match, name in zip(matches, names, strict=True)
            )
        if not full:
            continue
        sizes = Counter(match["group"] for match in matches if match)
        if len(sizes) > 1 and sum(size > 1 for size in sizes.values()) * 2 > len(sizes):
            return pattern
    return None


def is_stack(names: Sequence[str], thumbnail: Callable[[int], np.ndarray]) -> bool:
    """Tell whether the sorted names are numbered slices of one stack.

    Neighbours in a stack are more alike than others: nine of ten neighbours are nearer than nine of
    ten random pairs. `thumbnail` gives the image at a place as (16, 16) grey levels.
    """
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    if (
        len(names) < _LEAST_STACK
        or len({match and match[1] for match in numbered}) != 1
        or not all(numbered)
    ):
        return False
    rng = np.random.default_rng(0)
    starts = rng.permutation(len(names) - 1)[:_COMPARED]
    far = [
        (a, b)
        for a, b in rng.integers(0, len(names), (4 * _COMPARED, 2))
        if abs(a - b) > max(3, len(names) // 10)
    ]
    made: dict[int, np.ndarray] = {}

    def apart(a: int, b: int) -> float:
        for place in (a, b):
            if place not in made:
                grey = thumbnail(place).astype(np.float64)
                made[place] = (grey - grey.mean()) / (grey.std() or 1)
        return float(np.abs(made[a] - made[b]).mean())

    near = [apart(int(a), int(a) + 1) for a in starts]
    return bool(
        np.quantile(near, 0.9)
        < np.quantile([apart(int(a), int(b)) for a, b in far[:_COMPARED]], 0.1)
    )
