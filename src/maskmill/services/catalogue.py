"""The three services: MLflow's server, Prefect's server, and the worker that starts flows."""

import hashlib
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from maskmill.services.environment import POOL, no_proxy, prefect_environment
from maskmill.services.records import WORKER
from maskmill.settings.config import Params, Services
from maskmill.system import addresses
from maskmill.system.processes import search_path
from maskmill.web.guard import read_credentials

TRACKING_URI = "MLFLOW_TRACKING_URI"
# left over in a user's shell, they would point a service elsewhere
_FOREIGN = (
    "PREFECT_PROFILE",
    "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_SERVER_API_AUTH_STRING",
)


@dataclass(frozen=True)
class Service:
    """How a service is started, and how it is seen to be well."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    address: str  # a server's own; for the worker, the server that it asks for work
    health: str | None  # URL that answers 200; None: the worker, which its server knows about
    port: int | None
    root: Path
    state: Path
    settings: str  # a digest: another one means that what runs must be restarted

    @property
    def record(self) -> Path:
        """The file that says which process keeps it."""
        return self.state / "services" / f"{self.name}.json"

    @property
    def log(self) -> Path:
        return self.state / "logs" / f"{self.name}.log"


def services_of_workspace(params: Params, root: Path) -> list[Service]:
    """What runs in this workspace, in the order of starting.

    MLflow's server is left out where the store is a server already.
    """
    elsewhere = is_server(tracking_uri(params))
    return [
        _prefect(params, root),
        *([] if elsewhere else [_mlflow(params, root)]),
        _worker(params, root),
    ]


def _prefect(params: Params, root: Path) -> Service:
    given, own = params.services, _plain(prefect_environment(params, root))
    at = addresses.url(given.host, given.prefect_port)
    command = _uvicorn("pipelines.server:app", given, given.prefect_port)
    health = f"{at}/api/health"
    return _service(
        "prefect",
        params,
        root,
        command,
        own,
        at,
        health,
        given.prefect_port,
        _guarded(params, root),
    )


def _mlflow(params: Params, root: Path) -> Service:
    given = params.services
    at = addresses.url(given.host, given.mlflow_port)
    command = _uvicorn("maskmill.tracking.server:app", given, given.mlflow_port)
    decides = [*_guarded(params, root), tracking_uri(params)]
    return _service(
        "mlflow",
        params,
        root,
        command,
        no_proxy(given),
        at,
        f"{at}/health",
        given.mlflow_port,
        decides,
    )


def _worker(params: Params, root: Path) -> Service:
    own = _plain(prefect_environment(params, root))
    at = addresses.url(params.services.host, params.services.prefect_port)
    command = [
        sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process",
    ]  # fmt: skip
    command += ["--name", worker_name(), "--install-policy", "never"]
    return _service(WORKER, params, root, command, own, at, None, None, [tracking_uri(params)])


def _service(
    name: str, params: Params, root: Path, command: list[str], own: dict[str, str], at: str,
    health: str | None, port: int | None, decides: list[str],
) -> Service:  # fmt: skip
    """A service with `own` variables.

    It is started again when they, the command or `decides` change.
    """
    digest = hashlib.sha256(json.dumps([command, own, decides]).encode()).hexdigest()
    state, environment = root / params.paths.state, _environment(own, tracking_uri(params))
    return Service(name, tuple(command), environment, at, health, port, root, state, digest)


def _uvicorn(app: str, given: Services, port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "--factory", app, "--host", given.host,
            "--port", str(port), "--no-access-log", "--timeout-graceful-shutdown", "5"]  # fmt: skip


def _guarded(params: Params, root: Path) -> list[str]:
    """What the guard of a server was made with."""
    given = params.services
    return [
        given.host,
        *given.allowed_hosts,
        read_credentials(given, root / params.paths.state) or "",
    ]


def _plain(variables: dict[str, str]) -> dict[str, str]:
    """For a log, without colours."""
    return variables | {"NO_COLOR": "1", "PREFECT_LOGGING_COLORS": "false"}


def tracking_uri(params: Params) -> str:
    """The store that counts: the one of MLFLOW_TRACKING_URI, or else of params.yaml.

    The variable is ignored where it names the very server that `maskmill up` starts.
    """
    given = os.environ.get(TRACKING_URI, "")
    here = {
        f"http://{name}:{params.services.mlflow_port}"
        for name in ("127.0.0.1", "localhost", params.services.host)
    }
    return params.tracking.uri if not given or given.rstrip("/") in here else given


def mlflow_address(params: Params) -> str:
    """Where MLflow's pages are: on our server, or on the one that the store is."""
    uri = tracking_uri(params)
    return (
        uri if is_server(uri) else addresses.url(params.services.host, params.services.mlflow_port)
    )


def is_server(uri: str) -> bool:
    """Whether a tracking URI is an MLflow server already, and no database."""
    return uri.startswith(("http://", "https://"))


def worker_name() -> str:
    """What Prefect calls our worker: the machine's name."""
    return f"maskmill on {socket.gethostname()}"


def _environment(own: dict[str, str], uri: str) -> dict[str, str]:
    """The user's environment, without what points elsewhere, and with `own` on top."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    if kept.get(TRACKING_URI) != uri:
        kept.pop(TRACKING_URI, None)
    return {**kept, "PATH": search_path(), "PYTHONUNBUFFERED": "1", **own}
