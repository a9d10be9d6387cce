"""Whole groups into parts of wanted shares, each of which holds its share of every class."""

from collections.abc import Sequence

import numpy as np

from maskmill.curation import coverage

_EMPTY, _ABSENT = 1e4, 1e2  # cost of a part without images, and without a class; shares cost < 20
_ROUNDS = 8  # of moves and swaps, at most
_MOVED, _SWAPPED = 2000, 300  # groups up to which these are tried; many groups need neither
_NOTHING = 1e-12  # of a share: rounding
_BETTER = 1e-9


def stratify_groups(
    amounts: np.ndarray,
    shares: Sequence[float],
    rng: np.random.Generator,
    held: np.ndarray | None = None,
) -> np.ndarray:
    """A part for each group, so that each part holds every class wherever that can be.

    `amounts` (G, A) are each group's images and pixels of each class; `held` (P, A) is what the
    parts hold already. First greedily in a random order, then by moves and swaps as long as they
    help, then by an integer program where a class is lacking that need not be. Of divisions that
    lack as little, one is taken whose images and classes are near the shares (chi-square, the mean
    over classes and that of the images). Returns: (G,) part numbers.
    """
    parts = _Parts(amounts, np.asarray(shares, dtype=float), held)
    order = rng.permutation(len(amounts))
    for i in order:
        parts.put(int(i), parts.best(int(i)))
    parts.improve(order)
    if parts.fill():
        parts.improve(order)
    return parts.of


class _Parts:
    """Groups in parts, and what that costs."""

    def __init__(self, amounts: np.ndarray, shares: np.ndarray, held: np.ndarray | None) -> None:
        before = np.zeros((len(shares), amounts.shape[1])) if held is None else held
        total = amounts.sum(axis=0) + before.sum(axis=0)
        present = total > 0
        self._amounts = amounts[:, present] / total[present]  # of each group, as shares of all
        self._held = before[:, present] > 0
        self._sums = before[:, present] / total[present]
        self._shares = np.maximum(shares, 1e-6)
        count = int(present.sum())
        self._weights = np.full(count, 1 / max(1, count - 1))
        self._weights[0] = 1.0  # the images
        self._absent = np.where(np.arange(count) == 0, _EMPTY, _ABSENT)
        self.of = np.full(len(amounts), -1)

    def put(self, group: int, part: int) -> None:
        """Place a group, or take it out where `part` is -1."""
        for place, sign in ((self.of[group], -1), (part, 1)):
            if place >= 0:
                self._sums[place] += sign * self._amounts[group]
        self.of[group] = part

    def best(self, group: int) -> int:
        """The part in which a group that is in none costs least."""
        after = self._costs(self._sums + self._amounts[group], self._shares)
        return _first_least(after - self._costs(self._sums, self._shares))

    def improve(self, order: np.ndarray) -> None:
        """Move and swap groups as long as that costs less, in the given order."""
        for _ in range(_ROUNDS if len(order) <= _MOVED else 0):
            changes = sum([self._move(int(i)) for i in order])
            if len(order) <= _SWAPPED:
                changes += sum([self._swap(int(i)) for i in order])
            if not changes:
                return

    def fill(self) -> bool:
        """Bring the classes into parts that lack them and need not; whether any group moved."""
        covered = self._sums > _NOTHING
        can_cover = self._held.sum(axis=0) + (self._amounts > 0).sum(axis=0)
        if (covered.sum(axis=0) >= np.minimum(len(covered), can_cover)).all():
            return False
        sizes = self._amounts[:, 0]
        found = coverage.cover_classes(self._amounts > 0, self._held, self.of, sizes)
        moved = np.flatnonzero(found != self.of)
        for group in moved:
            self.put(int(group), int(found[group]))
        return bool(len(moved))

    def _move(self, group: int) -> bool:
        """Put a group where it costs less; whether there was such a part."""
        before, cost = int(self.of[group]), self._cost()
        self.put(group, -1)
        self.put(group, self.best(group))
        if self._cost() < cost - _BETTER:
            return True
        self.put(group, before)
        return False

    def _swap(self, group: int) -> bool:
        """Exchange a group for the best one of another part; whether that costs less."""
        own, now = int(self.of[group]), self._costs(self._sums, self._shares)
        gained = self._amounts - self._amounts[group]  # (G, A) by the group's part, for each other
        costs = self._costs(self._sums[own] + gained, self._shares[own]) - now[own]
        costs += self._costs(self._sums[self.of] - gained, self._shares[self.of]) - now[self.of]
        costs[self.of == own] = 0
        other = _first_least(costs)
        if costs[other] >= -_BETTER:
            return False
        self.put(group, int(self.of[other]))
        self.put(other, own)
        return True

    def _cost(self) -> float:
        return float(self._costs(self._sums, self._shares).sum())

    def _costs(self, sums: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(N, A) what a part holds of all there is, (N,) or () its share -> (N,) what it costs."""
        wanted = shares[..., None]
        apart = (sums - wanted) ** 2 / wanted * self._weights
        costs: np.ndarray = (apart + (sums <= _NOTHING) * self._absent).sum(axis=-1)
        return costs


def _first_least(costs: np.ndarray) -> int:
    """The first of the least, up to rounding, which is not the same on every processor."""
    return int(np.argmin(np.round(costs, 9)))
