"""Whether a service is well, asked over HTTP."""

import base64
import json
import urllib.request
from collections.abc import Callable
from datetime import datetime
from typing import Any

from maskmill.services.catalogue import Service, worker_name
from maskmill.services.environment import POOL
from maskmill.services.records import Record

_TIMEOUT_S = 3.0
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_healthy(service: Service, record: Record) -> bool:
    """Whether a server answers, or Prefect has heard from the worker since it was started."""
    if not record.alive or not record.pid:
        return False
    if service.health:
        return _answer_or_none(
            lambda: bool(_direct.open(service.health or "", timeout=_TIMEOUT_S).status == 200)
        )
    return _answer_or_none(lambda: _is_worker_online(service, record))


def _is_worker_online(service: Service, record: Record) -> bool:
    """Whether Prefect hears from the worker.

    Workers tell Prefect every 30 s that they are there; it calls them offline after 90 s of
    silence.
    """
    auth = service.environment.get("PREFECT_API_AUTH_STRING", "")
    request = urllib.request.Request(  # noqa: S310 - the scheme is ours
        f"{service.address}/api/work_pools/{POOL}/workers/filter",
        data=b"{}",
        headers={"content-type": "application/json"}
        | ({"authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"} if auth else {}),
    )
    with _direct.open(request, timeout=_TIMEOUT_S) as answer:
        workers: list[dict[str, Any]] = json.load(answer)
    return any(
        worker["name"] == worker_name()
        and worker["status"] == "ONLINE"
        and datetime.fromisoformat(worker["last_heartbeat_time"]).timestamp() >= record.since
        for worker in workers
    )


def _answer_or_none(question: Callable[[], bool]) -> bool:
    """The answer, where no answer at all means no."""
    try:
        return question()
    except OSError:  # refused, reset, timed out, or an HTTP error
        return False
