"""The Prefect server of `maskmill up`: Prefect's own app, with all its services, behind the guard.

python -m uvicorn --factory pipelines.server:app

The guard looks at Host and Origin; the password is Prefect's own affair, since its pages know how
to ask for it.
"""

from maskmill.settings import config
from maskmill.web.guard import AccessGuard


def app() -> AccessGuard:
    """The guarded app for the params.yaml in this folder.

    Prefect's settings come from the environment.
    """
    from prefect.server.api.server import create_app

    return AccessGuard(create_app(final=True), config.load().services, None)
