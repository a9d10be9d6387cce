"""Divide whole groups into parts of wanted shares, balanced in images and in each class."""

from collections.abc import Sequence

import numpy as np

# what a part without images costs, and one without a class that there is
_EMPTY, _ABSENT = 10.0, 0.5
_ROUNDS = 8  # of moves and swaps, at most
_MOVED, _SWAPPED = 2000, 64  # groups up to which these are tried; many small groups need neither


def stratify_groups(
    amounts: np.ndarray,
    shares: Sequence[float],
    rng: np.random.Generator,
    held: np.ndarray | None = None,
) -> np.ndarray:
    """Return a part for each group: first chosen greedily, then improved by moves and swaps.

    The greedy order is random; moves and swaps go on as long as they help. `amounts` (G, A) are
    each group's images and pixels of each class; `held` (P, A) is what the parts hold already. The
    cost of a division is chi-square against the shares, the mean over classes and that of the
    images, and more for a part that lacks images or a class.

    Returns: (G,) part numbers.
    """
    parts = _Parts(amounts, np.asarray(shares, dtype=float), held)
    order = rng.permutation(len(amounts))
    for i in order:
        parts.put(int(i), parts.best(int(i)))
    for _ in range(_ROUNDS if len(amounts) <= _MOVED else 0):
        moved = sum(parts.move(int(i)) for i in order)
        if len(amounts) <= _SWAPPED:
            moved += sum(
                parts.swap(int(i), int(j)) for k, i in enumerate(order) for j in order[k + 1 :]
            )
        if not moved:
            break
    return parts.of


class _Parts:
    """Groups in parts, and what that costs."""

    def __init__(self, amounts: np.ndarray, shares: np.ndarray, held: np.ndarray | None) -> None:
        before = np.zeros((len(shares), amounts.shape[1])) if held is None else held
        total = amounts.sum(axis=0) + before.sum(axis=0)
        present = total > 0
        # of each group, as shares of all there is
        self._amounts = amounts[:, present] / total[present]
        self._sums = before[:, present] / total[present]
        self._shares = np.maximum(shares, 1e-6)[:, None]
        self._weights = np.full(int(present.sum()), 1 / max(1, int(present.sum()) - 1))
        self._weights[0] = 1.0  # the images
        self.of = np.full(len(amounts), -1)

    def put(self, group: int, part: int) -> None:
        """Place a group, or take it out where `part` is -1."""
        for place, sign in ((self.of[group], -1), (part, 1)):
            if place >= 0:
                self._sums[place] += sign * self._amounts[group]
        self.of[group] = part

    def best(self, group: int) -> int:
        """The part in which a group that is in none costs least."""
        return int(
            np.argmin(self._costs(self._sums + self._amounts[group]) - self._costs(self._sums))
        )

    def move(self, group: int) -> bool:
        """Put a group where it costs less; whether there was such a part."""
        before, cost = int(self.of[group]), self._cost()
        self.put(group, -1)
        self.put(group, self.best(group))
        if self._cost() < cost - 1e-9:
            return True
        self.put(group, before)
        return False

    def swap(self, one: int, other: int) -> bool:
        """Exchange two groups where that costs less; whether it did."""
        a, b, cost = int(self.of[one]), int(self.of[other]), self._cost()
        if a == b:
            return False
        self.put(one, b)
        self.put(other, a)
        if self._cost() < cost - 1e-9:
            return True
        self.put(one, a)
        self.put(other, b)
        return False

    def _cost(self) -> float:
        return float(self._costs(self._sums).sum())

    def _costs(self, sums: np.ndarray) -> np.ndarray:
        """(P, A) shares of all there is -> (P,) what each part costs."""
        lacking = sums <= 1e-12
        penalty = _EMPTY * lacking[:, 0] + _ABSENT * (lacking[:, 1:] @ self._weights[1:])
        costs: np.ndarray = ((sums - self._shares) ** 2 / self._shares) @ self._weights + penalty
        return costs
