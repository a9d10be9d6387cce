"""Which variant is put forward, by its validation scores."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from maskmill.config import Selection


@dataclass(frozen=True)
class Candidate:
    """A variant, its primary metric on the validation split, and what it costs."""

    variant: str
    score: float
    parameters: int


@dataclass(frozen=True)
class Choice:
    """The variant put forward, or None, and why."""

    challenger: str | None
    reason: str
    candidates: list[Candidate]  # best first

    def as_json(self, metric: str) -> dict[str, Any]:
        """metrics/selection.json."""
        rows = [asdict(c) | {"score": c.score if math.isfinite(c.score) else None} for c in self.candidates]
        return {
            "challenger": self.challenger,
            "reason": self.reason,
            "metric": metric,
            "split": "val",
            "variants": rows,
        }


def choose(candidates: Mapping[str, Candidate], selection: Selection, metric: str) -> Choice:
    """The best variant; of those within `selection.tie` of it, the one with the fewest parameters.

    One seed is worth a point or more, so a lead within the tie says nothing and the cheaper variant is taken.
    """
    ranked = sorted(candidates.values(), key=lambda c: (-c.score if math.isfinite(c.score) else math.inf, c.variant))
    best = ranked[0]
    if not best.score >= selection.minimum:
        reason = f"none is good enough: {best.variant} leads with {metric} {best.score:.4f}, at least "
        return Choice(None, f"{reason}{selection.minimum} is asked for (selection.minimum)", ranked)
    tied = [c for c in ranked if c.score >= best.score - selection.tie]
    chosen = min(tied, key=lambda c: (c.parameters, c.variant))
    if len(tied) == 1:
        return Choice(chosen.variant, f"leads with {metric} {chosen.score:.4f} on val", ranked)
    others = ", ".join(f"{c.variant} {c.score:.4f}" for c in tied if c is not chosen)
    reason = f"{metric} {chosen.score:.4f} on val ties with {others} (within {selection.tie}) at the fewest parameters"
    return Choice(chosen.variant, reason, ranked)
