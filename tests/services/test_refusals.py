"""What stops `maskmill up` or is left over, and what the user is told about it."""

import dataclasses
import os
import socket
import subprocess
import sys

import pytest

from maskmill.services import records
from tests.services.conftest import Servers


@pytest.fixture
def foreign(servers: Servers):
    """A server that is not ours, on Prefect's port."""
    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(1);"
        " s.accept()"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(servers.params.services.prefect_port)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_port_in_use_names_who_has_it_and_the_setting(
    servers: Servers, foreign: subprocess.Popen[bytes]
):
    port = servers.params.services.prefect_port
    done = servers.maskmill("up")
    assert done.returncode == 2
    assert (
        f"services.prefect_port: {port} is in use by process {foreign.pid} ({sys.executable} -u -c"
        " import" in done.stderr
    )
    assert "stop it, or set another services.prefect_port in params.yaml" in done.stderr
    assert servers.processes() == []
    assert foreign.poll() is None


def test_an_address_of_another_machine_is_refused(servers: Servers):
    before = (servers.root / "params.yaml").read_text()
    servers.set(services__host="192.0.2.1", services__auth=True)
    done = servers.maskmill("up")
    (servers.root / "params.yaml").write_text(before)
    assert done.returncode == 2
    assert "services.host: '192.0.2.1' is no address of this machine" in done.stderr


def test_a_record_whose_process_id_another_process_has_is_only_removed(servers: Servers):
    service = servers.service("prefect")
    service.record.parent.mkdir(parents=True, exist_ok=True)
    stale = records.Record(
        "prefect", str(servers.root), 1, "", ["x"], os.getpid(), os.getpid(), 0.0, 0
    )
    records.write_record(service.record, stale)
    assert servers.maskmill("status").stdout.splitlines()[1].split()[:2] == ["prefect", "killed"]
    # so that it starts nothing
    with socket.create_server(("127.0.0.1", servers.params.services.mlflow_port)):
        done = servers.maskmill("up")
    assert (
        f"prefect: {service.record} is left over from a process that is gone; removed it"
        in done.stdout
    )
    assert not service.record.exists()
    records.write_record(service.record, dataclasses.replace(stale, keeper=0))
    assert servers.maskmill("down").stdout == "nothing was up\n"
    assert not service.record.exists()


def test_a_server_that_cannot_start_shows_its_log_and_leaves_nothing(servers: Servers):
    done = servers.maskmill("up", env={"PREFECT_API_DATABASE_CONNECTION_URL": "oracle://nowhere"})
    assert done.returncode == 2
    assert (
        f"prefect: it ended at once; the end of {servers.service('prefect').log}:\n  | "
        in done.stderr
    )
    assert servers.processes() == []
    assert list((servers.root / ".maskmill/services").glob("*.json")) == []


def test_a_tracking_server_elsewhere_is_named_and_none_started(servers: Servers):
    elsewhere = {"MLFLOW_TRACKING_URI": "https://mlflow.example"}
    told = servers.maskmill("status", env=elsewhere).stdout
    assert "mlflow is a server that runs elsewhere: https://mlflow.example" in told
    assert [line.split()[0] for line in told.splitlines()[1:3]] == ["prefect", "worker"]
    # as a client of our own server sets it
    ours = {"MLFLOW_TRACKING_URI": servers.service("mlflow").address}
    assert "elsewhere" not in servers.maskmill("status", env=ours).stdout
