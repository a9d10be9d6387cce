"""With MLflow away the line trains, `register` says what to do, and all arrives later."""

import json
import sys
import time

import pytest

from tests.pipelines.conftest import Workspace, copy
from tests.tracking.test_away import Server

WITH_RETRIES_S = 245  # of stock MLflow, at the start alone


@pytest.fixture(scope="module")
def away(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A line that has run, with a training to do."""
    made = copy(finished, tmp_path_factory.mktemp("away") / "repository")
    made.set(variants=["unet"], train__seed=5)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    made.down()


@pytest.mark.slow
def test_mlflow_away_stops_register_alone_and_the_next_run_sends_everything(
    away: Workspace, server: Server
):
    away.env["MLFLOW_TRACKING_URI"] = server.uri
    begun = time.monotonic()
    process = away.start(sys.executable, "-u", "-m", "pipelines.local")
    lines, registering = [], begun
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Running stage 'register'"):
            registering = time.monotonic()
        if line.startswith("error: register:"):
            assert time.monotonic() - registering < 30
    said = "".join(lines)
    assert process.wait() != 0
    assert time.monotonic() - begun < WITH_RETRIES_S
    assert (
        f"error: register: MLflow at {server.uri} does not answer; start it (`maskmill up`), or set"
        in said
    )
    assert (
        "The trained models are kept: the same command goes on here, and nothing trains again."
        in said
    )
    assert "Traceback" not in said
    assert len(list((away.root / ".maskmill/spool").glob("*.jsonl"))) == 1

    server.up()
    again = away.pipeline()
    assert again.returncode == 0, again.stdout + again.stderr
    assert "unet: step" not in again.stdout
    assert "promoted" in again.stdout
    code = (
        "from maskmill.settings import config; from maskmill.tracking import stores; import json;p"
        " = config.load(); s = stores.connect_store(p.tracking, p.paths);r, ="
        " s.client.search_runs([s.experiment_id]);print(json.dumps([r.info.status, r.info.end_time"
        " - r.info.start_time, [[[m.step, m.timestamp] for m in"
        " s.client.get_metric_history(r.info.run_id, name)] for name in ('loss', 'learning_rate',"
        " 'val_dice_foreground', 'test_dice_foreground')]]))"
    )
    status, took_ms, histories = json.loads(away.run(sys.executable, "-c", code).stdout)
    assert status == "FINISHED"
    assert 0 < took_ms < 60_000
    assert [[step for step, _ in sorted(history)] for history in histories] == [[2, 4, 6]] * 3 + [
        [6]
    ]
    times = [when for _, when in sorted(histories[0])]
    assert len(set(times)) == 3  # when the rows were made, not when they were sent
    assert list((away.root / ".maskmill/spool").iterdir()) == []


def test_a_training_killed_and_started_again_is_one_run_also_where_there_is_no_mlflow(
    away: Workspace,
):
    away.set(train__seed=6, train__steps=40, train__patience=40)
    process = away.start(sys.executable, "-u", "-m", "maskmill.stages", "train", "unet")
    assert any(line.startswith("unet: step    6/40") for line in process.stdout)
    process.kill()
    process.communicate()
    before = {path.stem for path in (away.root / ".maskmill/spool").glob("*.jsonl")}
    code = """
import importlib.util, sys
sys.modules["mlflow"] = None  # an import fails
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "mlflow" else find(name)
from maskmill.stages.__main__ import main
sys.exit(main(["train", "unet"]))
"""
    done = away.run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "unet: goes on at step" in done.stdout
    run = json.loads((away.root / "models/unet/run.json").read_text())
    assert run["key"] in before
    assert run["started"] < run["ended"]
    lines = (away.root / f".maskmill/spool/{run['key']}.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"]["step"] for line in lines if '"row"' in line] == list(
        range(2, 42, 2)
    )
    assert len([line for line in lines if '"owner"' in line]) == 2
    assert '"ended"' in lines[-1]
