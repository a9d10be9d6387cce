"""`maskmill status` and `down` with records gone, a port taken, or a flow started by hand."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from maskmill.services import catalogue, control, ports, records, status
from maskmill.services.catalogue import Service
from maskmill.settings import config
from tests.services.conftest import free_port, kill, until

ROOT = Path(__file__).parents[2]
PARAMS = config.load(ROOT / "params.yaml")
LISTEN = (
    "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
    " time.sleep(86396)"
)
FLOW = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path("ended").touch(), sys.exit(143)))
pathlib.Path("began").touch()
time.sleep(86395)
"""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The one service of a workspace, as cheap as can be; it does not run yet."""
    port = free_port()
    command = (sys.executable, "-c", LISTEN, str(port))
    made = Service(
        "prefect", command, {"PYTHONPATH": str(ROOT / "src")}, f"http://127.0.0.1:{port}", "", port,
        tmp_path, tmp_path / ".maskmill", "",
    )  # fmt: skip
    # three: none is elsewhere
    monkeypatch.setattr(catalogue, "services_of_workspace", lambda params, root: [made] * 3)
    yield made
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(tmp_path):
                process.kill()


def listens(service: Service) -> bool:
    return ports.port_problem(PARAMS.services, service) is not None


def test_a_server_without_its_record_is_seen_with_its_process_and_down_ends_it(
    service: Service, capsys: pytest.CaptureFixture[str]
):
    control.start_keeper(service)
    record = records.read_record(service.record)
    assert record
    assert until(lambda: listens(service), 60)
    shutil.rmtree(service.state)
    assert not status.print_status(PARAMS, service.root)
    said = capsys.readouterr().out
    assert said.splitlines()[1].split()[:4] == ["prefect", "no", "record", str(record.pid)]
    assert (
        "prefect: it runs, and its record .maskmill/services/prefect.json is gone; `maskmill down`"
        " ends it, and `maskmill up` starts it anew" in said
    )
    status.stop_services(PARAMS, service.root)
    assert capsys.readouterr().out == "stopped: prefect\n"
    assert not psutil.pid_exists(record.pid)


def test_a_server_that_has_outlived_keeper_and_record_is_ended_too(
    service: Service, capsys: pytest.CaptureFixture[str]
):
    with subprocess.Popen(service.command, cwd=service.root) as server:
        assert until(lambda: listens(service), 60)
        status.print_status(PARAMS, service.root)
        assert capsys.readouterr().out.splitlines()[1].split()[:4] == [
            "prefect",
            "no",
            "record",
            str(server.pid),
        ]
        problem = ports.port_problem(PARAMS.services, service)
        assert (
            f"process {server.pid}, a server of this workspace whose keeper is gone; run `maskmill"
            " down`" in problem
        )
        status.stop_services(PARAMS, service.root)
        assert capsys.readouterr().out == "stopped: prefect\n"
        assert server.poll() is not None


def test_a_foreign_process_on_the_port_is_named_and_left_alone(
    service: Service, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
):
    with subprocess.Popen(service.command, cwd=tmp_path_factory.mktemp("elsewhere")) as foreign:
        try:
            assert until(lambda: listens(service), 60)
            status.print_status(PARAMS, service.root)
            said = capsys.readouterr().out
            assert said.splitlines()[1].split()[:2] == ["prefect", "foreign"]
            taken = (
                f"services.prefect_port: {service.port} is in use by process {foreign.pid}"
                f" ({sys.executable} -c import"
            )
            assert taken in said
            status.stop_services(PARAMS, service.root)
            said = capsys.readouterr().out
            assert said.startswith(
                f"nothing was up\nleft alone, since it is not of this workspace: {taken}"
            )
            assert foreign.poll() is None
        finally:
            kill(foreign.pid)


def test_down_ends_a_flow_that_was_started_by_hand_and_says_so(
    service: Service, capsys: pytest.CaptureFixture[str]
):
    (service.root / "pipelines").mkdir()
    (service.root / "pipelines/__main__.py").write_text(FLOW)
    with subprocess.Popen([sys.executable, "-m", "pipelines"], cwd=service.root) as flow:
        assert until((service.root / "began").exists, 60)
        status.stop_services(PARAMS, service.root)
        assert (
            capsys.readouterr().out
            == f"ending a flow run (process {flow.pid}): a training of it writes a checkpoint"
            " first\nstopped: flow run\n"
        )
        assert (service.root / "ended").exists()
        assert flow.poll() is not None
