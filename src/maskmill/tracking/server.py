"""The MLflow server of `maskmill up`: MLflow's app over the store of params.yaml, behind the guard.

python -m uvicorn --factory maskmill.tracking.server:app

`mlflow server` around it would be a second process, and would need an entry point for the guard.
"""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from maskmill.settings import config
from maskmill.tracking import stores
from maskmill.web.guard import AccessGuard, read_credentials

REPORTS = "/reports"  # the path below which paths.reports is shown


def app() -> AccessGuard:
    """The guarded app for the params.yaml in this folder, and the reports below /reports.

    Raises: MaskmillError when its store cannot be opened.
    """
    params = config.load()
    store = stores.connect_store(params.tracking, params.paths)
    os.environ.update(_environment(params.services, store))
    from mlflow.server.fastapi_app import app as unguarded

    Path(params.paths.reports).mkdir(parents=True, exist_ok=True)
    pages = Starlette(routes=[Mount(REPORTS, StaticFiles(directory=params.paths.reports))])

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(REPORTS):
            await pages(scope, receive, send)
        else:
            await unguarded(scope, receive, send)

    return AccessGuard(both, params.services, read_credentials(params.services, store.state))


def _environment(services: config.Services, store: stores.Store) -> dict[str, str]:
    """What MLflow's app reads when it is imported, by the names that `mlflow server` sets."""
    origins = [
        f"{scheme}://{name}"
        for name in (services.host, *services.allowed_hosts)
        for scheme in ("http", "https")
    ]
    return {
        "_MLFLOW_SERVER_FILE_STORE": store.uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": store.uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (store.state / "mlflow" / "artifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",  # the guard has looked
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(
            o for origin in origins for o in (origin, f"{origin}:*")
        ),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",  # never a shell on this machine
    }
