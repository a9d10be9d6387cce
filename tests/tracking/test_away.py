"""A real MLflow server that is away, hangs, dies and comes back, while trainings go on."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from maskmill.settings import config
from maskmill.tracking import reaper, stores
from tests.tracking.trainings import Trainer, until

# what a row may cost a training, whatever MLflow does: a line on the disk, and no time-out of
# MLflow's
LINE_S = 4.0
END_S = 20.0  # and its end, which waits for no sender: one that MLflow keeps waiting lives for 30 s
# seconds on an idle machine; a busy one leaves little to a process of the lowest priority
ARRIVES_S = 300


class Server:
    """An MLflow server on its own port and store, up or down as a test wants it."""

    def __init__(self, root: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.root = root
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        if self.process is not None:
            return
        store = f"sqlite:///{self.root / 'mlflow.db'}"
        with (self.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store,
                 "--workers", "1", "--artifacts-destination", self.root / "artifacts",
                 "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=log, stderr=log, start_new_session=True, cwd=self.root,
            )  # fmt: skip
        assert until(self._answers, 300), (self.root / "server.log").read_text()

    def _answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=2).status == 200
        except OSError:
            return False

    def down(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Server]:
    import shutil

    root = tmp_path_factory.mktemp("server")
    shutil.copy2(empty_store, root / "mlflow.db")
    made = Server(root)
    yield made
    made.down()


@pytest.fixture
def asked(
    server: Server, params: config.Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> stores.Store:
    """What the server holds, read from its own store, so that it may be away."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{server.root / 'mlflow.db'}")
    return stores.connect_store(params.tracking, params.paths, tmp_path)


def held(store: stores.Store, key: str) -> tuple[str, list[int]]:
    """Status of the one run of a training, and the steps that all of its metrics have."""
    found = store.client.search_runs([store.experiment_id], f"tags.`maskmill.training` = '{key}'")
    if not found:
        return "none", []
    (run,) = found
    histories = [
        store.client.get_metric_history(run.info.run_id, name) for name in ("loss", "val_dice")
    ]
    loss, dice = (sorted(metric.step for metric in history) for history in histories)
    return run.info.status, loss if loss == dice else [*loss, -1, *dice]


@pytest.mark.slow
def test_a_server_that_comes_after_the_training_began_gets_what_it_missed(
    server: Server, asked: stores.Store, tmp_path: Path
):
    server.down()
    training = Trainer(tmp_path, server.uri)
    assert training.add(1, 2, 3) < LINE_S
    assert held(asked, training.key) == ("none", [])
    server.up()
    assert until(lambda: held(asked, training.key) == ("RUNNING", [1, 2, 3]), ARRIVES_S)
    assert training.add(4) < LINE_S
    # a live curve
    assert until(lambda: held(asked, training.key) == ("RUNNING", [1, 2, 3, 4]), ARRIVES_S)
    assert training.end() < END_S
    assert until(lambda: held(asked, training.key) == ("FINISHED", [1, 2, 3, 4]), ARRIVES_S)
    assert until(lambda: not training.spool.exists() and not training.senders(), ARRIVES_S)


def test_a_server_that_hangs_slows_nothing_and_gets_each_metric_once(
    server: Server, asked: stores.Store, tmp_path: Path
):
    server.up()
    training = Trainer(tmp_path, server.uri)
    training.add(1)
    assert until(lambda: held(asked, training.key) == ("RUNNING", [1]), ARRIVES_S)
    server.signal(signal.SIGSTOP)
    try:
        assert training.add(2, 3) < LINE_S
        # a sending runs into its time-out meanwhile, and its request waits in the server's socket
        time.sleep(6)
        assert training.add(4) < LINE_S
    finally:
        server.signal(signal.SIGCONT)
    assert until(lambda: held(asked, training.key) == ("RUNNING", [1, 2, 3, 4]), ARRIVES_S)
    assert training.end() < END_S
    assert until(lambda: held(asked, training.key) == ("FINISHED", [1, 2, 3, 4]), ARRIVES_S)


@pytest.mark.slow
def test_a_killed_training_is_closed_by_its_sender_and_goes_on_as_the_same_run(
    server: Server, asked: stores.Store, tmp_path: Path
):
    server.up()
    training = Trainer(tmp_path, server.uri)
    training.add(1, 2)
    assert until(lambda: held(asked, training.key)[0] == "RUNNING", ARRIVES_S)
    training.add(3)
    training.kill()
    assert until(lambda: held(asked, training.key) == ("KILLED", [1, 2, 3]), ARRIVES_S)
    assert until(lambda: not training.senders(), ARRIVES_S)

    again = Trainer(tmp_path, server.uri)
    assert again.key == training.key
    again.add(2, 3, 4)  # the steps since the last checkpoint once more
    assert until(lambda: held(asked, again.key) == ("RUNNING", [1, 2, 3, 4]), ARRIVES_S)
    again.end()
    assert until(lambda: held(asked, again.key) == ("FINISHED", [1, 2, 3, 4]), ARRIVES_S)


def test_nothing_outlives_a_killed_training_by_ten_seconds_while_the_server_hangs(
    server: Server, tmp_path: Path
):
    server.up()
    training = Trainer(tmp_path, server.uri)
    training.add(1)
    server.signal(signal.SIGSTOP)
    try:
        time.sleep(4)  # its sender is on the way to MLflow, or waits for an answer
        assert training.senders()
        training.kill()
        # within 10 s on an idle machine; without an end, minutes
        assert until(lambda: not training.senders(), 30)
    finally:
        server.signal(signal.SIGCONT)


@pytest.mark.slow
def test_a_server_that_dies_for_good_gets_all_of_it_when_it_is_back(
    server: Server,
    asked: stores.Store,
    tmp_path: Path,
    params: config.Params,
    monkeypatch: pytest.MonkeyPatch,
):
    server.up()
    training = Trainer(tmp_path, server.uri)
    training.add(1)
    assert until(lambda: held(asked, training.key) == ("RUNNING", [1]), ARRIVES_S)
    server.down()
    assert training.add(2, 3) < LINE_S
    assert training.end() < END_S
    (sender,) = training.senders()
    os.kill(sender, signal.SIGKILL)  # or half a minute would have to pass
    assert held(asked, training.key) == ("RUNNING", [1])

    server.up()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    store = stores.connect_store(params.tracking, params.paths, tmp_path)
    assert reaper.close_abandoned_runs(store) == []  # it finished: nothing to close
    assert held(asked, training.key) == ("FINISHED", [1, 2, 3])
    assert list(training.spool.parent.iterdir()) == []
