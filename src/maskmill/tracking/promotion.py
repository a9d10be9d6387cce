"""The gate: what a challenger must show to replace the champion, and how it replaces it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from maskmill.inference.predict import Predictor
from maskmill.settings.config import Gate
from maskmill.system.errors import MaskmillError
from maskmill.tracking import champions, interventions, ledger, registry
from maskmill.tracking.champions import Standing
from maskmill.tracking.ledger import Draft, Ledger
from maskmill.tracking.registry import CHALLENGER, SHA256, TEST_DIGEST, TEST_SCORES
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

KEPT, RECORDED = "kept", "recorded"  # outcomes that the ledger does not hold
Evaluate = Callable[[Predictor], Mapping[str, float]]


@dataclass(frozen=True)
class Check:
    """One requirement, what was measured, and the least that passes."""

    name: str
    value: float
    limit: float

    @property
    def passed(self) -> bool:
        """A value that is not a number passes nothing."""
        return bool(self.value >= self.limit)

    def as_json(self) -> dict[str, Any]:
        """For metrics/registration.json, which has no NaN."""
        numbers = {
            key: n if math.isfinite(n) else None
            for key, n in (("value", self.value), ("limit", self.limit))
        }
        return asdict(self) | numbers | {"passed": self.passed}


@dataclass(frozen=True)
class Verdict:
    """What the gate said: `promoted`, `refused`, `waiting`, `kept` or `recorded`.

    `waiting`: it passed, and a person has to approve; `kept`: it was the champion already;
    `recorded`: it passed in an experiment, where nothing is promoted.
    """

    outcome: str
    reason: str
    checks: list[Check]


def gate_checks(
    scores: Mapping[str, float], champion: Mapping[str, float] | None, gate: Gate, primary: str
) -> list[Check]:
    """Check test scores against the minimum scores and, where there is one, the champion.

    The champion is scored on the same test set.
    """
    made = [
        Check(f"minimum {name}", scores.get(name, math.nan), least)
        for name, least in gate.minimum.items()
    ]
    if champion is not None:
        limit = champion.get(primary, math.nan) - gate.max_drop
        made.append(
            Check(f"{primary} no worse than the champion's", scores.get(primary, math.nan), limit)
        )
    return made


def promotion_tags(digest: str, scores: Mapping[str, float]) -> dict[str, str]:
    """The tags that let a later gate compare with this version without evaluating it again."""
    finite = {name: value for name, value in scores.items() if math.isfinite(value)}
    return {TEST_DIGEST: digest, TEST_SCORES: json.dumps(finite)}


def run_gate(
    store: Store, version: "ModelVersion", gate: Gate, primary: str, evaluate: Evaluate, *,
    may_promote: bool,
) -> Verdict:  # fmt: skip
    """Run the gate on a registered version and, where it passes and may, make it the champion.

    `evaluate` scores the champion anew where it was last scored on another test set; its
    MaskmillError says that the champion cannot be scored there, and is a refusal. The verdict holds
    for the champion that it was found against: where another promotion comes in between, of this
    workspace or another one on the same server, it is found anew.
    """
    if not may_promote:
        standing = champions.look(store, Ledger(store))
        verdict = _judge(standing, version, gate, primary, evaluate)
        if verdict.outcome == ledger.REFUSED:
            return verdict
        passed = _passed(verdict.checks)
        reason = f"{passed}; an experiment (dvc exp run) never promotes"
        return Verdict(RECORDED, reason, verdict.checks)
    said: list[Verdict] = []

    def decide(standing: Standing) -> Draft | None:
        registry.point_alias(store, CHALLENGER, int(version.version))
        said.append(_judge(standing, version, gate, primary, evaluate))
        return _draft(standing, version, said[-1])

    champions.enter(store, decide)
    return said[-1]


def _judge(
    standing: Standing, version: "ModelVersion", gate: Gate, primary: str, evaluate: Evaluate
) -> Verdict:
    """What the gate says of a version beside who is champion now."""
    champion, number = standing.champion, int(version.version)
    left = interventions.withdrawn(standing.record).get(number)
    if standing.lost and gate.deleted_champion == "refuse":
        return Verdict(ledger.REFUSED, _lost(standing.lost, number), [])
    if left:
        return Verdict(ledger.REFUSED, _withdrawn(left, number), [])
    same = champion is not None and champion.tags.get(SHA256) == version.tags[SHA256]
    rival: Mapping[str, float] | None = None
    if champion is not None and not same:
        try:
            rival = _scores(champion, version.tags[TEST_DIGEST], evaluate)
        except MaskmillError as error:
            return Verdict(ledger.REFUSED, _incomparable(champion, error, number), [])
    made = gate_checks(json.loads(version.tags[TEST_SCORES]), rival, gate, primary)
    failed = [f"{c.name}: {c.value:.4f} is below {c.limit:.4f}" for c in made if not c.passed]
    if failed:
        stays = "there is no champion yet"
        if champion:
            stays = f"version {champion.version} stays champion"
        return Verdict(ledger.REFUSED, "; ".join([*failed, stays]), made)
    outcome, then = ledger.PROMOTED, ""
    if same:
        outcome, then = KEPT, "; these weights are the champion already"
    elif gate.approval:
        outcome = ledger.WAITING
        then = f"; it waits for `maskmill approve {number} --why ..`"
    return Verdict(outcome, _passed(made) + then, made)


def _draft(standing: Standing, version: "ModelVersion", verdict: Verdict) -> Draft | None:
    """What the ledger keeps of a verdict; None where it says so already."""
    if verdict.outcome == KEPT:
        return None
    number, record = int(version.version), standing.record
    after = number if verdict.outcome == ledger.PROMOTED else record.champion
    last = record.entries[-1] if record.entries else None
    said = last and (last.action, last.version, last.before, last.why)
    if said == (verdict.outcome, number, record.champion, verdict.reason):
        return None
    checks = [check.as_json() for check in verdict.checks]
    return Draft(
        verdict.outcome, number, after, verdict.reason, f"gate, {champions.this_person()}",
        version.tags[SHA256], version.tags[TEST_DIGEST],
        {"outcome": verdict.outcome, "reason": verdict.reason, "checks": checks},
    )  # fmt: skip


def _passed(checks: list[Check]) -> str:
    return f"{len(checks)} of {len(checks)} checks passed"


def _lost(lost: int, number: int) -> str:
    return (
        f"the champion, version {lost}, was deleted from the registry, so that nothing can be "
        f"compared with it; go back to the one before it (`maskmill rollback`), or take this one "
        f"(`maskmill promote {number} --why ..`), or let the minimum scores alone decide "
        "(gate.deleted_champion: ignore in params.yaml)"
    )


def _withdrawn(left: ledger.Entry, number: int) -> str:
    return (
        f"version {number} was champion, and {left.who} went back to version {left.after}: "
        f"{left.why}; `maskmill promote {number} --why ..` makes it champion all the same"
    )


def _incomparable(champion: "ModelVersion", error: MaskmillError, number: int) -> str:
    return (
        f"champion version {champion.version} cannot be compared: {error}; register under another "
        f"name (tracking.model in params.yaml), or take this one all the same (`maskmill promote "
        f"{number} --why ..`)"
    )


def _scores(champion: "ModelVersion", digest: str, evaluate: Evaluate) -> Mapping[str, float]:
    if champion.tags.get(TEST_DIGEST) == digest:
        stored: dict[str, float] = json.loads(champion.tags[TEST_SCORES])
        return stored
    return evaluate(registry.predictor(champion))
