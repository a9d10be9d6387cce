"""The fewest moves of groups by which every part holds every class, as far as that can be."""

import numpy as np
from scipy import optimize, sparse

_CANDIDATES = 24  # groups of a class that may move, the smallest: each part needs but one
_NODES = 50  # of the search, at most: a limit of time would make results depend on the clock
_VARIABLES = 1000  # of the program, at most: beyond, the search takes minutes
_EMPTY = 100.0  # what a part without any group counts, against 1 for a part that lacks a class


def cover_classes(
    holds: np.ndarray, held: np.ndarray, parts: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """The part of each group after the moves: fewest lacking classes first, then fewest images.

    `holds` (G, A) bool says which group holds which class, the first column being true; `held`
    (P, A) bool what the parts hold besides; `parts` (G,) where the groups are; `sizes` (G,) how
    large they are, all above 0. An integer program: x[g, p] places a group, y[p, a] is 1 where part
    p lacks class a. Where it would be too large, all stay where they are.
    """
    free = np.flatnonzero(_may_move(holds, sizes))
    fixed = held.copy()
    for group in np.setdiff1d(np.arange(len(parts)), free):
        fixed[parts[group]] |= holds[group]
    of_part, of_class = np.nonzero(~fixed)
    places, lacks = len(free) * len(held), len(of_part)
    if places + lacks > _VARIABLES:
        return parts
    moved = np.repeat(sizes[free] / sizes[free].sum(), len(held)) * 0.9  # together below one class
    moved[np.arange(len(free)) * len(held) + parts[free]] = 0
    one_part = sparse.kron(sparse.eye_array(len(free)), np.ones((1, len(held))))
    covering = sparse.lil_array((lacks, places))
    for row, (part, kind) in enumerate(zip(of_part, of_class, strict=True)):
        covering[row, np.flatnonzero(holds[free, kind]) * len(held) + part] = 1
    rows = sparse.block_array([[one_part, None], [covering, sparse.eye_array(lacks)]], format="csr")
    upper = np.concatenate([np.ones(len(free)), np.full(lacks, np.inf)])
    found = optimize.milp(
        np.concatenate([moved, np.where(of_class == 0, _EMPTY, 1.0)]),
        constraints=optimize.LinearConstraint(rows, np.ones(len(upper)), upper),
        integrality=np.ones(places + lacks),
        bounds=optimize.Bounds(0, 1),
        options={"node_limit": _NODES},
    )
    after = parts.copy()
    if found.x is not None:
        after[free] = found.x[:places].reshape(len(free), len(held)).argmax(axis=1)
    return after


def _may_move(holds: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(G,) bool: the smallest groups of each class."""
    chosen = np.zeros(len(holds), dtype=bool)
    by_size = np.argsort(sizes, kind="stable")
    for kind in range(holds.shape[1]):
        chosen[by_size[holds[by_size, kind]][:_CANDIDATES]] = True
    return chosen
