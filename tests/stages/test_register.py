"""register: a challenger against a champion, from the trained folder to the verdict's pictures."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from maskmill import models
from maskmill.curation import manifest
from maskmill.inference import predict
from maskmill.samples.preprocessing import Preprocessing
from maskmill.samples.shards import Shard
from maskmill.settings import config
from maskmill.stages import _lost
from maskmill.stages._bench import Bench
from maskmill.stages.evaluate import evaluate
from maskmill.stages.register import register
from maskmill.stages.select import select
from maskmill.system import files
from tests.stages.test_data_line import Line

BACKGROUND, CELL = 0, 1
RUN = {
    "key": "k", "git_commit": "c", "data_hash": "d", "device": "cpu", "machine": "m", "threads": 1,
    "started": 1.0, "ended": 2.0, "seconds": 1.0, "params": {},
}  # fmt: skip


class Gate:
    """A prepared folder, into which networks come as if they had been trained."""

    def __init__(self, root: Path, values) -> None:
        values["variants"] = ["unet"]
        values["metrics"] = {}
        values["selection"]["minimum"] = 0.0
        values["gate"]["minimum"] = {}
        values["intervals"]["resamples"] = 200
        self.values, self.root = values, root
        YAML().dump(values, root / "params.yaml")
        self.params = config.load(root / "params.yaml")

    def challenge(self, answer: int):
        """Register and gate a network that gives every pixel the class `answer`."""
        p = self.params
        torch.manual_seed(0)
        network = models.create(
            "unet", in_channels=p.data.in_channels, num_classes=len(p.data.classes),
            feature_scale=16,
        )  # fmt: skip
        weights = network.state_dict()
        bias = torch.zeros(len(p.data.classes))
        bias[answer] = 1000.0
        weights[list(weights)[-1]] = bias
        folder = Path(p.paths.models) / "unet"
        predict.save(folder, weights, {
            "variant": "unet", "network": "unet", "options": {"feature_scale": 16},
            "classes": p.data.classes, "background": p.data.background,
            "ignore_index": p.data.ignore_index, "colours": p.data.colours,
            "in_channels": p.data.in_channels, "decoding": p.data.decoding,
            "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)), "precision": "fp32",
            "parameters": 1, "best_step": 1,
        })  # fmt: skip
        (folder / "history.csv").write_text(
            "step,loss,val_dice_foreground,learning_rate\n1,1,1,1\n"
        )
        files.write_json(folder / "run.json", RUN | {"key": f"always {answer}"})
        evaluate(
            p.paths, p.data, p.evaluation, p.metrics, p.inference, p.intervals, p.report, "unet"
        )  # fmt: skip
        select(p.paths, p.variants, p.data, p.evaluation, p.intervals, p.selection)
        register(
            p.paths, p.data, p.variants, p.evaluation, p.metrics, p.intervals, p.slices,
            p.inference, p.gate, p.tracking,
        )  # fmt: skip
        return json.loads((Path(p.paths.metrics) / "registration.json").read_text())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        line = Line(root)
        line.run()
    return root, line.values


@pytest.fixture
def gate(prepared, tmp_path, monkeypatch):
    root, values = prepared
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    return Gate(tmp_path, copy.deepcopy(values))


def test_a_challenger_is_judged_beside_what_the_champion_keeps(gate):
    first = gate.challenge(CELL)
    assert (first["outcome"], first["basis"]["rule"]) == ("promoted", "first")
    assert _lost.read_masks(Path("reports")) == []
    second = gate.challenge(BACKGROUND)
    basis, test = second["basis"], Shard(Path("data/prepared/shards"), "test")
    assert (second["outcome"], second["champion"]["version"]) == ("refused", 1)
    assert (basis["rule"], basis["images"], basis["looks"]) == ("few_units", len(test), 2)
    (shown,) = _lost.read_masks(Path("reports"))
    row, champion, challenger = shown
    assert (row["id"], row["challenger"]) == (test.ids[0], 0)
    assert row["champion"] > 0.1
    assert [set(mask.ravel()) for mask in (champion, challenger)] == [{CELL}, {BACKGROUND}]
    again = gate.challenge(CELL)
    assert (again["outcome"], again["version"]) == ("kept", 1), "the same weights are one version"
    assert _lost.read_masks(Path("reports")) == []


def test_test_images_that_the_champion_was_trained_on_are_left_out(gate, monkeypatch):
    """As where `data/splits.csv` was drawn anew between two trainings."""
    table = manifest.read(Path("data/prepared/manifest.parquet"))
    tested = frozenset(table.loc[table["split"] == "test", "sha256_pixels"])
    with monkeypatch.context() as patch:
        evidence = Bench.evidence
        patch.setattr(
            Bench, "evidence", lambda self, variant: replace(evidence(self, variant), seen=tested)
        )
        gate.challenge(BACKGROUND)
    verdict = gate.challenge(CELL)
    assert verdict["outcome"] == "refused"
    assert verdict["basis"]["left_out"] == {"seen in training": len(tested)}
    assert f"0 of {len(tested)} test images are left to compare by" in verdict["reason"]
    assert verdict["champion"]["version"] == 1
