"""Versions that cost nothing to register, and a store whose process dies at a chosen step."""

import dataclasses
import hashlib
import json
import math
import uuid
from pathlib import Path
from typing import Any

from maskmill.decisions.verdict import PROMOTED, REFUSED, Check, Verdict
from maskmill.settings.config import Gate
from maskmill.tracking import promotion, registry, stores

GATE = Gate(minimum={"dice_foreground": 0.5}, max_drop=0.01)
WRITES = (  # by which the ledger and the alias change
    "create_experiment", "rename_experiment", "delete_experiment", "create_run", "set_terminated",
    "log_param", "set_registered_model_alias",
)  # fmt: skip


def put(store: stores.Store, score: float, digest: str = "test-1") -> int:
    """A version with a score on a test set; its weights are bytes that no network reads."""
    if not store.client.search_registered_models(f"name = '{store.model}'"):
        store.client.create_registered_model(store.model)
    name = f"weights-{uuid.uuid4().hex[:12]}"
    package = store.state / "mlflow/artifacts" / name
    weights = package / "artifacts/model/model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(name.encode())
    tags = {
        registry.SHA256: hashlib.sha256(name.encode()).hexdigest(),
        registry.TEST_DIGEST: digest,
        registry.TEST_SCORES: json.dumps({"dice_foreground": score}),
    }
    if store.artifacts:
        version = store.client.create_model_version(store.model, package.as_uri(), tags=tags)
    else:  # a server takes files of its own runs alone
        run = store.client.create_run(store.experiment_id)
        store.client.log_artifact(run.info.run_id, str(weights), "artifacts/model")
        version = store.client.create_model_version(
            store.model, run.info.artifact_uri, run_id=run.info.run_id, tags=tags
        )
    return int(version.version)


def point_judge(version: Any, gate: Gate) -> promotion.Judge:
    """A judge by the scores in the tags alone: it needs no images."""

    def score_of(of: Any) -> float:
        return float(json.loads(of.tags[registry.TEST_SCORES]).get("dice_foreground", math.nan))

    def judge(champion: Any, looks: int) -> Verdict:
        least = gate.minimum.get("dice_foreground", 0.0)
        checks = [Check.at_least("minimum dice_foreground", score_of(version), least)]
        if champion is not None:
            gain = score_of(version) - score_of(champion)
            checks.append(Check.at_least("gain in dice_foreground", gain, -gate.max_drop))
        reasons = [check.in_words() for check in checks if not check.passed]
        passed = f"{len(checks)} of {len(checks)} checks passed"
        outcome = REFUSED if reasons else PROMOTED
        return Verdict(outcome, "; ".join(reasons) or passed, reasons, checks)

    return judge


def gate(store: stores.Store, number: int, **settings: Any) -> Verdict:
    """What the gate says of a version that was scored on the champion's test set."""
    version = registry.find_version(store, store.model, number=str(number))
    given = GATE.model_copy(update=settings)
    judge = point_judge(version, given)
    return promotion.run_gate(store, version, given, judge, may_promote=True)


def champion(store: stores.Store) -> int | None:
    """The number that the alias names."""
    version = registry.champion(store)
    return int(version.version) if version else None


def weights_of(store: stores.Store, number: int) -> Path:
    """The file with the weights of a version."""
    version = registry.find_version(store, store.model, number=str(number))
    return Path(version.source.removeprefix("file://")) / "artifacts/model/model.safetensors"


class Killed(BaseException):
    """The end of the process."""


class DyingClient:
    """MLflow's client in a process that is killed before its write number `left`, from 0."""

    def __init__(self, client: Any, left: int) -> None:
        self._client, self._left = client, left

    def __getattr__(self, name: str) -> Any:
        if name in WRITES:
            if self._left == 0:
                raise Killed
            self._left -= 1
        return getattr(self._client, name)


def dying(store: stores.Store, left: int) -> stores.Store:
    """The store as a process has it that is killed before its write number `left`."""
    return dataclasses.replace(store, client=DyingClient(store.client, left))
