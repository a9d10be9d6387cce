"""The store opens for all at once, survives a kill, and says in time when it is away."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maskmill.settings import config
from maskmill.tracking import stores
from tests.tracking.conftest import ROOT

WRITER = """
import multiprocessing, sys
from pathlib import Path
import mlflow
from mlflow.entities import Metric
from maskmill.settings import config
from maskmill.tracking import stores
params = config.load(Path(sys.argv[1]))


def write():
    store = stores.connect_store(params.tracking, params.paths, Path(sys.argv[2]))
    for i in range(3):
        run = store.client.create_run(store.experiment_id).info.run_id
        store.client.log_batch(run, [Metric("loss", 1.0, step, step) for step in range(5)])
        store.client.set_terminated(run)


if sys.argv[3] == "1":
    sys.exit(write())
others = [multiprocessing.get_context("fork").Process(target=write) \
for _ in range(int(sys.argv[3]))]
for other in others:
    other.start()
for other in others:
    other.join()
sys.exit(sum(other.exitcode != 0 for other in others))
"""


def start(root: Path, processes: int = 1) -> "subprocess.Popen[str]":
    """Write into the store in `root` by so many processes at once, which share all imports."""
    command = [sys.executable, "-c", WRITER, ROOT / "params.yaml", root, str(processes)]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")
    }
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_eight_processes_that_open_a_fresh_store_together_lose_nothing(
    tmp_path: Path, params: config.Params
):
    writers = start(tmp_path, 8)
    said = writers.communicate(timeout=300)[1]
    assert writers.returncode == 0, said
    store = stores.connect_store(params.tracking, params.paths, tmp_path)
    found = store.client.search_runs([store.experiment_id])
    assert len(found) == 24
    assert all(len(store.client.get_metric_history(run.info.run_id, "loss")) == 5 for run in found)


def test_a_process_killed_while_it_makes_the_store_leaves_it_whole(
    tmp_path: Path, params: config.Params
):
    part = tmp_path / ".maskmill/mlflow/.mlflow.db.part"
    killed = start(tmp_path)
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 500_000) and time.monotonic() < deadline:
        # until it is in the middle of the migration, which is when stock files break
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert part.exists()
    store = stores.connect_store(params.tracking, params.paths, tmp_path)
    assert store.client.search_runs([store.experiment_id]) == []
    assert not part.exists()


def test_a_server_that_is_not_there_is_named_with_what_to_do(
    tmp_path: Path, params: config.Params, monkeypatch: pytest.MonkeyPatch
):
    plain(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as free:
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    start_s = time.monotonic()
    with pytest.raises(stores.AwayError) as raised:
        stores.connect_store(params.tracking, params.paths, tmp_path)
    assert time.monotonic() - start_s < 15
    assert str(raised.value).startswith(
        f"MLflow at {uri} does not answer; start it (`maskmill up`), or set MLFLOW_TRACKING_URI, or"
        " tracking.uri in params.yaml, to a server that runs or to"
        " sqlite:///.maskmill/mlflow/mlflow.db. It said:"
    )


def test_a_server_that_never_answers_is_given_up_in_time(
    tmp_path: Path, params: config.Params, monkeypatch: pytest.MonkeyPatch
):
    plain(monkeypatch)
    assert 2 * float(stores._FIRST_ANSWER_S) < 20  # a try, and one more
    monkeypatch.setattr(stores, "_FIRST_ANSWER_S", "2")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{mute.getsockname()[1]}")
        start_s = time.monotonic()
        with pytest.raises(stores.AwayError, match="does not answer"):
            stores.connect_store(params.tracking, params.paths, tmp_path)
        assert 4 < time.monotonic() - start_s < 12


def test_the_users_own_patience_comes_first(
    tmp_path: Path, params: config.Params, monkeypatch: pytest.MonkeyPatch
):
    plain(monkeypatch)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{mute.getsockname()[1]}")
        start_s = time.monotonic()
        with pytest.raises(stores.AwayError):
            stores.connect_store(params.tracking, params.paths, tmp_path)
        assert time.monotonic() - start_s < 6
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "1"


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's settings as a user finds them; those of `connect` are undone after the test."""
    for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "unset below")
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}")
