"""Who gets through to a server, on a real one (uvicorn on a free port)."""

import socket
import stat
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn
from pydantic import ValidationError

from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.web.guard import AccessGuard, read_credentials

SERVICES = config.load(Path(__file__).parents[3] / "params.yaml").services


async def echo(scope, receive, send):
    """Answers with the number of bytes in the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture(scope="module", params=["open", "with a password"])
def server(request):
    """A guarded server's client, which knows the password where there is one."""
    auth = "ann:secret" if request.param == "with a password" else None
    listening = socket.create_server(("127.0.0.1", 0))
    services = SERVICES.model_copy(update={"allowed_hosts": ("mills.example",), "max_body_mb": 1})
    server = uvicorn.Server(
        uvicorn.Config(
            AccessGuard(echo, services, auth, limit_body=True), lifespan="off", log_level="error"
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
        auth=auth and tuple(auth.split(":")),
        trust_env=False,
    ) as client:
        yield client
    server.should_exit = True
    thread.join()


def test_a_request_under_an_allowed_name_gets_through(server):
    assert server.post("/", content=b"abc").text == "3"
    for host in ("localhost:1234", "mills.example", "[::1]:80"):
        assert server.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "[", ""]
)
def test_another_host_is_refused_as_after_dns_rebinding(server, host):
    answer = server.get("/", headers={"host": host})
    assert answer.status_code == 400
    if host and host != "[":
        assert answer.json()["error"].startswith(f"Host: got '{host}'; allowed are ")


def test_a_page_from_elsewhere_is_refused(server):
    answer = server.post("/", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert answer.json()["error"].startswith(
        "Origin: got 'https://evil.example'; allowed is '127.0.0.1:"
    )
    for other in ("null", "http://localhost:8888", "http://["):
        assert server.post("/", headers={"origin": other}).status_code == 403
    for own in (str(server.base_url).rstrip("/"), "https://mills.example"):
        assert server.post("/", headers={"origin": own}).status_code == 200


def test_without_the_password_the_answer_is_401_where_there_is_one(server):
    protected = server.auth is not None
    for wrong in (None, ("ann", "wrong"), ("", "")):
        answer = httpx.get(server.base_url, auth=wrong, trust_env=False)
        assert answer.status_code == (401 if protected else 200)
    if protected:
        assert (
            httpx.get(server.base_url, trust_env=False)
            .headers["www-authenticate"]
            .startswith("Basic")
        )
        assert httpx.get(server.base_url.join("/health"), trust_env=False).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_and_one_at_it_is_not(server, chunked):
    def send(size):
        content = iter([b"x" * 1000] * (size // 1000)) if chunked else b"x" * size
        return server.post("/", content=content)

    assert send(1_000_000).text == "1000000"
    answer = send(1_001_000)
    assert answer.status_code == 413
    assert (
        answer.json()["error"]
        == "body: got 1,001,000 bytes; at most 1,000,000 are read (services.max_body_mb in"
        " params.yaml); send fewer images in one request"
    )


def test_a_password_is_made_once_and_kept_private(tmp_path, monkeypatch):
    monkeypatch.delenv("MASKMILL_AUTH", raising=False)
    assert read_credentials(SERVICES, tmp_path) is None
    closed = SERVICES.model_copy(update={"auth": True})
    made = read_credentials(closed, tmp_path)
    assert made.startswith("maskmill:")
    assert len(made) > 40
    assert read_credentials(closed, tmp_path) == made
    assert stat.S_IMODE((tmp_path / "auth").stat().st_mode) == 0o600
    monkeypatch.setenv("MASKMILL_AUTH", "ann:secret")
    assert read_credentials(closed, tmp_path) == "ann:secret"


@pytest.mark.parametrize("wrong", ["ann", "ann:", ":secret", "ann:two words"])
def test_a_password_of_another_form_is_refused(tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("MASKMILL_AUTH", wrong)
    with pytest.raises(MaskmillError, match="MASKMILL_AUTH: not of the form user:password"):
        read_credentials(SERVICES.model_copy(update={"auth": True}), tmp_path)


def test_other_machines_are_let_in_only_with_a_password():
    shared = SERVICES.model_dump() | {"host": "0.0.0.0"}
    with pytest.raises(ValidationError, match="lets other machines in, and auth is false"):
        config.Services.model_validate(shared)
    assert config.Services.model_validate(shared | {"auth": True}).host == "0.0.0.0"


def test_two_servers_on_one_port_are_refused():
    with pytest.raises(ValidationError, match="each needs a port of its own"):
        config.Services.model_validate(SERVICES.model_dump() | {"model_port": SERVICES.mlflow_port})
