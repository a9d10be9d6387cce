"""The app of the scoring server: MLflow's endpoints and answers, with errors that explain.

No stack trace is ever in an answer, and each error has an id; that of an unexpected one stands in
the log.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from maskmill.serving import protocol
from maskmill.serving.scoring import AnswerRow, Scorer
from maskmill.system.errors import MaskmillError

_LOG = logging.getLogger(__name__)
_ENDPOINTS = "POST /invocations, GET /ping, GET /health, GET /version"


class _WrongTypeError(MaskmillError):
    """A body of another content type."""


def create(scorer: Scorer, started: Callable[[], None] = lambda: None) -> Starlette:
    """The app without its guard."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        started()
        yield

    async def alive(_: Request) -> Response:
        return Response("\n", media_type="application/json")

    async def mlflow_version(_: Request) -> Response:
        return Response(version("mlflow"), media_type="application/json")

    async def invocations(request: Request) -> Response:
        return await _answered(request, scorer)

    routes = [Route("/ping", alive), Route("/health", alive), Route("/version", mlflow_version)]
    routes.append(Route("/invocations", invocations, methods=["POST"]))
    return Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_endpoint}
    )


async def _answered(request: Request, scorer: Scorer) -> Response:
    try:
        return _json(200, {"predictions": await _predictions(request, scorer)})
    except _WrongTypeError as error:
        return _error(415, str(error))
    except MaskmillError as error:
        return _error(400, str(error))
    except Exception:  # the client gets an id, and the stack trace stays here
        request_id = secrets.token_hex(8)
        _LOG.exception("request %s failed", request_id)
        return _error(
            500, "an error of the server; its log says more under the request_id", request_id
        )


async def _predictions(request: Request, scorer: Scorer) -> list[AnswerRow]:
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    if kind.strip() != "application/json" or parameters.strip() not in ("", "charset=utf-8"):
        got = request.headers.get("content-type", "none")
        raise _WrongTypeError(f"content-type: got {got!r}; allowed is application/json, in UTF-8")
    images = protocol.request_images(await request.body())
    scorer.check_count(len(images))
    rows = await asyncio.wrap_future(scorer.submit(images))
    errors = [row["error"] for row in rows if row["error"]]
    if len(errors) == len(rows):
        raise MaskmillError("; ".join(errors))
    return rows


async def _no_endpoint(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:80]
    response = _error(
        error.status_code, f"{request.method} {path}: no such endpoint; there are {_ENDPOINTS}"
    )
    response.headers.update(error.headers or {})
    return response


def _error(status: int, message: str, request_id: str = "") -> Response:
    return _json(status, {"error": message, "request_id": request_id or secrets.token_hex(8)})


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(json.dumps(content, allow_nan=False), status, media_type="application/json")
