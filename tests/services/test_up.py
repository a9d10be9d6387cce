"""Real servers, from nothing to stopped.

The tests run in this order: each finds what the one before has left.
"""

import base64
import json
import sqlite3
import urllib.error
import urllib.request

import psutil
import pytest

from tests.services.conftest import MASKMILL, Servers, kill, until

PAGES = {"prefect": "/", "mlflow": "/"}
SLEEPER = """
import subprocess
from prefect import flow

@flow
def sleeper():
    subprocess.run(["sleep", "86398"], start_new_session=True)
"""
RUN_SLEEPER = """
from pathlib import Path
from prefect import flow
from prefect.deployments import run_deployment

made = flow.from_source(source=str(Path.cwd()), entrypoint="sleeper.py:sleeper")
made.deploy("sleeper", work_pool_name="maskmill", print_next_steps=False)
print(run_deployment("sleeper/sleeper", timeout=0).id)
"""


def ask(url: str, method: str = "GET", body: object = None, **headers: str) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"content-type": "application/json", **headers}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture(scope="module")
def at(servers: Servers) -> dict[str, str]:
    return {name: servers.service(name).address for name in PAGES}


def test_two_ups_at_once_start_one_set(servers: Servers):
    both = [servers.start(*MASKMILL, "up") for _ in range(2)]
    told = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("already up\n" in text for text in told) == 1, told
    assert sum("waiting for it to end" in text for text in told) == 1, told
    assert len([p for p in servers.processes() if p.pid == servers.record("worker").pid]) == 1


def test_both_pages_answer(at: dict[str, str]):
    for name, path in PAGES.items():
        status, page = ask(at[name] + path)
        assert status == 200
        assert b"<html" in page


def test_a_second_up_leaves_everything_as_it_is(servers: Servers):
    before = [servers.record(name) for name in ("prefect", "mlflow", "worker")]
    done = servers.maskmill("up")
    assert done.returncode == 0
    for name in ("prefect", "mlflow", "worker"):
        assert f"{name}: already up" in done.stdout
    assert [servers.record(name) for name in ("prefect", "mlflow", "worker")] == before


def test_status_shows_all_three_and_ui_their_addresses(servers: Servers, at: dict[str, str]):
    done = servers.maskmill("status")
    assert done.returncode == 0
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert rows == {"prefect": "up", "mlflow": "up", "worker": "up"}
    told = servers.maskmill("ui").stdout
    assert all(address in told for address in at.values())


def test_only_loopback_is_listened_on(servers: Servers):
    listening = [
        connection.laddr
        for process in servers.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    ports = {servers.params.services.prefect_port, servers.params.services.mlflow_port}
    assert ports <= {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_homes_are_in_the_workspace_and_nobody_is_told(servers: Servers, at: dict[str, str]):
    environment = psutil.Process(servers.record("prefect").pid).environ()
    assert environment["PREFECT_HOME"] == str(servers.root / ".maskmill/prefect")
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert (
        json.loads(ask(f"{at['mlflow']}/ajax-api/3.0/mlflow/ui-telemetry")[1])[
            "disable_ui_telemetry"
        ]
        is True
    )
    assert (servers.root / ".maskmill/prefect/prefect.db").exists()
    assert (servers.root / ".maskmill/mlflow/mlflow.db").exists()


@pytest.mark.parametrize("name", PAGES)
def test_another_host_and_a_foreign_page_are_refused(name: str, at: dict[str, str]):
    paths = {"prefect": "/api/flows/filter", "mlflow": "/api/2.0/mlflow/experiments/search"}
    url, body = at[name] + paths[name], {"max_results": 1} if name == "mlflow" else {}
    assert ask(url, "POST", body)[0] == 200
    assert ask(url, "POST", body, origin=at[name])[0] == 200
    assert ask(url, "POST", body, host="evil.example")[0] == 400
    assert ask(url, "POST", body, origin="http://evil.example")[0] == 403


def test_another_workspace_is_told_who_has_the_port(servers: Servers, tmp_path):
    other = Servers(tmp_path / "other")
    other.set(services__mlflow_port=servers.params.services.mlflow_port)
    done = other.maskmill("up")
    assert done.returncode == 2
    assert (
        f"services.mlflow_port: {servers.params.services.mlflow_port} is in use by the maskmill"
        f" workspace in {servers.root}; run `maskmill down` there, or set another"
        " services.mlflow_port in params.yaml" in done.stderr
    )
    assert other.processes() == []


def test_a_killed_prefect_server_comes_back_with_its_leases_and_its_worker(
    servers: Servers, at: dict[str, str]
):
    api, worker = f"{at['prefect']}/api/v2/concurrency_limits", servers.record("worker")
    ask(f"{api}/", "POST", {"name": "test", "limit": 1, "active": True})
    taken = {"names": ["test"], "slots": 1, "lease_duration": 120}
    lease = json.loads(ask(f"{api}/increment-with-lease", "POST", taken)[1])["lease_id"]
    before = servers.record("prefect")
    kill(before.pid)
    assert until(
        lambda: ask_health(at["prefect"]) and servers.record("prefect").pid not in (0, before.pid),
        120,
    )
    assert servers.record("prefect").keeper == before.keeper
    assert ask(f"{api}/leases/{lease}/renew", "POST", {"lease_duration": 120})[0] == 204
    assert servers.record("worker") == worker
    assert servers.maskmill("status").returncode == 0


def ask_health(address: str) -> bool:
    try:
        return ask(f"{address}/api/health")[0] == 200
    except OSError:
        return False


def test_a_killed_worker_leaves_no_flow_run_and_comes_back(servers: Servers):
    run_sleeper(servers)
    worker = servers.record("worker")
    below = psutil.Process(worker.pid).children(recursive=True)
    kill(worker.pid)
    _, left = psutil.wait_procs(below, timeout=120)
    assert left == []
    assert until(lambda: servers.record("worker").pid not in (0, worker.pid), 120)


def run_sleeper(servers: Servers) -> str:
    """Have the worker run a flow that sleeps; the run's id, once it does."""
    (servers.root / "sleeper.py").write_text(SLEEPER)
    ordered = servers.run(MASKMILL[0], "-c", RUN_SLEEPER, env=servers.prefect_env())
    assert ordered.returncode == 0, ordered.stderr
    assert until(lambda: sleeping(servers), 120)
    return ordered.stdout.split()[-1]


def sleeping(servers: Servers) -> bool:
    below = psutil.Process(servers.record("worker").pid).children(recursive=True)
    return any(process.cmdline() == ["sleep", "86398"] for process in below)


def test_a_killed_keeper_takes_its_service_along_and_up_mends_it(servers: Servers):
    record = servers.record("mlflow")
    service = psutil.Process(record.pid)
    kill(record.keeper)
    assert psutil.wait_procs([service], timeout=120)[1] == []
    path = servers.service("mlflow").record
    if path.exists():  # the inner keeper has removed it
        pytest.fail(f"{path} is left")
    assert servers.maskmill("status").returncode == 3
    done = servers.maskmill("up")
    assert done.returncode == 0, done.stderr
    assert servers.maskmill("status").returncode == 0


def test_auth_is_one_setting(servers: Servers, at: dict[str, str]):
    servers.set(services__auth=True)
    done = servers.maskmill("up")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("prefect", "mlflow", "worker"):
        assert f"{name}: its settings have changed; starting it again" in done.stdout
    password = (servers.root / ".maskmill/auth").read_text().strip()
    assert password not in done.stdout
    assert str(servers.root / ".maskmill/auth") in done.stdout
    basic = {"authorization": f"Basic {base64.b64encode(password.encode()).decode()}"}
    wrong = {"authorization": f"Basic {base64.b64encode(b'maskmill:guess').decode()}"}
    for url in (
        f"{at['prefect']}/api/flows/filter",
        f"{at['mlflow']}/api/2.0/mlflow/experiments/search",
    ):
        body = {"max_results": 1} if "mlflow" in url else {}
        assert ask(url, "POST", body)[0] == 401
        assert ask(url, "POST", body, **wrong)[0] == 401
        assert ask(url, "POST", body, **basic)[0] == 200
    assert ask(f"{at['mlflow']}/")[0] == 401


def test_clients_with_the_password_work(servers: Servers, at: dict[str, str]):
    user, _, password = (servers.root / ".maskmill/auth").read_text().strip().partition(":")
    mlflow = servers.run(
        MASKMILL[0], "-c",
        "import mlflow; client = mlflow.MlflowClient(); "
        "run = client.create_run(client.create_experiment('remote'))\n"
        "client.log_text(run.info.run_id, 'kept', 'note.txt')\n"
        "print(mlflow.artifacts.load_text(f'runs:/{run.info.run_id}/note.txt'))",
        env={"MLFLOW_TRACKING_URI": at["mlflow"], "MLFLOW_TRACKING_USERNAME": user,
             "MLFLOW_TRACKING_PASSWORD": password},
    )  # fmt: skip
    assert mlflow.stdout.splitlines()[-1:] == ["kept"], mlflow.stderr
    pools = (
        "from prefect.client.orchestration import get_client as c;"
        " print(c(sync_client=True).read_work_pools())"
    )
    prefect = servers.run(MASKMILL[0], "-c", pools, env=servers.prefect_env())
    assert "name='maskmill'" in prefect.stdout, prefect.stderr


def test_down_leaves_no_process_and_flow_runs_say_how_they_ended(servers: Servers):
    servers.service("mlflow").record.unlink()  # somebody cleaned up too much
    told = servers.maskmill("up").stderr
    assert f"in use by the maskmill workspace in {servers.root}; run `maskmill down` there" in told
    run = run_sleeper(servers)
    done = servers.maskmill("down")
    ending, stopped = done.stdout.splitlines()
    assert ending.endswith("a training of it writes a checkpoint first")
    assert stopped == "stopped: flow run, worker, prefect, mlflow"
    assert servers.processes() == []
    with sqlite3.connect(servers.root / ".maskmill/prefect/prefect.db") as database:
        states = database.execute("SELECT state_type FROM flow_run WHERE id = ?", [run]).fetchall()
    assert states == [("CRASHED",)]  # as the run itself could still say
    assert servers.maskmill("down").stdout == "nothing was up\n"
    assert servers.maskmill("status").returncode == 3
