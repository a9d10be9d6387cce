"""Runs whose training is gone are closed, and no others."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maskmill.tracking import owners, reaper, runs, stores
from tests.tracking.conftest import ROOT
from tests.tracking.test_run import TRAINING, steps
from tests.tracking.trainings import Trainer, until

GOING = dataclasses.replace(TRAINING, status="RUNNING", owner=owners.this_process(), summary={})
GONE = dataclasses.replace(owners.this_process(), born="yesterday")
ELSEWHERE = owners.Owner("elsewhere pid:[1]", 42, "yesterday")


def status(store: stores.Store, run_id: str) -> str:
    return str(store.client.get_run(run_id).info.status)


def test_a_training_killed_with_its_sender_is_closed_with_all_its_rows(
    store: stores.Store, tmp_path: Path
):
    training = Trainer(tmp_path)
    training.add(1)
    assert until(
        lambda: len(store.client.search_runs([store.experiment_id])) == 1, 90
    )  # the sender has the lowest priority
    (sender,) = training.senders()
    os.kill(sender, signal.SIGKILL)
    training.add(2)
    training.kill()
    (run,) = store.client.search_runs([store.experiment_id])
    assert run.info.status == "RUNNING"  # and would be for ever
    (line,) = reaper.close_abandoned_runs(store)
    assert (
        line == f"run {run.info.run_id[:12]} of unet closed as KILLED: its process"
        f" {training.process.pid} is gone"
    )
    closed = store.client.get_run(run.info.run_id)
    assert closed.info.status == "KILLED"
    assert run.info.start_time <= closed.info.end_time <= 1000 * time.time()
    assert steps(store, run.info.run_id, "loss") == [1, 2]
    assert training.spool.exists()  # it can go on from its checkpoint, as the same run
    assert reaper.close_abandoned_runs(store) == []

    again = Trainer(tmp_path, live=False)
    assert again.key == training.key
    again.add(2, 3)
    again.end()
    assert reaper.close_abandoned_runs(store) == []
    assert status(store, run.info.run_id) == "FINISHED"
    assert steps(store, run.info.run_id, "loss") == [1, 2, 3]
    assert not again.spool.exists()


def test_a_killed_training_that_cannot_go_on_leaves_no_file(store: stores.Store, tmp_path: Path):
    training = Trainer(tmp_path, live=False)
    training.add(1)
    training.kill()
    (tmp_path / ".maskmill/checkpoints/unet/f1").rmdir()
    reaper.close_abandoned_runs(store)
    (run,) = store.client.search_runs([store.experiment_id])
    assert run.info.status == "KILLED"
    assert list(training.spool.parent.iterdir()) == []


def test_a_training_that_runs_is_left_alone(store: stores.Store, tmp_path: Path):
    run_id = runs.record_run(store, GOING)
    training = Trainer(tmp_path, live=False)
    training.add(1)
    assert reaper.close_abandoned_runs(store) == []
    assert status(store, run_id) == "RUNNING"
    assert training.spool.exists()
    training.kill()


def test_a_run_ends_when_it_was_last_seen(store: stores.Store):
    run_id = runs.record_run(store, dataclasses.replace(GOING, owner=GONE))
    store.client.set_tag(run_id, "maskmill.seen", "1005000")
    reaper.close_abandoned_runs(store)
    assert store.client.get_run(run_id).info.end_time == 1_005_000


def test_a_run_of_another_host_is_closed_after_ten_minutes_of_silence(store: stores.Store):
    run_id = runs.record_run(store, dataclasses.replace(GOING, owner=ELSEWHERE))
    assert reaper.close_abandoned_runs(store) == []
    seen = int(1000 * time.time()) - 11 * 60 * 1000
    store.client.set_tag(run_id, "maskmill.seen", str(seen))
    (line,) = reaper.close_abandoned_runs(store)
    assert line.endswith("KILLED: nothing was heard of it for 11 minutes; it ran on elsewhere")
    assert store.client.get_run(run_id).info.end_time == seen


def test_a_silent_training_that_runs_on_this_host_is_left_alone(store: stores.Store):
    run_id = runs.record_run(store, GOING)
    store.client.set_tag(run_id, "maskmill.seen", "1005000")  # its sender was killed long ago
    assert reaper.close_abandoned_runs(store) == []
    assert status(store, run_id) == "RUNNING"


def test_runs_of_other_programs_are_left_alone(store: stores.Store):
    run_id = store.client.create_run(store.experiment_id, start_time=1).info.run_id
    assert reaper.close_abandoned_runs(store) == []
    assert status(store, run_id) == "RUNNING"


@pytest.mark.parametrize("owner", [GONE, owners.this_process()], ids=["abandoned", "alive"])
def test_the_command_says_what_it_closed(store: stores.Store, tmp_path: Path, owner: owners.Owner):
    run_id = runs.record_run(store, dataclasses.replace(GOING, owner=owner))
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "maskmill.tracking.reaper"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    closed = f"run {run_id[:12]} of unet closed as KILLED: its process {owner.pid} is gone\n"
    assert done.stdout == (closed if owner is GONE else "no run was left open\n")


def test_the_command_names_a_server_that_is_away(tmp_path: Path):
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "maskmill.tracking.reaper"], cwd=tmp_path, capture_output=True,
        text=True, check=False, env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: MLflow at http://127.0.0.1:1 does not answer; start it (`maskmill up`)"
    )
    assert "Traceback" not in done.stderr
