"""Where the servers are, and the environment in which the parts of Prefect find each other.

The parts are its server, worker, flows and command.
"""

import os
from pathlib import Path

from maskmill.settings.config import Params, Services
from maskmill.system import addresses
from maskmill.web.guard import read_credentials

POOL = "maskmill"  # the work pool that the deployments of prefect.yaml name


def prefect_environment(params: Params, root: Path) -> dict[str, str]:
    """The variables that point Prefect at this workspace's server and home.

    The password is among them where one is set.

    Whatever calls Prefect takes them: `maskmill up`, the worker, and a flow that is started by
    hand.
    """
    services, state = params.services, root / params.paths.state
    own = addresses.url(services.host, services.prefect_port)
    auth = read_credentials(services, state)
    passwords = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")
    return {
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_API_URL": f"{own}/api",
        "PREFECT_SERVER_API_HOST": services.host,
        "PREFECT_SERVER_API_PORT": str(services.prefect_port),
        "PREFECT_SERVER_UI_API_URL": "/api",  # relative: right under every name, also a proxy's
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": own,
        # in memory, which is the default, a restart of the server takes the leases of running
        # trainings away
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # s; what the zombie automation listens to
        **no_proxy(services),
        **(dict.fromkeys(passwords, auth) if auth else {}),
    }


def no_proxy(services: Services) -> dict[str, str]:
    """NO_PROXY with our own hosts in it: a company's HTTP_PROXY cannot reach them."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = dict.fromkeys(
        [*filter(None, given.split(",")), "127.0.0.1", "localhost", "::1", services.host]
    )
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(names))
