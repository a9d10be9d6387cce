"""The MLflow store: where it is, and that it exists before several processes write to it."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from maskmill import config
from maskmill.errors import MaskmillError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_URI = "MLFLOW_TRACKING_URI"


@dataclass(frozen=True)
class Store:
    """A connection to the store of params.yaml."""

    client: "MlflowClient"
    uri: str
    experiment_id: str
    model: str  # name of the registered model
    state: Path  # the folder for locks

    def lock(self) -> FileLock:
        """One writer at a time, so that what was looked up still holds when the answer is written."""
        return FileLock(self.state / "mlflow" / "write.lock")


def connect(tracking: config.Tracking, paths: config.Paths, root: Path | None = None) -> Store:
    """Open the store, and make it where there is none.

    MLFLOW_TRACKING_URI, where set, comes before params.yaml, as everywhere in MLflow. A fresh sqlite file is set up
    under a lock: two processes that both migrate it would leave it broken for good.
    Raises: MaskmillError when the store cannot be opened.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    from mlflow.exceptions import MlflowException

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    root = (root or Path.cwd()).resolve()
    state = root / paths.state
    uri = os.environ.get(_URI) or _absolute(tracking.uri, root)
    (state / "mlflow").mkdir(parents=True, exist_ok=True)
    with FileLock(state / "mlflow" / "setup.lock"):
        try:
            client, experiment_id = _open(uri, tracking.experiment, state)
        except MlflowException as error:
            raise MaskmillError(
                f"the tracking store {uri} cannot be opened: {error}; set tracking.uri in params.yaml (or {_URI}) to a "
                "running MLflow server, or to sqlite:///.maskmill/mlflow/mlflow.db"
            ) from error
    return Store(client, uri, experiment_id, tracking.model, state)


def _open(uri: str, name: str, state: Path) -> "tuple[MlflowClient, str]":
    """The client and the experiment's id; a fresh sqlite file gets its tables by the first question it is asked."""
    import mlflow

    _set_uri(uri)
    client = mlflow.MlflowClient(uri)
    client.search_registered_models(max_results=1)
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return client, experiment.experiment_id
    artifacts = (state / "mlflow" / "artifacts").as_uri() if uri.startswith(_SQLITE) else None
    return client, client.create_experiment(name, artifact_location=artifacts)


def _set_uri(uri: str) -> None:
    """Point MLflow's fluent calls to `uri`, without the environment variable that MLflow sets for child processes.

    Left there, it would come before the params.yaml of the next repository that this process opens.
    """
    import mlflow

    before = os.environ.get(_URI)
    mlflow.set_tracking_uri(uri)
    if before is None:
        os.environ.pop(_URI, None)
    else:
        os.environ[_URI] = before


def _absolute(uri: str, root: Path) -> str:
    """A sqlite path relative to the repository, made absolute; every other URI as it is."""
    if not uri.startswith(_SQLITE):
        return uri
    path = root / uri.removeprefix(_SQLITE)
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"{_SQLITE}{path}"
