"""The gate: what a challenger must show to replace the champion, and how it replaces it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from maskmill.inference.predict import Predictor
from maskmill.settings.config import Gate
from maskmill.system.errors import MaskmillError
from maskmill.tracking import registry
from maskmill.tracking.registry import CHALLENGER, CHAMPION, SHA256
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

TEST_DIGEST, TEST_SCORES = "test_digest", "test_scores"  # tags of a version
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
    """What the gate said: `promoted`, `kept`, `refused` or `recorded`.

    `kept`: it was the champion already; `recorded`: no promotion.
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
    store: Store,
    version: "ModelVersion",
    gate: Gate,
    primary: str,
    evaluate: Evaluate,
    *,
    may_promote: bool,
) -> Verdict:
    """Run the gate on a registered version and, where it passes and may, make it the champion.

    `evaluate` scores the champion anew where it was last scored on another test set; its
    MaskmillError says that the champion cannot be scored there, and is a refusal. The lock lets one
    promotion decide at a time, so that none is judged against a champion that has just been
    replaced.
    """
    with store.lock():
        if may_promote:
            store.client.set_registered_model_alias(store.model, CHALLENGER, version.version)
        champion = registry.champion(store)
        same = champion is not None and champion.tags.get(SHA256) == version.tags[SHA256]
        try:
            rival = (
                None
                if champion is None or same
                else _scores(champion, version.tags[TEST_DIGEST], evaluate)
            )
        except MaskmillError as error:
            assert champion is not None
            remedy = (
                "register under another name (tracking.model in params.yaml), or take the alias"
                " from it"
            )
            return Verdict(
                "refused",
                f"champion version {champion.version} cannot be compared: {error}; {remedy}",
                [],
            )
        made = gate_checks(json.loads(version.tags[TEST_SCORES]), rival, gate, primary)
        failed = [f"{c.name}: {c.value:.4f} is below {c.limit:.4f}" for c in made if not c.passed]
        if failed:
            stays = (
                f"; version {champion.version} stays champion"
                if champion
                else "; there is no champion yet"
            )
            return Verdict("refused", "; ".join(failed) + stays, made)
        passed = f"{len(made)} of {len(made)} checks passed"
        if not may_promote:
            return Verdict(
                "recorded", f"{passed}; an experiment (dvc exp run) never promotes", made
            )
        if same:
            return Verdict("kept", f"{passed}; these weights are the champion already", made)
        store.client.set_registered_model_alias(store.model, CHAMPION, version.version)
        return Verdict("promoted", passed, made)


def _scores(champion: "ModelVersion", digest: str, evaluate: Evaluate) -> Mapping[str, float]:
    if champion.tags.get(TEST_DIGEST) == digest:
        stored: dict[str, float] = json.loads(champion.tags[TEST_SCORES])
        return stored
    return evaluate(registry.predictor(champion))
