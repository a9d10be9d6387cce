"""Runs are recorded once, whatever happens in between."""

import dataclasses
import json
import os
import time

from maskmill.tracking import owners, runs, stores

TRAINING = runs.TrainingRun(
    key="k1", variant="unet", params={"train.seed": 0, "data.classes": ["a", "b"]},
    history=[{"step": 2, "loss": 1.5, "val_dice_foreground": 0.3},
             {"step": 4, "loss": 1.0, "val_dice_foreground": 0.6}],
    summary={"test_dice_foreground": 0.55}, git_commit="c0ffee", data_title="cells",
    data_hash="0123456789abcdef.dir", started_ms=1_000_000, ended_ms=1_009_000,
)  # fmt: skip


def test_a_run_holds_parameters_metrics_data_and_commit(store: stores.Store):
    run = store.client.get_run(runs.record_run(store, TRAINING))
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 9000
    assert run.data.params["train.seed"] == "0"
    assert run.data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert run.data.metrics["test_dice_foreground"] == 0.55
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.digest, dataset.dataset.source_type) == ("0123456789abcdef.dir", "dvc")
    history = store.client.get_metric_history(run.info.run_id, "val_dice_foreground")
    assert [(m.step, m.value) for m in history] == [(2, 0.3), (4, 0.6)]


def test_recording_twice_makes_one_run_with_each_metric_once(store: stores.Store):
    first = runs.record_run(store, TRAINING)
    assert runs.record_run(store, TRAINING) == first
    assert len(store.client.search_runs([store.experiment_id])) == 1
    assert len(store.client.get_metric_history(first, "loss")) == 2


def test_a_recording_that_was_cut_off_is_completed(store: stores.Store):
    cut = store.client.create_run(store.experiment_id, tags={"maskmill.training": TRAINING.key})
    store.client.log_metric(cut.info.run_id, "loss", 1.5, TRAINING.ended_ms, 2)
    assert runs.record_run(store, TRAINING) == cut.info.run_id
    assert steps(store, cut.info.run_id, "loss") == [2, 4]
    assert store.client.get_run(cut.info.run_id).info.status == "FINISHED"


def test_a_batch_whose_answer_was_lost_is_not_sent_twice(store: stores.Store):
    run_id = runs.record_run(store, TRAINING)
    # other times: MLflow would take them
    later = dataclasses.replace(TRAINING, ended_ms=TRAINING.ended_ms + 5)
    assert runs.record_run(store, later) == run_id
    assert {
        name: steps(store, run_id, name)
        for name in ("loss", "val_dice_foreground", "test_dice_foreground")
    } == {
        "loss": [2, 4], "val_dice_foreground": [2, 4], "test_dice_foreground": [4],
    }  # fmt: skip


def test_a_running_training_is_recorded_with_its_owner_and_completed_later(store: stores.Store):
    going = dataclasses.replace(
        TRAINING,
        status="RUNNING",
        owner=owners.this_process(),
        summary={},
        history=TRAINING.history[:1],
        times_ms={2: 1_004_000},
    )
    run = store.client.get_run(runs.record_run(store, going))
    assert run.info.status == "RUNNING"
    assert json.loads(run.data.tags["maskmill.owner"])["pid"] == os.getpid()
    assert abs(int(run.data.tags["maskmill.seen"]) - 1000 * time.time()) < 60_000
    assert store.client.get_metric_history(run.info.run_id, "loss")[0].timestamp == 1_004_000
    assert runs.record_run(store, TRAINING) == run.info.run_id
    assert steps(store, run.info.run_id, "loss") == [2, 4]
    assert store.client.get_run(run.info.run_id).info.status == "FINISHED"


def test_a_killed_training_that_goes_on_is_running_again_and_a_finished_one_never(
    store: stores.Store,
):
    going = dataclasses.replace(TRAINING, status="RUNNING", owner=owners.this_process(), summary={})

    def status(training: runs.TrainingRun) -> str:
        return str(store.client.get_run(runs.record_run(store, training)).info.status)

    assert status(dataclasses.replace(going, status="KILLED")) == "KILLED"
    assert status(going) == "RUNNING"
    assert status(TRAINING) == "FINISHED"
    assert status(going) == "FINISHED"  # what a sender still had to say


def test_settings_without_effect_may_differ_after_a_restart(store: stores.Store):
    run_id = runs.record_run(store, dataclasses.replace(TRAINING, status="KILLED"))
    assert (
        runs.record_run(
            store, dataclasses.replace(TRAINING, params={"train.seed": 0, "train.workers": 2})
        )
        == run_id
    )
    assert store.client.get_run(run_id).data.params == {
        "train.seed": "0",
        "data.classes": "['a', 'b']",
        "train.workers": "2",
    }


def test_a_run_that_somebody_deleted_comes_back_only_with_the_finished_training(
    store: stores.Store,
):
    going = dataclasses.replace(TRAINING, status="RUNNING", owner=owners.this_process(), summary={})
    store.client.delete_run(runs.record_run(store, going))
    runs.record_run(store, going)
    assert store.client.search_runs([store.experiment_id]) == []
    runs.record_run(store, TRAINING)
    (run,) = store.client.search_runs([store.experiment_id])
    assert run.info.status == "FINISHED"


def test_two_runs_made_at_once_become_one(store: stores.Store):
    for _ in range(2):
        store.client.create_run(store.experiment_id, tags={"maskmill.training": TRAINING.key})
    run_id = runs.record_run(store, TRAINING)
    assert [run.info.run_id for run in store.client.search_runs([store.experiment_id])] == [run_id]


def test_a_long_history_is_sent_whole(store: stores.Store):
    history = [{"step": step, "loss": 1.0, "val_dice_foreground": 0.5} for step in range(1, 1201)]
    run_id = runs.record_run(store, dataclasses.replace(TRAINING, history=history))
    assert len(steps(store, run_id, "loss")) == 1200


def test_another_training_is_another_run(store: stores.Store):
    assert runs.record_run(store, TRAINING) != runs.record_run(
        store, dataclasses.replace(TRAINING, key="k2")
    )


def steps(store: stores.Store, run_id: str, name: str) -> list[int]:
    return sorted(metric.step for metric in store.client.get_metric_history(run_id, name))
