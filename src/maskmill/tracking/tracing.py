"""From served weights or a version back to what made it, and forward to what became of it."""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from maskmill.settings import config
from maskmill.system.errors import MaskmillError, few_of
from maskmill.tracking import ledger, package, registry, runs
from maskmill.tracking.ledger import Entry
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_SHORTEST = 8  # digits of weights_sha256 that name weights
_MACHINE = ("device", "machine", "threads")  # parameters of a run
_COMMIT = "mlflow.source.git.commit"  # tag of a run


def trace_version(store: Store, what: str) -> dict[str, Any]:
    """All that registry, run and ledger know of a version; None for what they do not hold.

    `what` is its number, `models:/NAME@ALIAS`, `models:/NAME/NUMBER`, or `weights_sha256`, as each
    served answer has it, or the first eight digits of it or more.
    Raises: MaskmillError where it names no version, or more than one.
    """
    version = find_version(store, what)
    run, tags = _run(store, version), version.tags
    params, marks = (run.data.params, run.data.tags) if run else ({}, {})
    kept = package.lineage_files(version)
    entries = ledger.Ledger(store).read().entries if version.name == store.model else ()
    return {
        "model": version.name,
        "version": int(version.version),
        "aliases": sorted(version.aliases),
        "variant": tags.get("variant"),
        "weights_sha256": tags.get(registry.SHA256),
        "run": version.run_id or None,
        "training": marks.get(runs.KEY),
        "git_commit": tags.get("git_commit") or marks.get(_COMMIT),
        "data_hash": tags.get("data_hash") or _data_hash(run),
        "flow_run": tags.get(registry.FLOW_RUN),
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in kept.items()},
        "machine": {name: params[name] for name in _MACHINE if name in params},
        "packages": package.requirements_of(version),
        "params": params,
        "test": json.loads(tags.get(registry.TEST_SCORES, "{}")),
        "test_digest": tags.get(registry.TEST_DIGEST),
        "ledger": [entry for entry in entries if _concerns(entry, int(version.version))],
    }


def find_version(store: Store, what: str) -> "ModelVersion":
    """The version that a number, a `models:/` URI or a digest names, as for `trace_version`."""
    if what.startswith("models:/"):
        return registry.find_by_uri(store, what)
    if what.isdecimal() and len(what) < _SHORTEST:
        return registry.find_version(store, store.model, number=what)
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},64}}", what):
        raise MaskmillError(
            f"trace: got {what!r}; allowed are a version's number, models:/NAME@ALIAS, "
            f"models:/NAME/NUMBER, or the first {_SHORTEST} digits or more of a weights_sha256"
        )
    versions = [
        version
        for version in store.client.search_model_versions(f"name = '{store.model}'")
        if version.tags.get(registry.SHA256, "").startswith(what)
    ]
    if len({version.tags[registry.SHA256] for version in versions}) == 1:
        first = min(int(version.version) for version in versions)
        return registry.find_version(store, store.model, number=str(first))  # with its aliases
    found = [version.version for version in versions]
    raise MaskmillError(
        f"trace: with {what} begin the weights of {found or 'no version'} of {store.model} in "
        f"{store.uri}; allowed are digits that name one"
    )


def describe(found: dict[str, Any]) -> Iterator[str]:
    """The lines that `maskmill trace` prints."""
    aliases = f" ({', '.join(found['aliases'])})" if found["aliases"] else ""
    yield f"{found['model']} version {found['version']}{aliases}, {found['variant'] or 'unnamed'}"
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    made_by = {
        "weights": found["weights_sha256"],
        "run": found["run"],
        "commit": found["git_commit"],
        "data": found["data_hash"],
        "flow run": found["flow_run"],
        **{name: found["files"].get(name) for name in (str(config.PARAMS), package.LOCK)},
        "machine": machine,
        "packages": few_of(found["packages"], 4),
    }
    yield "what made it"
    yield from (f"  {name:<12}{value or 'not noted'}" for name, value in made_by.items())
    yield "what became of it"
    scores = [f"{name} {value:.4f}" for name, value in found["test"].items()]
    yield f"  {'test':<12}{few_of(scores, 4) or 'not noted'}"
    yield from (f"  {ledger.in_words(entry)}" for entry in found["ledger"])
    if not found["ledger"]:
        yield "  the ledger does not speak of it"


def _run(store: Store, version: "ModelVersion") -> "Run | None":
    """The training; None where somebody deleted it for good."""
    from mlflow.exceptions import MlflowException

    if not version.run_id:
        return None
    try:
        return store.client.get_run(version.run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _data_hash(run: "Run | None") -> str | None:
    inputs = run.inputs.dataset_inputs if run and run.inputs else []
    return str(inputs[0].dataset.digest) if inputs else None


def _concerns(entry: Entry, number: int) -> bool:
    return number in (entry.version, *((entry.before, entry.after) if entry.moves else ()))
