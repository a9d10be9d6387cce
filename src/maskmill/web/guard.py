"""What stands before every server: who may call it, under which name, and with how many bytes.

Loopback alone protects from other machines, not from a page in the user's own browser: it can send
requests to 127.0.0.1, and after DNS rebinding read the answers. So requests under an unknown Host,
or from a foreign Origin, are refused; and where `services.auth` is set, requests without the
password.
"""

import base64
import json
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from maskmill.settings.config import LOOPBACK, Services
from maskmill.system.errors import MaskmillError
from maskmill.system.files import open_atomic

AUTH = "MASKMILL_AUTH"  # environment: user:password; comes before the file
_FILE = "auth"  # below paths.state
_MB = 1_000_000
_OPEN = ("/health", "/ping", "/api/health")  # say only that the server is there

Scope = dict[str, Any]


def read_credentials(services: Services, state: Path) -> str | None:
    """`user:password` for servers and clients; None where `services.auth` is off.

    From MASKMILL_AUTH, else from `.maskmill/auth`, which is made with a random password where it is
    not there.
    Raises: MaskmillError when what is found there has another form.
    """
    if not services.auth:
        return None
    path = state / _FILE
    if not os.environ.get(AUTH) and not path.exists():
        with open_atomic(path, private=True) as file:
            file.write(f"maskmill:{secrets.token_urlsafe(24)}\n".encode())
    found = os.environ.get(AUTH) or path.read_text().strip()
    user, _, password = found.partition(":")
    if not user or not password or not found.isascii() or any(c.isspace() for c in found):
        where = AUTH if os.environ.get(AUTH) else str(path)
        raise MaskmillError(
            f"{where}: not of the form user:password (ASCII, no blanks); delete it for a new one"
        )
    return found


class AccessGuard:
    """ASGI middleware around an app, which refuses with 400, 401, 403 and 413.

    400 for an unknown Host, 403 for a foreign Origin, 401 without the password, and 413 for too
    many bytes.
    """

    def __init__(
        self, app: Any, services: Services, auth: str | None, *, limit_body: bool = False
    ) -> None:
        self._app = app
        self._hosts = {*LOOPBACK, services.host, *services.allowed_hosts}
        self._named = set(services.allowed_hosts)
        self._auth = auth and f"Basic {base64.b64encode(auth.encode()).decode()}".encode()
        self._max_body = services.max_body_mb * _MB if limit_body else None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self._refuse(scope, headers)
        if refusal is None and self._max_body and scope["type"] == "http":
            receive, refusal = await self._read(receive, int(headers.get(b"content-length", b"0")))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            await _answer(send, *refusal)

    def _refuse(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if _name(f"//{host}") not in self._hosts:
            return (
                400,
                (
                    f"Host: got {host!r}; allowed are {self._allowed()} (services.allowed_hosts in"
                    " params.yaml)"
                ),
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and not self._own(origin, host):
            return (
                403,
                (
                    f"Origin: got {origin!r}; allowed is {host!r}, and services.allowed_hosts in"
                    " params.yaml"
                ),
            )
        if self._auth and scope["path"] not in _OPEN:
            given = headers.get(b"authorization", b"")
            if not secrets.compare_digest(given, self._auth):
                return 401, "user and password are needed (services.auth in params.yaml is true)"
        return None

    async def _read(self, receive: Any, announced: int) -> tuple[Any, tuple[int, str] | None]:
        """Read the whole body, to be received again.

        413 as soon as it is known to be over the limit.
        """
        assert self._max_body
        body, read, got, more = [], 0, announced, True
        while more and got <= self._max_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body.append(message.get("body", b""))
            read += len(body[-1])
            got = max(announced, read)
            more = message.get("more_body", False)
        if got > self._max_body:
            return receive, (
                413,
                (
                    f"body: got {got:,} bytes; at most {self._max_body:,} are "
                    "read (services.max_body_mb in params.yaml); send fewer images in one request"
                ),
            )
        messages = iter([{"type": "http.request", "body": b"".join(body), "more_body": False}])

        async def again() -> Any:
            return next(messages, None) or await receive()

        return again, None

    def _own(self, origin: str, host: str) -> bool:
        """Whether a page is this very server's, or of a name that was allowed.

        Another port is another page.
        """
        return origin.lower().partition("://")[2] == host.lower() or _name(origin) in self._named

    def _allowed(self) -> str:
        return ", ".join(sorted(self._hosts))


def _name(url: str) -> str:
    """The host of a URL, without its port; "" where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def _answer(send: Any, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="maskmill"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
