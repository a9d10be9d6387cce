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
class Winner:
    """The best score of several, which flatters: the same images chose it."""

    value: float
    corrected: float  # what choosing like this scores on other images; NaN where it is not known
    rivals: int  # variants that were compared

    def as_json(self) -> dict[str, Any]:
        """With what is to be said of it."""
        numbers = {"value": self.value, "corrected": self.corrected}
        return {key: _number_or_none(n) for key, n in numbers.items()} | {"text": self.in_words()}

    def in_words(self) -> str:
        """The correction, or the warning; "" where nothing was chosen."""
        if self.rivals < 2 or not math.isfinite(self.value):
            return ""
        best = f"{self.value:.4f} is the best of {self.rivals} on the images that chose it"
        if math.isfinite(self.corrected):
            return f"{best}; corrected for that, {self.corrected:.4f}"
        return f"{best}, which flatters; too few independent units tell by how much"


@dataclass(frozen=True)
class VariantChoice:
    """The variant put forward, or None, and why."""

    challenger: str | None
    reason: str
    candidates: list[Candidate]  # best first, those over a limit too
    over: dict[str, str]  # variant -> the limit that it is over, in words
    differences: list[Difference]  # of each two candidates, the better one first
    winner: "Winner"
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
            {"a": d.a, "b": d.b, **d.score.as_json(), "decides": intervals.decides(d.score)}
            for d in self.differences
        ]
        return {
            "challenger": self.challenger, "reason": self.reason, "caveat": self.caveat,
            "metric": metric, "split": "val", "winner": self.winner.as_json(), "variants": rows,
            "differences": differences,
        }  # fmt: skip


def choose_variant(
    candidates: Sequence[Candidate],
    compare: Callable[[str, str], Score],
    selection: Selection,
    metric: str,
    caveat: str = "",
    corrected: Callable[[Sequence[str]], float] = lambda variants: math.nan,
) -> VariantChoice:
    """Choose the best variant within the limits; of those that tie with it, the cheapest.

    The cheapest has the fewest parameters.

    `compare` gives the score of one variant less that of another with the paired interval. Two
    variants tie where the interval shows that the lead is below `selection.tie`: its upper bound
    is, since an interval that holds 0 may hold a large lead too. Where no interval decides, equal
    scores alone tie. Ties do not chain: all are with the best. `corrected` gives what choosing the
    best of the variants by their scores is worth on other images.
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
    known = [d.score for d in differences if math.isfinite(d.score.value)]
    decided = all(map(intervals.decides, known))
    if not decided:
        few = caveat or f"fewer than {ENOUGH} independent units tell {metric}"
        caveat = f"{few}; so no interval decides here, and the best score leads"
    return VariantChoice(
        challenger, reason, ranked, over, differences, _winner(ranked, over, decided, corrected),
        caveat,
    )  # fmt: skip


def _winner(
    ranked: Sequence[Candidate], over: Mapping[str, str], decided: bool,
    corrected: Callable[[Sequence[str]], float],
) -> Winner:  # fmt: skip
    """The best within the limits, and what its lead is worth where intervals decide."""
    rivals = [c.variant for c in ranked if c.variant not in over and _has_score(c)]
    value = next((c.score.value for c in ranked if c.variant in rivals), math.nan)
    known = corrected(rivals) if decided and len(rivals) > 1 else math.nan
    return Winner(value, min(value, known) if math.isfinite(known) else math.nan, len(rivals))


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
    if lead.value == 0:
        return "equal"
    if intervals.decides(lead) and lead.high < selection.tie:
        return f"{lead.value:.4f} more, at most {lead.high:.4f} by its interval"
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
