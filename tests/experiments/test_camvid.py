"""CamVid's recipes are settings that hold, and its table is that of the scores.

What cannot run says so, and pieces go on.
"""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from experiments.camvid import run
from maskmill.checks.params import check
from maskmill.importing import palette
from maskmill.settings import config, configure
from maskmill.statistics import scores
from maskmill.statistics.scores import Score

CLASSES = run.CLASSES.split(",")
IMPORTED = {  # what `maskmill data import` writes for CamVid
    "data.classes": CLASSES, "data.background": None, "data.values": None, "data.in_channels": 3,
    "data.colours": palette.choose_colours(CLASSES, None), "splits.given": True,
}  # fmt: skip
# Stand-ins of the line and its training: the training waits for SIGTERM, and the next one finds
# what it left.
TRAINING = """
import signal, sys, time
from pathlib import Path
step = Path("step")
signal.signal(signal.SIGTERM, lambda *_: (step.write_text("7"), sys.exit(143)))
print("goes on at step", step.read_text()) if step.exists() else time.sleep(60)
"""
LOCAL = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "-m", "maskmill.stages", "train", "unet"]).returncode)
"""


def settings_of(name: str, folder: Path) -> config.Params:
    path = Path(shutil.copy(run.ROOT / "params.yaml", folder))
    return configure.change(IMPORTED | run.recipe(name), path)


@pytest.mark.parametrize("name", ["short", "full"])
def test_a_recipe_is_settings_that_the_line_takes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    params = settings_of(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    check(params.model_copy(update={"train": params.train.model_copy(update={"device": "cpu"})}))
    assert params.evaluation.primary == "miou"
    assert set(params.splits.allow_leaks) == {"0001TP", "0016E5"}
    assert params.train.patience * params.train.val_every_steps >= params.train.steps
    assert all(variant.weights is None for variant in params.models.values())  # from scratch


@pytest.mark.parametrize(
    ("folder", "recipe", "said"),
    [
        (
            ".",
            "shrot",
            "error: --recipe: got 'shrot'; there are full, short (experiments/camvid/*.yaml)",
        ),
        (
            "nowhere",
            "short",
            "error: nowhere: no such folder; name the one with CamVid's train, val and test",
        ),
    ],
)
def test_what_cannot_run_is_said_and_nothing_is_written(
    folder: str, recipe: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr(run, "ROOT", tmp_path)
    assert run.main([folder, "--recipe", recipe]) == 2
    assert capsys.readouterr().err.strip() == said
    assert list(tmp_path.iterdir()) == []


def test_a_training_is_ended_after_the_minutes_and_the_next_run_goes_on(tmp_path: Path, capfd):
    for name, code in (("src/maskmill/stages/__main__", TRAINING), ("pipelines/local", LOCAL)):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(code)
        for package in ("src/maskmill", "src/maskmill/stages"):
            (tmp_path / package / "__init__.py").touch()
    line = run.Line(tmp_path)
    assert line.run(minutes=0.02) == run.AGAIN
    assert line.run(minutes=0.02) == 0
    assert "goes on at step 7" in capfd.readouterr().out


def test_the_table_has_the_scores_of_val_of_test_and_of_the_clean_frames(tmp_path: Path):
    params = settings_of("short", tmp_path)
    names = ("miou", *(f"iou/{name}" for name in CLASSES))
    for split, value in (("val", 0.7), ("test", 0.6)):
        found = {name: Score(value, value - 0.05, value + 0.05, 20) for name in names}
        found |= {scores.clean_name(name): Score(0.5) for name in names if split == "test"}
        path = tmp_path / params.paths.metrics / split / f"{params.variants[0]}.json"
        path.parent.mkdir(parents=True)
        scores.write_scores(path, found)
    frames = [("train", True), ("val", False), ("test", False), ("test", True), ("test", True)]
    (tmp_path / params.paths.prepared).mkdir(parents=True)
    pd.DataFrame(frames, columns=["split", "clean"]).to_parquet(
        tmp_path / params.paths.prepared / "manifest.parquet"
    )
    lines = run.table(tmp_path).splitlines()
    assert lines[0] == "| IoU | val, 1 frames | test, 3 frames | clean test, 2 frames |"
    assert lines[2] == "| **mean** | 0.7000 [0.650, 0.750] | 0.6000 [0.550, 0.650] | 0.5000 |"
    assert [line.split(" | ")[0] for line in lines[3:]] == [f"| {name}" for name in CLASSES]
