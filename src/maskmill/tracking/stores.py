"""The MLflow store: where it is, and that it exists before several processes write to it."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.tracking import locations

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_DEFAULT = "sqlite:///.maskmill/mlflow/mlflow.db"
_URI = "MLFLOW_TRACKING_URI"
# Against a server that does not answer, MLflow's own settings give 4 minutes per call. Those of the
# user come first.
_TIMEOUT, _RETRIES, _BACKOFF = (
    f"MLFLOW_HTTP_REQUEST_{name}" for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR")
)
_FIRST_ANSWER_S, _ANSWER_S = "8", "30"  # of a server that has answered, an upload may take longer


class AwayError(MaskmillError):
    """The tracking server does not answer."""


@dataclass(frozen=True)
class Store:
    """A connection to the store of params.yaml."""

    client: "MlflowClient"
    uri: str
    experiment_id: str
    model: str  # name of the registered model
    state: Path  # the folder for spools, and for locks where the store is on a server
    artifacts: str | None = None  # where a new experiment keeps its files; None: the server knows

    def lock(self) -> FileLock:
        """One writer at a time, so that what was looked up still holds at the time of writing.

        It holds among all that open this sqlite file; on a server, among those of this workspace.
        """
        database = database_of(self.uri)
        folder = self.state / "mlflow" if database is None else database.parent
        return FileLock(folder / "write.lock")


def connect_store(
    tracking: config.Tracking, paths: config.Paths, root: Path | None = None
) -> Store:
    """Open the store, and make it where there is none.

    MLFLOW_TRACKING_URI, where set, comes before params.yaml, as everywhere in MLflow. A fresh
    sqlite file is set up under a lock, and under another name: two processes that both migrate it,
    or one that is killed meanwhile, would leave it broken for good.
    Raises: AwayError when a server does not answer, after about 20 s at most; MaskmillError when
        the store cannot be opened for another reason.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    from mlflow.exceptions import MlflowException

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    root = (root or Path.cwd()).resolve()
    state = root / paths.state
    uri = uri_of(tracking, root)
    (state / "mlflow").mkdir(parents=True, exist_ok=True)
    database = database_of(uri)
    artifacts = (state / "mlflow" / "artifacts").as_uri() if database else None
    with FileLock(state / "mlflow" / "setup.lock"):
        if database and (before := locations.relocate(database, root, paths.state)):
            said = f"tracking: this folder was {before}; its runs and models are found here now"
            print(said, file=sys.stderr)  # on stdout stands the answer of who asked
        try:
            with errors_in_words(uri), _short_first_timeout():
                client, experiment_id = _open(uri, tracking.experiment, artifacts)
        except MlflowException as error:
            raise MaskmillError(
                f"the tracking store {uri} cannot be opened: {error}; set tracking.uri in"
                f" params.yaml (or {_URI}) to a running MLflow server, or to {_DEFAULT}"
            ) from error
    return Store(client, uri, experiment_id, tracking.model, state, artifacts)


def uri_of(tracking: config.Tracking, root: Path) -> str:
    """MLFLOW_TRACKING_URI where it is set, else tracking.uri of the workspace `root`."""
    return os.environ.get(_URI) or _absolute(tracking.uri, root.resolve())


def database_of(uri: str) -> Path | None:
    """The file of a sqlite store; None for a server or another database."""
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]) if uri.startswith(_SQLITE) else None


@contextlib.contextmanager
def errors_in_words(uri: str) -> Iterator[None]:
    """Say in a user's words that a call in this block cannot reach the server."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import RetryError, Timeout

    away = (NoConnection, RetryError, Timeout)
    try:
        yield
    except (MlflowException, *away) as error:
        if not isinstance(error, away) and not isinstance(
            error.__cause__ or error.__context__, away
        ):
            raise
        raise AwayError(
            f"MLflow at {uri} does not answer; start it (`maskmill up`), or set {_URI}, or"
            f" tracking.uri in params.yaml, to a server that runs or to {_DEFAULT}. It said:"
            f" {str(error)[:300]}"
        ) from error


@contextlib.contextmanager
def _short_first_timeout() -> Iterator[None]:
    """Wait for the first answer a short time only, and for the later ones not much longer."""
    os.environ.setdefault(_RETRIES, "1")
    os.environ.setdefault(_BACKOFF, "1")
    ours = os.environ.get(_TIMEOUT, _ANSWER_S) == _ANSWER_S  # not the user's
    if ours:
        os.environ[_TIMEOUT] = _FIRST_ANSWER_S
    try:
        yield
    finally:
        if ours:
            os.environ[_TIMEOUT] = _ANSWER_S


def _open(uri: str, name: str, artifacts: str | None) -> "tuple[MlflowClient, str]":
    """The client and the experiment's id."""
    import mlflow
    from mlflow.exceptions import MlflowException

    if database := database_of(uri):
        _create_database(database)
    _set_uri(uri)
    client = mlflow.MlflowClient(uri)
    client.search_registered_models(max_results=1)
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return client, experiment.experiment_id
    try:
        return client, client.create_experiment(name, artifact_location=artifacts)
    except MlflowException:  # another workspace of the server was first
        if (made := client.get_experiment_by_name(name)) is None:
            raise
        return client, made.experiment_id


def _create_database(path: Path) -> None:
    """Make a sqlite file with MLflow's tables, which MLflow creates at the first question."""
    import mlflow

    if path.exists() and path.stat().st_size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    for left in path.parent.glob(f"{part.name}*"):  # by one that was killed; its journal, too
        left.unlink()
    uri = f"{_SQLITE}{part}"
    mlflow.MlflowClient(uri, uri).search_registered_models(max_results=1)
    part.replace(path)


def _set_uri(uri: str) -> None:
    """Point MLflow's fluent calls to `uri`, without the environment variable that MLflow sets.

    MLflow sets it for child processes. Left there, it would come before the params.yaml of the next
    repository that this process opens.
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
    return f"{_SQLITE}{root / uri.removeprefix(_SQLITE)}"
