"""Which variant is put forward, by its validation scores and what it costs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maskmill.evaluation.cost import Cost
from maskmill.settings.config import Selection
from maskmill.statistics import intervals
from maskmill.statistics.scores import Score
from maskmill.statistics.units import ENOUGH

# What a variant may cost at most: setting, field of Cost, what it counts.
_LIMITS = (
    ("max_ms_per_image", "ms_per_image", "ms per image"),
    ("max_parameters", "parameters", "parameters"),
    ("max_memory_mb", "memory_mb", "MB of memory"),
)


@dataclass(frozen=True)
class Candidate:
    """A variant, its primary metric on the validation split, and what it costs."""

    variant: str
    score: Score
    cost: Cost


@dataclass(frozen=True)
class Difference:
    """The score of one variant less that of another, on the same units."""

    a: str
    b: str
    score: Score


@dataclass(frozen=True)
class VariantChoice:
    """The variant put forward, or None, and why."""

    challenger: str | None
    reason: str
    candidates: list[Candidate]  # best first, those over a limit too
    over: dict[str, str]  # variant -> the limit that it is over, in words
    differences: list[Difference]  # of each two candidates, the better one first
    caveat: str = ""  # what the comparison cannot be relied on for

    def as_json(self, metric: str, selection: Selection) -> dict[str, Any]:
        """Return the content of metrics/selection.json.

        A cost that no limit asks for stays out: timings differ from run to run.
        """
        asked = {
            field for setting, field, _ in _LIMITS if getattr(selection, setting) is not None
        } | {"parameters"}
        rows = [
            {"variant": c.variant, "score": _number_or_none(c.score.value),
             "low": _number_or_none(c.score.low), "high": _number_or_none(c.score.high),
             "n": c.score.n,
             **{field: value for field, value in asdict(c.cost).items() if field in asked},
             "over": self.over.get(c.variant)}
            for c in self.candidates
        ]  # fmt: skip
        differences = [
            {
                "a": d.a,
                "b": d.b,
                **{name: _number_or_none(value) for name, value in asdict(d.score).items()},
            }
            for d in self.differences
        ]
        return {
            "challenger": self.challenger, "reason": self.reason, "caveat": self.caveat,
            "metric": metric, "split": "val", "variants": rows, "differences": differences,
        }  # fmt: skip


def choose_variant(
    candidates: Sequence[Candidate],
    compare: Callable[[str, str], Score],
    selection: Selection,
    metric: str,
    caveat: str = "",
) -> VariantChoice:
    """Choose the best variant within the limits; of those that tie with it, the cheapest.

    The cheapest has the fewest parameters.

    `compare` gives the score of one variant less that of another with the paired interval. Two
    variants tie where they are within `selection.tie`, one seed being worth a point or more, and
    where the interval holds 0. With too few units for a claim the interval decides nothing, and
    `tie` alone does. Ties do not chain: all are with the best.
    """
    ranked = sorted(
        candidates, key=lambda c: (-c.score.value if _has_score(c) else math.inf, c.variant)
    )
    differences = [
        Difference(a.variant, b.variant, compare(a.variant, b.variant))
        for i, a in enumerate(ranked)
        for b in ranked[i + 1 :]
    ]
    over = {c.variant: words for c in ranked if (words := _exceeded_limits(c.cost, selection))}
    challenger, reason = _decide(ranked, differences, over, selection, metric)
    if any(d.score.n < ENOUGH for d in differences):
        few = caveat or f"fewer than {ENOUGH} independent units tell {metric}"
        caveat = f"{few}; so no interval decides here, and selection.tie alone says what ties"
    return VariantChoice(challenger, reason, ranked, over, differences, caveat)


def _decide(
    ranked: Sequence[Candidate],
    differences: Sequence[Difference],
    over: Mapping[str, str],
    selection: Selection,
    metric: str,
) -> tuple[str | None, str]:
    out = "; ".join(f"{variant} is out: {words}" for variant, words in over.items())
    within = [c for c in ranked if c.variant not in over]
    if not within:
        return None, f"none is within the limits: {out}"
    best, ending = within[0], f"; {out}" if out else ""
    if not best.score.value >= selection.minimum:
        return None, (
            f"none is good enough: {best.variant} leads with {metric} {best.score.value:.4f},"
            f" at least {selection.minimum} is asked for (selection.minimum){ending}"
        )
    of_best = {d.b: d.score for d in differences if d.a == best.variant}
    tied = {
        c.variant: words
        for c in within[1:]
        if c.score.value >= selection.minimum
        and (words := _tie_reason(of_best[c.variant], selection))
    }
    group = [c for c in within if c is best or c.variant in tied]
    chosen = min(group, key=lambda c: (c.cost.parameters, c.variant))
    if not tied:
        return chosen.variant, f"leads with {metric} {chosen.score.value:.4f} on val{ending}"
    others = [c for c in group if c is not chosen]
    if chosen is best:
        told = ", ".join(f"{c.variant} {c.score.value:.4f} ({tied[c.variant]})" for c in others)
    else:
        also = ", ".join(f"{c.variant} {c.score.value:.4f}" for c in others if c is not best)
        told = f"{best.variant} {best.score.value:.4f} ({tied[chosen.variant]})" + (
            f", {also}" if also else ""
        )
    reason = f"{metric} {chosen.score.value:.4f} on val ties with {told} at the fewest parameters"
    return chosen.variant, reason + ending


def _tie_reason(lead: Score, selection: Selection) -> str:
    """Why a lead of so much is none, in words; "" where it is one."""
    if lead.value <= selection.tie:
        return f"within {selection.tie}"
    if lead.n >= ENOUGH and not intervals.is_significant(lead):
        if math.isnan(lead.low):
            return ""
        return f"{lead.value:.4f} more, and the interval {lead.low:.4f} to {lead.high:.4f} holds 0"
    return ""


def _exceeded_limits(cost: Cost, selection: Selection) -> str:
    """The limits that this cost is over, in words; "" where it is within them."""
    found = []
    for setting, field, counted in _LIMITS:
        most, got = getattr(selection, setting), getattr(cost, field)
        if most is not None and not got <= most:
            found.append(f"{got:,} {counted}, at most {most:,} are allowed (selection.{setting})")
    return ", and ".join(found)


def _has_score(candidate: Candidate) -> bool:
    return math.isfinite(candidate.score.value)


def _number_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
