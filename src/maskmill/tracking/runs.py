"""One MLflow run per training.

`record_run` makes MLflow hold what is known of it, however often and from wherever.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from maskmill.system import files
from maskmill.tracking.owners import Owner
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities import Dataset, Metric, Run

FACTS = "run.json"  # beside a model: what is known of its training
RUNNING, FINISHED, KILLED = "RUNNING", "FINISHED", "KILLED"
# tags of a run; SEEN: Unix time in ms
KEY, OWNER, SEEN = "maskmill.training", "maskmill.owner", "maskmill.seen"
_PARENT = "mlflow.parentRunId"  # the tag by which MLflow shows a run below another
_MAX_PARAM = 6000  # characters MLflow stores of one parameter

MetricRow = dict[str, float]  # `step`, and one value per metric


@dataclass(frozen=True)
class TrainingRun:
    """What is known of a training; its `key` keeps a repeated sending from making a second run."""

    key: str
    variant: str
    params: dict[str, Any]  # flat
    git_commit: str
    data_title: str
    data_hash: str
    started_ms: int  # Unix time
    ended_ms: int  # of one that is not FINISHED: the last that was heard of it
    history: Sequence[MetricRow]
    # step -> when its row was made; else `ended_ms`
    times_ms: Mapping[int, int] = field(default_factory=dict)
    summary: Mapping[str, float] = field(default_factory=dict)
    status: str = FINISHED
    owner: Owner | None = None
    fingerprint: str = ""  # the name of its checkpoints


def record_run(store: Store, training: TrainingRun) -> str:
    """Write what the run does not hold yet, and return its id.

    Written are parameters, metrics, data set, commit and status. Each metric is there once, also
    where an earlier sending arrived and only its answer was lost. A run that somebody deleted stays
    deleted until its training has finished.
    """
    with store.lock():
        run = _find_run(store, training) or _create(store, training)
        if run.info.lifecycle_stage == "active":
            _complete(store, run, training)
    return str(run.info.run_id)


def of_model(
    folder: Path, variant: str, data_title: str, summary: Mapping[str, float] | None = None
) -> TrainingRun:
    """The finished training that wrote the model in `folder`, from its run.json and history.csv."""
    facts = files.read_json(folder / FACTS)
    return TrainingRun(
        key=facts["key"],
        variant=variant,
        params=facts["params"] | {name: facts[name] for name in ("device", "machine", "threads")},
        history=pd.read_csv(folder / "history.csv").to_dict("records"),
        summary=summary or {},
        git_commit=facts["git_commit"],
        data_title=data_title,
        data_hash=facts["data_hash"],
        started_ms=int(1000 * facts["started"]),
        ended_ms=int(1000 * facts["ended"]),
    )


def nest_run(store: Store, run_id: str, parent_id: str) -> None:
    """Have MLflow show the run below its parent."""
    store.client.set_tag(run_id, _PARENT, parent_id)


def close_run(store: Store, run: "Run", ended_ms: int) -> None:
    """Say that the run was killed: at `ended_ms`, or when it was last seen alive."""
    last = max(ended_ms, run.info.start_time, int(run.data.tags.get(SEEN, 0)))
    store.client.set_terminated(run.info.run_id, KILLED, last)


def _find_run(store: Store, training: TrainingRun) -> "Run | None":
    from mlflow.entities import ViewType

    runs = store.client.search_runs(
        [store.experiment_id], f"tags.`{KEY}` = '{training.key}'", ViewType.ALL
    )
    active = sorted(
        (run for run in runs if run.info.lifecycle_stage == "active"),
        key=lambda run: (run.info.status != FINISHED, run.info.run_id),
    )
    for twin in active[1:]:  # two that were made at once, on two machines
        store.client.delete_run(twin.info.run_id)
    if active or training.status == FINISHED:
        return active[0] if active else None
    return runs[0] if runs else None


def _create(store: Store, training: TrainingRun) -> "Run":
    tags = {
        KEY: training.key,
        "variant": training.variant,
        "mlflow.source.git.commit": training.git_commit,
    }
    if training.owner:  # from the first moment on, or nobody could tell that it was abandoned
        tags |= _signs_of_life(training.owner)
    return store.client.create_run(
        store.experiment_id, start_time=training.started_ms, tags=tags, run_name=training.variant
    )


def _complete(store: Store, run: "Run", training: TrainingRun) -> None:
    from mlflow.entities import DatasetInput, InputTag, Param, RunTag

    client, run_id = store.client, run.info.run_id
    params = [
        Param(name, str(value)[:_MAX_PARAM])
        for name, value in training.params.items()
        if name not in run.data.params
    ]
    signs = _signs_of_life(training.owner) if training.owner and training.status == RUNNING else {}
    tags = [RunTag(name, value) for name, value in signs.items()]
    client.log_batch(
        run_id, metrics=_missing_metrics(store, run, training), params=params, tags=tags
    )
    if not run.inputs.dataset_inputs:
        dataset = _dataset(training.data_title, training.data_hash)
        client.log_inputs(
            run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )
    if run.info.status in (FINISHED, training.status):
        return
    if training.status == RUNNING:  # it was killed, and goes on
        client.update_run(run_id, RUNNING)
    elif training.status == KILLED:
        close_run(store, run, training.ended_ms)
    else:
        client.set_terminated(run_id, training.status, training.ended_ms)


def _missing_metrics(store: Store, run: "Run", training: TrainingRun) -> "list[Metric]":
    """The metrics of the training that the run does not hold, by name and step."""
    from mlflow.entities import Metric

    rows = list(training.history)
    if rows and training.summary:
        rows.append({"step": rows[-1]["step"], **training.summary})
    held = {
        name: {metric.step for metric in store.client.get_metric_history(run.info.run_id, name)}
        for name in {name for row in rows for name in row} & set(run.data.metrics)
    }
    return [
        Metric(
            name,
            value,
            training.times_ms.get(int(row["step"]), training.ended_ms),
            int(row["step"]),
        )
        for row in rows
        for name, value in row.items()
        if name != "step" and int(row["step"]) not in held.get(name, ())
    ]


def _signs_of_life(owner: Owner) -> dict[str, str]:
    return {OWNER: json.dumps(asdict(owner)), SEEN: str(int(1000 * time.time()))}


def _dataset(title: str, digest: str) -> "Dataset":
    """The data set as MLflow shows it: a name, and DVC's hash as digest."""
    from mlflow.entities import Dataset

    source = json.dumps({"tool": "dvc", "path": "data/prepared/manifest.parquet", "md5": digest})
    return Dataset(name=title, digest=digest or "unversioned", source_type="dvc", source=source)
