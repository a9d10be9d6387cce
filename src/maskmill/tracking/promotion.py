"""How a verdict of the gate becomes a promotion: the ledger first, then the alias."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from maskmill.decisions.verdict import KEPT, RECORDED, REFUSED, Verdict, refusal
from maskmill.settings.config import Gate
from maskmill.system.errors import MaskmillError
from maskmill.tracking import champions, interventions, ledger, registry
from maskmill.tracking.champions import Standing
from maskmill.tracking.ledger import Draft, Ledger, Record
from maskmill.tracking.registry import CHALLENGER, SHA256, TEST_DIGEST, TEST_SCORES
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# the champion, None where there is none to compare with; how many verdicts the test images have
# given, this one among them
Judge = Callable[["ModelVersion | None", int], Verdict]


def promotion_tags(digest: str, scores: Mapping[str, float]) -> dict[str, str]:
    """The tags that let a later gate compare with this version without evaluating it again."""
    finite = {name: value for name, value in scores.items() if math.isfinite(value)}
    return {TEST_DIGEST: digest, TEST_SCORES: json.dumps(finite)}


def run_gate(
    store: Store, version: "ModelVersion", gate: Gate, judge: Judge, *, may_promote: bool
) -> Verdict:
    """Have a registered version judged and, where it passes and may, make it the champion.

    A MaskmillError of `judge` says that the champion cannot be compared, and is a refusal. The
    verdict holds for the champion that it was found against: where another promotion comes in
    between, of this workspace or another one on the same server, it is found anew.
    """
    if not may_promote:
        verdict = _judge(champions.look(store, Ledger(store)), version, gate, judge)
        if verdict.outcome == REFUSED:
            return verdict
        reason = f"{verdict.reason}; an experiment (dvc exp run) never promotes"
        return replace(verdict, outcome=RECORDED, reason=reason)
    said: list[Verdict] = []

    def decide(standing: Standing) -> Draft | None:
        registry.point_alias(store, CHALLENGER, int(version.version))
        said.append(_judge(standing, version, gate, judge))
        return _draft(standing, version, said[-1])

    champions.enter(store, decide)
    return said[-1]


def _judge(standing: Standing, version: "ModelVersion", gate: Gate, judge: Judge) -> Verdict:
    """What the gate says of a version beside who is champion now."""
    champion, number = standing.champion, int(version.version)
    left = interventions.withdrawn(standing.record).get(number)
    if left or (standing.lost and gate.deleted_champion == "refuse"):
        return refusal(_withdrawn(left, number) if left else _lost(standing.lost, number))
    same = champion is not None and champion.tags.get(SHA256) == version.tags[SHA256]
    looks = count_looks(standing.record, version.tags[TEST_DIGEST], number)
    try:
        verdict = judge(None if same else champion, looks)
    except MaskmillError as error:
        if champion is None:
            raise
        return refusal(_incomparable(champion, error, number))
    if verdict.outcome == REFUSED:
        stays = "there is no champion yet"
        if champion:
            stays = f"version {champion.version} stays champion"
        return replace(verdict, reason=f"{verdict.reason}; {stays}")
    if same:
        reason = f"{verdict.reason}; these weights are the champion already"
        return replace(verdict, outcome=KEPT, reason=reason)
    if gate.approval:
        reason = f"{verdict.reason}; it waits for `maskmill approve {number} --why ..`"
        return replace(verdict, outcome=ledger.WAITING, reason=reason)
    return verdict


def count_looks(record: Record, digest: str, number: int) -> int:
    """How many versions these test images have judged, the version `number` among them."""
    judged = {entry.version for entry in record.entries if entry.verdict and (
        entry.test_digest == digest)}  # fmt: skip
    return len(judged | {number})


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
    return Draft(
        verdict.outcome, number, after, verdict.reason, f"gate, {champions.this_person()}",
        version.tags[SHA256], version.tags[TEST_DIGEST],
        verdict.as_json(),
    )  # fmt: skip


def _lost(lost: int | None, number: int) -> str:
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
