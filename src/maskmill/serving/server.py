"""`maskmill serve`: a registered version behind the guard, in this process, until its end."""

import os
import shlex
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from maskmill import sources
from maskmill.inference.predict import Predictor
from maskmill.serving import app
from maskmill.serving.scoring import RequestLimits, Scorer
from maskmill.settings.config import Params
from maskmill.system import addresses
from maskmill.system.errors import MaskmillError
from maskmill.web import guard

_STOP_S = 30  # for requests at work when the server is told to end


def serve(params: Params, load: Callable[[], tuple[str, Predictor]], port: int) -> None:
    """Serve the version and name that `load` gives, until SIGINT or SIGTERM.

    Port 0 takes a free one.

    Raises: MaskmillError when there is no such version, it is damaged, or the port is taken.
    """
    services, state = params.services, Path(params.paths.state)
    auth = guard.read_credentials(services, state)
    listening = _listen(services.host, port)
    name, predictor = load()
    scorer = Scorer(
        predictor, RequestLimits(services.threads, services.max_rows, services.max_pixels)
    )
    image = _example(Path(params.paths.raw))
    address = addresses.url(*listening.getsockname()[:2])
    greeting = (
        f"serving {name} ({predictor.card.variant}, weights "
        f"{predictor.card.sha256[:16]}..) at {address}\ntry it in another terminal:\n"
        f"{_curl(address, image, state if auth else None)}"
    )
    loggers = {**LOGGING_CONFIG["loggers"], "maskmill": {"handlers": ["default"], "level": "INFO"}}
    server = uvicorn.Server(
        uvicorn.Config(
            guard.AccessGuard(
                app.create(scorer, lambda: print(greeting, flush=True)),
                services,
                auth,
                limit_body=True,
            ),
            log_config={**LOGGING_CONFIG, "loggers": loggers},
            timeout_graceful_shutdown=_STOP_S,
            server_header=False,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn raises the signal once more when it has ended in good order
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listening])


def _example(raw: Path) -> Path:
    """An image of the data for the line to try; a word where there are none here."""
    listed = sources.read_index(raw)["image"].tolist() if (raw / sources.INDEX).exists() else []
    return next((Path(path) for path in listed if path), Path("IMAGE.png"))


def _listen(host: str, port: int) -> socket.socket:
    try:
        made = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise MaskmillError(
            f"cannot listen on {host} port {port}: {reason}{_holder(port)}; "
            "free the port, or change services.model_port (or services.host) in params.yaml"
        ) from None
    # asyncio leaves it off here: 40 ms for small answers
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _holder(port: int) -> str:
    """Which program listens on a port; "" where the system does not say."""
    try:
        holders = [
            f"{' '.join(p.cmdline())[:100]} (process {p.pid})" for p in addresses.listeners(port)
        ]
    except psutil.Error:
        return ""
    return f", held by {', '.join(holders)}" if holders else ""


def _curl(address: str, image: Path, state: Path | None) -> str:
    """A line for a shell that posts one image, whatever its size.

    It gives the password where there is one.
    """
    user = (
        f' --user "${{{guard.AUTH}:-$(cat {shlex.quote(str(state / "auth"))})}}"' if state else ""
    )
    encoded = f"$(base64 < {shlex.quote(str(image))} | tr -d '\\n')"
    return (
        f"""printf '{{"dataframe_records": [{{"image": "%s"}}]}}' "{encoded}" | \\\n"""
        f"  curl -s{user} -H 'content-type: application/json' --data-binary @-"
        f" {address}/invocations"
    )
