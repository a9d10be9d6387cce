"""register: record the trainings in MLflow, register the challenger, and let the gate decide."""

import hashlib
import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd

from maskmill.curation import manifest
from maskmill.decisions import gate as decisions
from maskmill.decisions.verdict import Verdict
from maskmill.evaluation.cost import read_cost
from maskmill.inference.predict import Predictor
from maskmill.samples.shards import Shard
from maskmill.settings.config import (
    Data,
    Evaluation,
    Gate,
    Inference,
    Intervals,
    Paths,
    Slices,
    Tracking,
)
from maskmill.stages import _lost
from maskmill.stages._bench import Bench
from maskmill.statistics import scores as score_files
from maskmill.system import files
from maskmill.system.errors import MaskmillError
from maskmill.tracking import promotion, reaper, registry, runs, stores

_log = logging.getLogger(__name__)


def register(
    paths: Paths, data: Data, variants: tuple[str, ...], evaluation: Evaluation,
    metrics: dict[str, dict[str, Any]], intervals: Intervals, slices: Slices,
    inference: Inference, gate: Gate, tracking: Tracking,
) -> None:  # fmt: skip
    """Write metrics/registration.json; repeated, it makes no second run, version or promotion.

    Raises: MaskmillError when MLflow does not answer.
    """
    try:
        store = stores.connect_store(tracking, paths)
        with stores.errors_in_words(store.uri):
            bench = Bench.open(paths, data, evaluation, metrics, intervals, slices, inference)
            _register(store, paths, data, variants, bench, gate, tracking)
    except stores.AwayError as error:
        raise MaskmillError(
            f"register: {error}\nThe trained models are kept: the same command goes on here, and"
            " nothing trains again."
        ) from error


def _register(
    store: stores.Store, paths: Paths, data: Data, variants: tuple[str, ...],
    bench: Bench, gate: Gate, tracking: Tracking,
) -> None:  # fmt: skip
    for line in reaper.close_abandoned_runs(store):
        _log.info(f"register: {line}")
    recorded = {variant: _record(store, paths, data, variant) for variant in variants}
    selection = files.read_json(Path(paths.metrics) / "selection.json")
    verdict: dict[str, Any] = {
        "model": tracking.model, "experiment": store.experiment_id, "runs": recorded,
        "version": None, "checks": [],
    }  # fmt: skip
    if selection["challenger"] is None:
        verdict |= {"outcome": "refused", "reason": f"no challenger: {selection['reason']}"}
        _lost.write_masks(Path(paths.reports), ())
    else:
        verdict |= _gate(store, paths, bench, gate, selection["challenger"], recorded)
    verdict["champion"] = _describe(registry.champion(store))
    files.write_json(Path(paths.metrics) / "registration.json", verdict)
    _log.info(
        f"register: {tracking.model} version {verdict['version'] or 'none'} {verdict['outcome']}:"
        f" {verdict['reason']}"
    )


def _record(store: stores.Store, paths: Paths, data: Data, variant: str) -> str:
    scores = score_files.read_values(Path(paths.metrics) / "test" / f"{variant}.json")
    summary = {f"test_{name}": value for name, value in scores.items() if math.isfinite(value)}
    training = runs.of_model(Path(paths.models) / variant, variant, data.title, summary)
    return runs.record_run(store, training)


def _gate(
    store: stores.Store, paths: Paths, bench: Bench, gate: Gate, variant: str,
    recorded: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    digest = _test_digest(bench.manifest, bench.data)
    scores = score_files.read_values(Path(paths.metrics) / "test" / f"{variant}.json")
    facts = files.read_json(Path(paths.models) / variant / "run.json")
    lineage = {"git_commit": facts["git_commit"], "data_hash": facts["data_hash"]}
    evidence = bench.evidence(variant)
    version = registry.register(
        store,
        Path(paths.challenger),
        recorded[variant],
        promotion.promotion_tags(digest, scores) | lineage,
        evidence.as_files(),
    )
    challenger = bench.contender(f"version {version.version}", evidence)
    against: list[Any] = []  # the champions that it was judged against, the last one counts

    def judge(champion: Any, looks: int) -> Verdict:
        against.append(champion)
        rival = None if champion is None else bench.champion(champion, digest)
        rules = bench.rules(gate, looks)
        cost = read_cost(Path(paths.metrics) / "cost" / f"{variant}.json")
        return decisions.judge(challenger, rival, bench.test_images(variant), rules, scores, cost)

    verdict = promotion.run_gate(
        store, version, gate, judge, may_promote="DVC_EXP_NAME" not in os.environ
    )
    _lost.write_masks(
        Path(paths.reports), verdict.basis.worse,
        lambda: (
            Shard(Path(paths.prepared) / "shards", "test"),
            registry.predictor(against[-1]).with_settings(bench.inference),
            Predictor(Path(paths.challenger)).with_settings(bench.inference),
        ),
    )  # fmt: skip
    for reason in verdict.basis.caveats:
        _log.info(f"register: {reason}")
    return {
        "version": int(version.version), "variant": variant,
        "weights_sha256": version.tags[registry.SHA256], **verdict.as_json(),
    }  # fmt: skip


def _test_digest(table: pd.DataFrame, data: Data) -> str:
    """Two scores compare only where this is equal: the test pixels, and what their ids mean."""
    meaning = [
        manifest.split_digest(table, "test"),
        data.classes,
        data.background,
        data.ignore_index,
    ]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def _describe(version: Any) -> dict[str, Any] | None:
    if version is None:
        return None
    tags = version.tags
    return {
        "version": int(version.version), "variant": tags.get("variant"),
        "weights_sha256": tags.get(registry.SHA256),
    }  # fmt: skip
