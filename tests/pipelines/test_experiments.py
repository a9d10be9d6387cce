"""`make folds` and the experiments of docs/experiments.md in a clone of this repository."""

import importlib
import inspect
import json
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from maskmill.curation import manifest
from maskmill.inference.ensemble import Ensemble
from maskmill.inference.predict import Predictor
from maskmill.settings import config
from pipelines import folds
from tests.pipelines.conftest import Workspace, change_params, clone, ran
from tests.stages.test_data_line import Line

pytestmark = pytest.mark.slow
QUICK = {
    "variants": ["unet"], "models.unet.feature_scale": 16, "train.steps": 30,
    "train.val_every_steps": 10, "train.warmup_steps": 1, "train.batch_size": 2, "train.threads": 1,
    "train.checkpoint_every_s": 0.0, "splits.given": False, "augmentation.preset": "none",
}  # fmt: skip
COMMAND = [sys.executable, "-m", "pipelines.folds", "2"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone with eight pairs, in which two folds were cut off and started again.

    A kill in the second training cut them off.
    """
    folder = tmp_path_factory.mktemp("own")
    Line(folder)
    made = clone(tmp_path_factory.mktemp("line") / "repository")
    imported = made.run(
        "maskmill", "data", "import", str(folder / "data/source"), "--classes", "background,blob"
    )
    assert imported.returncode == 0, imported.stdout + imported.stderr
    change_params(made.root, dict(QUICK))
    process = made.start(*COMMAND)
    deadline = time.monotonic() + 200
    checkpoints = ".maskmill/folds/1of2/state/checkpoints/unet/*/[!.]*"
    while not any(made.root.glob(checkpoints)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    made.before, _ = process.communicate(timeout=30)
    made.after = made.run(*COMMAND)
    assert made.after.returncode == 0, made.before + made.after.stdout + made.after.stderr
    return made


def test_what_was_done_before_the_kill_stays_and_the_training_goes_on(done: Workspace):
    assert "unet: goes on at step" in done.after.stdout
    assert ran(done.after) == ["folds/dvc.yaml:fold@unet-1", "folds/dvc.yaml:ensemble@unet"]


def test_done_it_runs_nothing_and_the_line_knows_nothing_of_it(done: Workspace):
    again = done.run(*COMMAND)
    assert (again.returncode, ran(again)) == (0, [])
    code = (
        "from pipelines import dag; print([step.name for step in dag.dag_steps() if 'fold' in"
        " step.name])"
    )
    assert done.run(sys.executable, "-c", code).stdout.strip() == "[]"
    assert "fold" not in done.dvc("status", "dvc.yaml").stdout


def test_each_image_is_scored_by_the_model_that_did_not_train_on_it(done: Workspace):
    table = manifest.read(done.root / "data/prepared/manifest.parquet").set_index("id")
    held = [
        set(pd.read_parquet(done.root / f"folds/{k}/unet/held_out.parquet")["id"]) for k in (0, 1)
    ]
    assert held[0] & held[1] == set()
    assert held[0] | held[1] == set(table[table["split"] != "test"].index)
    cards = [
        json.loads((done.root / f"folds/{k}/unet/run.json").read_text())["params"] for k in (0, 1)
    ]
    assert cards[0] == cards[1]  # nothing differs but the images


def test_the_ensemble_is_the_mean_of_the_models(done: Workspace):
    found = json.loads((done.root / "folds/unet.json").read_text())
    assert set(found["test"]["dice_foreground"]) == {"value", "low", "high", "n"}
    assert len(found["folds"]["dice_foreground"]) == len(found["members"]["dice_foreground"]) == 2
    total = sum(
        pd.read_parquet(done.root / f"folds/{k}/unet/held_out.parquet")[["id"]].shape[0]
        for k in (0, 1)
    )
    assert found["held_out"]["dice_foreground"]["n"] <= total
    members = [Predictor(done.root / f"folds/{k}/unet") for k in (0, 1)]
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8)
    mean = sum(member.logits(image).softmax(0) for member in members) / 2
    assert Ensemble(members).logits(image).softmax(0).numpy() == pytest.approx(
        mean.numpy(), abs=1e-6
    )
    assert np.array_equal(Ensemble(members).predict(image), mean.max(0).indices.numpy())
    last = done.after.stdout[done.after.stdout.index("unet: dice_foreground\n") :].splitlines()
    assert last[1].split() == ["held", "out", "test"]
    assert [line.split()[0] for line in last[2:5]] == ["fold", "fold", "together"]


def test_it_leaves_the_working_tree_with_a_definition_to_commit(done: Workspace):
    new = done.run("git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()
    assert {line.split()[-1] for line in new if "folds/" in line} == {
        "folds/dvc.lock",
        "folds/dvc.yaml",
    }


def test_its_stages_depend_on_their_code_and_on_the_settings_that_they_take():
    line = YAML(typ="safe").load(Path(__file__).parents[2] / "dvc.yaml")
    stages = folds.definition(line, 5)["stages"]
    assert stages["fold"]["deps"][0] == "${paths.prepared}/settings/fold-${item.variant}.json"
    assert (
        stages["ensemble"]["deps"][0] == "${paths.prepared}/settings/ensemble-${item.variant}.json"
    )
    for name in stages:
        takes = set(
            inspect.signature(
                getattr(importlib.import_module(f"maskmill.stages.{name}"), name)
            ).parameters
        )
        assert takes - {"variant", "fold", "folds"} <= config.Params.model_fields.keys()
    assert stages["fold"]["matrix"] == {"variant": "${variants}", "fold": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize("given", [[], ["1"], ["five"], ["5", "6"], ["21"]])
def test_another_number_of_folds_is_refused(
    given: list[str], capsys: pytest.CaptureFixture[str], monkeypatch
):
    monkeypatch.setattr(folds, "die_with_parent", lambda: None)
    monkeypatch.setattr(folds, "exit_on_sigterm", lambda: None)
    assert folds.main(given) == 2
    assert "needed is a number of folds from 2 to 20: make folds FOLDS=5" in capsys.readouterr().err


def documented() -> list[list[str]]:
    """The commands of the section on some settings, word by word."""
    page = (Path(__file__).parents[2] / "docs/experiments.md").read_text()
    section = page.partition("## Some settings")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.+?)```", section, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_the_documented_experiments_are_queued_and_run(done: Workspace):
    done.set(train__steps=4, train__val_every_steps=2)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    done.run(*git, "add", "--all")
    done.run(*git, "commit", "--quiet", "--message", "folds")
    *queued, run, show = documented()
    names = []
    for command in queued:
        said = done.run(*command)
        assert said.returncode == 0, said.stderr
        names += re.findall(r"Queued experiment '([\w-]+)'", said.stdout)
    assert len(names) == 4  # a list of two values makes two
    other_loss = names[2]
    assert (
        done.dvc("queue", "remove", *(name for name in names if name != other_loss)).returncode == 0
    )
    ran = done.run(*run)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Running stage 'register'" in ran.stdout
    assert other_loss in done.run(*show).stdout
    done.dvc("exp", "apply", other_loss)
    losses = YAML(typ="safe").load(done.root / "params.yaml")["train"]["losses"]
    assert losses == {"cross_entropy": 1.0, "focal": {"weight": 1.0, "gamma": 2.0}}
