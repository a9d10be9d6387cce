"""What the gate said of a challenger: its checks, its reasons, and what it could tell at all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

PROMOTED, REFUSED = "promoted", "refused"
KEPT, RECORDED = "kept", "recorded"  # it was the champion already; no promotion in an experiment
AT_LEAST, AT_MOST, ABOVE = "at least", "at most", "above"
_NO_WORSE = "no evidence of a loss beyond"


@dataclass(frozen=True)
class Check:
    """One requirement, what was measured, and the limit that it was held against."""

    name: str
    value: float
    limit: float
    passed: bool
    relation: str = AT_LEAST  # of the value to the limit where it passes
    p: float = math.nan  # that so great a loss is chance; corrected for the number of comparisons
    n: int = 0  # independent units behind the value, where it is a comparison

    @classmethod
    def at_least(cls, name: str, value: float, limit: float) -> "Check":
        """A value that is not a number passes nothing."""
        return cls(name, value, limit, bool(value >= limit))

    @classmethod
    def at_most(cls, name: str, value: float, limit: float) -> "Check":
        """A value that is not a number passes nothing."""
        return cls(name, value, limit, bool(value <= limit), AT_MOST)

    @classmethod
    def above(cls, name: str, value: float, limit: float, n: int) -> "Check":
        """A value that is not a number passes nothing."""
        return cls(name, value, limit, bool(value > limit), ABOVE, n=n)

    @classmethod
    def no_harm(
        cls, name: str, gain: float, margin: float, p: float, alpha: float, n: int
    ) -> "Check":
        """Passes unless a loss so far beyond the margin is chance in less than `alpha` of cases."""
        return cls(name, gain, -margin, not p < alpha, _NO_WORSE, p, n)

    def in_words(self) -> str:
        """Why it failed."""
        if self.relation == _NO_WORSE:
            return (
                f"{self.name} loses {-self.value:.4f}, and that it loses more than "
                f"{-self.limit:g} is sure (p = {self.p:.2g})"
            )
        wrong = {AT_LEAST: "is below", AT_MOST: "is above", ABOVE: "is not above"}[self.relation]
        value = f"{self.value:.4f}" if math.isfinite(self.value) else "no number"
        return f"{self.name}: {value} {wrong} {_limit_in_words(self.limit)}"

    def as_json(self) -> dict[str, Any]:
        """For metrics/registration.json, which has no NaN."""
        return _without_nan(asdict(self))


@dataclass(frozen=True)
class Basis:
    """What a verdict stands on, and what it can tell."""

    # superior, not_inferior; few_units: the point estimate decides; first: no champion yet
    rule: str
    images: int = 0  # of the test split that were compared
    left_out: Mapping[str, int] = field(default_factory=dict)  # why -> images
    units: int = 0  # independent units among them
    gain: float = math.nan  # of the primary metric, challenger less champion
    low: float = math.nan  # of the gain's interval
    high: float = math.nan
    finds: float = (
        math.nan
    )  # the true gain that this rule promotes in 80 % of cases on these images
    mistakes: float = math.nan  # share of challengers without any gain that it promotes
    looks: int = 0  # verdicts that these test images have given, this one among them
    caveats: Sequence[str] = ()
    worse: Sequence[Mapping[str, Any]] = ()  # test images that lost most: id, champion, challenger

    def as_json(self) -> dict[str, Any]:
        """Without NaN."""
        return _without_nan(asdict(self))


@dataclass(frozen=True)
class Verdict:
    """What the gate said: `promoted`, or `refused` with all reasons.

    Where aliases move, `promoted` becomes `kept` for a champion that is challenged by itself,
    `waiting` where a person has to approve, and `recorded` where nothing may be promoted.
    """

    outcome: str
    reason: str
    reasons: list[str]
    checks: list[Check]
    basis: Basis = field(default_factory=lambda: Basis("first"))

    def as_json(self) -> dict[str, Any]:
        """For metrics/registration.json."""
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "reasons": self.reasons,
            "checks": [check.as_json() for check in self.checks],
            "basis": self.basis.as_json(),
        }


def refusal(reason: str, checks: Sequence[Check] = (), basis: Basis | None = None) -> Verdict:
    """A refusal for one reason alone."""
    return Verdict(REFUSED, reason, [reason], list(checks), basis or Basis("none"))


def _limit_in_words(limit: float) -> str:
    return f"{limit:.4f}" if abs(limit) < 1000 else f"{limit:,.0f}"


def _without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
