"""Runs are recorded once, whatever happens in between."""

import dataclasses
import multiprocessing
from pathlib import Path

from maskmill import config
from maskmill.tracking import run as runs
from maskmill.tracking import store as stores

TRAINING = runs.Training(
    key="k1", variant="unet", params={"train.seed": 0, "data.classes": ["a", "b"]},
    history=[{"step": 2, "loss": 1.5, "val_dice_foreground": 0.3},
             {"step": 4, "loss": 1.0, "val_dice_foreground": 0.6}],
    summary={"test_dice_foreground": 0.55}, git_commit="c0ffee", data_title="cells", data_hash="0123456789abcdef.dir",
    started_ms=1_000_000, ended_ms=1_009_000,
)  # fmt: skip


def test_a_run_holds_parameters_metrics_data_and_commit(store: stores.Store):
    run = store.client.get_run(runs.record(store, TRAINING))
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
    first = runs.record(store, TRAINING)
    assert runs.record(store, TRAINING) == first
    assert len(store.client.search_runs([store.experiment_id])) == 1
    assert len(store.client.get_metric_history(first, "loss")) == 2


def test_a_recording_that_was_cut_off_is_replaced(store: stores.Store):
    cut = store.client.create_run(store.experiment_id, tags={"maskmill.training": TRAINING.key})
    whole = runs.record(store, TRAINING)
    (left,) = store.client.search_runs([store.experiment_id])
    assert left.info.run_id == whole != cut.info.run_id
    assert left.info.status == "FINISHED"


def test_another_training_is_another_run(store: stores.Store):
    assert runs.record(store, TRAINING) != runs.record(store, dataclasses.replace(TRAINING, key="k2"))


def test_processes_that_open_a_fresh_store_together_all_write_to_it(tmp_path: Path, params: config.Params):
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        ids = pool.starmap(_record_one, [(params, tmp_path, f"p{i}") for i in range(3)])
    store = stores.connect(params.tracking, params.paths, tmp_path)
    assert {run.info.run_id for run in store.client.search_runs([store.experiment_id])} == set(ids)


def _record_one(params: config.Params, root: Path, key: str) -> str:
    store = stores.connect(params.tracking, params.paths, root)
    return runs.record(store, dataclasses.replace(TRAINING, key=key))
