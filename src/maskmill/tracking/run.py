"""One MLflow run per training: sent from files once the training is over, so that MLflow can never stop one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maskmill.tracking.store import Store

_KEY = "maskmill.training"
_MAX_PARAM = 6000  # characters MLflow stores of one parameter


@dataclass(frozen=True)
class Training:
    """What is recorded of a training; `key` names it, so that a repeated sending makes no second run."""

    key: str
    variant: str
    params: dict[str, Any]  # flat
    history: Sequence[dict[str, float]]  # rows with `step`
    summary: dict[str, float]
    git_commit: str
    data_title: str
    data_hash: str
    started_ms: int  # Unix time
    ended_ms: int


def record(store: Store, training: Training) -> str:
    """Write the run with parameters, metrics per validation, data set and commit; give its id."""
    with store.lock():
        return _record(store, training)


def _record(store: Store, training: Training) -> str:
    from mlflow.entities import DatasetInput, InputTag, Metric, Param

    earlier = store.client.search_runs([store.experiment_id], f"tags.`{_KEY}` = '{training.key}'")
    for run in earlier:
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
        store.client.delete_run(run.info.run_id)  # its sending was cut off in the middle
    tags = {_KEY: training.key, "variant": training.variant, "mlflow.source.git.commit": training.git_commit}
    run = store.client.create_run(
        store.experiment_id, start_time=training.started_ms, tags=tags, run_name=training.variant
    )
    run_id = str(run.info.run_id)
    metrics = [
        Metric(name, value, training.ended_ms, int(row["step"]))
        for row in [*training.history, {"step": training.history[-1]["step"], **training.summary}]
        for name, value in row.items()
        if name != "step"
    ]
    params = [Param(name, str(value)[:_MAX_PARAM]) for name, value in training.params.items()]
    store.client.log_batch(run_id, metrics=metrics, params=params)
    dataset = _dataset(training.data_title, training.data_hash)
    store.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    store.client.set_terminated(run_id, "FINISHED", training.ended_ms)
    return run_id


def _dataset(title: str, digest: str) -> Any:
    """The data set as MLflow shows it: a name, and DVC's hash as digest."""
    import json

    from mlflow.entities import Dataset

    source = json.dumps({"tool": "dvc", "path": "data/raw", "md5": digest})
    return Dataset(name=title, digest=digest or "unversioned", source_type="dvc", source=source)
