"""The three services: MLflow's server, Prefect's server, and the worker that starts flows."""

import hashlib
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from maskmill.config import Params
from maskmill.guard import credentials
from maskmill.services.environment import POOL, address, no_proxy, prefect_environment

TRACKING_URI = "MLFLOW_TRACKING_URI"
WORKER = "worker"
# left over in a user's shell, they would point a service elsewhere
_FOREIGN = ("PREFECT_PROFILE", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")
_SERVER = ("--no-access-log", "--timeout-graceful-shutdown", "5")


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


def services(params: Params, root: Path) -> list[Service]:
    """What runs in this workspace, in the order of starting; without MLflow's server where the store is one."""
    given, state = params.services, root / params.paths.state
    auth = credentials(given, state)
    prefect = prefect_environment(params, root) | {"NO_COLOR": "1", "PREFECT_LOGGING_COLORS": "false"}
    at_prefect, at_mlflow = (address(given, port) for port in (given.prefect_port, given.mlflow_port))
    uri = tracking_uri(params)
    guarded = [given.host, *given.allowed_hosts, auth or ""]

    def server(app: str, port: int) -> tuple[str, ...]:
        uvicorn = (sys.executable, "-m", "uvicorn", "--factory", app)
        return (*uvicorn, "--host", given.host, "--port", str(port), *_SERVER)

    def service(name: str, command: tuple[str, ...], own: dict[str, str], at: str, health: str | None, port: int | None,
                *decides: str) -> Service:  # fmt: skip
        digest = hashlib.sha256(json.dumps([command, own, *decides]).encode()).hexdigest()
        return Service(name, command, _environment(own, uri), at, health, port, root, state, digest)

    worker = ("worker", "start", "--pool", POOL, "--type", "process", "--name", worker_name(), "--install-policy")
    prefect_server = service(
        "prefect", server("pipelines.server:app", given.prefect_port), prefect, at_prefect,
        f"{at_prefect}/api/health", given.prefect_port, *guarded,
    )  # fmt: skip
    mlflow_server = service(
        "mlflow", server("maskmill.tracking.server:app", given.mlflow_port), no_proxy(given), at_mlflow,
        f"{at_mlflow}/health", given.mlflow_port, *guarded, uri,
    )  # fmt: skip
    asks = service(WORKER, (sys.executable, "-m", "prefect", *worker, "never"), prefect, at_prefect, None, None, uri)
    return [prefect_server, *([] if is_server(uri) else [mlflow_server]), asks]


def tracking_uri(params: Params) -> str:
    """The store that counts: MLFLOW_TRACKING_URI, unless it names the very server that `maskmill up` starts."""
    given = os.environ.get(TRACKING_URI, "")
    here = {f"http://{name}:{params.services.mlflow_port}" for name in ("127.0.0.1", "localhost", params.services.host)}
    return params.tracking.uri if not given or given.rstrip("/") in here else given


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
    # a stage is started as `python`, which must be ours where no environment is activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**kept, "PATH": path, "PYTHONUNBUFFERED": "1", **own}
