"""A fold of a given split, learned by two processes."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from maskmill.curation import manifest
from maskmill.stages.fold import read_held_out
from tests.stages.test_data_line import Line
from tests.tuning.conftest import TRAIN


@pytest.mark.slow
def test_of_two_processes_one_prepares_and_scores_and_the_given_test_images_stay_away(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    line = Line(tmp_path)
    line.values["augmentation"] |= {"preset": "none"}
    line.values["train"] |= TRAIN | {"steps": 4, "val_every_steps": 2, "devices": 2}
    line.values["variants"] = ["unet"]
    line.values["models"]["unet"] = {"feature_scale": 16}
    line.run()
    table = manifest.read(Path("data/prepared/manifest.parquet")).set_index("id")["split"]
    YAML(typ="safe", pure=True).dump(line.values, Path("params.yaml"))
    command = [sys.executable, "-m", "maskmill.stages", "fold", "unet", "0", "2"]
    done = subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout
    held_out = set(read_held_out(Path("folds/0/unet"))["id"])
    assert held_out
    assert held_out < set(table[table != "test"].index)
    for said in ("split: train", "augment: ", "4 steps of 4 (2 x 2 devices)", "over fold 0 of 2"):
        assert done.stdout.count(said) == 1
    assert "Traceback" not in done.stdout
