"""train: every network, and from given weights: a file, a registered version.

What they are is part of the training.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from ruamel.yaml import YAML

from maskmill import models
from maskmill.inference.predict import Predictor
from maskmill.settings import config
from maskmill.stages.augment import augment
from maskmill.stages.train import train
from maskmill.system.errors import MaskmillError
from maskmill.tracking import live, registry, runs, stores
from tests.stages.test_data_line import Line

OPTIONS = {"feature_scale": 16}
SMALL = OPTIONS | {"width": 8, "skip_channels": 4}  # of these, the options that a network has


class Trainer:
    """A folder of prepared pairs, in which the stage `train` runs."""

    def __init__(self, values):
        self.values = values
        values["train"] |= {
            "steps": 2,
            "warmup_steps": 1,
            "batch_size": 2,
            "val_every_steps": 1,
            "threads": 1,
        }
        # so small that the weights can be recognised
        values["train"] |= {"precision": "fp32", "learning_rate": 1e-6}

    def train(self, weights, **options):
        self.stage("unet", OPTIONS | options | {"weights": weights})
        return Predictor(Path("models/unet")).network.state_dict(), json.loads(
            Path("models/unet/run.json").read_text()
        )

    def stage(self, variant, options):
        params = config.parse(self.values)
        chosen = {variant: config.Variant(**{"network": variant} | options)}
        train(params.paths, params.data, chosen, params.train, params.evaluation, variant)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The data stages' outs, which every test copies."""
    root = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        line = Line(root)
        line.values["augmentation"] |= {"preset": "none"}
        line.run()
        params = config.parse(line.values)
        augment(params.paths, params.data, params.augmentation)
    return root, line.values


@pytest.fixture
def trainer(prepared, tmp_path, monkeypatch):
    root, values = prepared
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "start", lambda path: None)  # no process that would send to MLflow
    return Trainer(
        {
            name: dict(section) if isinstance(section, dict) else section
            for name, section in values.items()
        }
    )


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(5)
    return models.create("unet", in_channels=1, num_classes=2, **OPTIONS).state_dict()


def near(a, b):
    return np.allclose(a.numpy(), b.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", models.names())
def test_every_network_trains_by_its_name_alone(trainer, name):
    known = models.network_options(name)
    trainer.stage(name, {option: value for option, value in SMALL.items() if option in known})
    predictor = Predictor(Path("models") / name)
    assert predictor.card.variant == name
    assert predictor.predict(np.zeros((33, 50), np.uint8)).shape == (33, 50)


def test_a_training_starts_from_the_weights_of_a_file(trainer, weights, capsys):
    Path("data/weights").mkdir()
    safetensors.torch.save_file(weights, "data/weights/start.safetensors")
    trained, run = trainer.train("data/weights/start.safetensors")
    assert near(trained["levels.0.0.weight"], weights["levels.0.0.weight"])
    assert "unet: starts from data/weights/start.safetensors (sha256 " in capsys.readouterr().out
    assert run["params"]["models.unet.weights"] == run["params"]["models.unet.weights_from"]
    assert len(run["params"]["models.unet.weights_sha256"]) == 64


def test_other_weights_under_the_same_name_are_another_training(trainer, weights):
    safetensors.torch.save_file(weights, "start.safetensors")
    first, _ = trainer.train("start.safetensors")
    safetensors.torch.save_file(
        {key: value + 1 for key, value in weights.items()}, "start.safetensors"
    )
    second, _ = trainer.train("start.safetensors")
    assert near(second["head.weight"], first["head.weight"] + 1)
    assert len(list(Path(".maskmill/checkpoints/unet").iterdir())) == 2


def test_weights_that_do_not_fit_stop_the_training_and_name_the_setting(trainer, weights):
    safetensors.torch.save_file(weights, "start.safetensors")
    with pytest.raises(
        MaskmillError, match=r"params\.yaml: models\.unet\.weights: start\.safetensors does not fit"
    ):
        trainer.train("start.safetensors", feature_scale=8)


@pytest.fixture
def store(trainer, monkeypatch):
    """A real sqlite store of the repository that is worked in."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    YAML().dump(trainer.values, Path("params.yaml"))
    params = config.load()
    return stores.connect_store(params.tracking, params.paths)


def test_a_version_in_mlflow_is_fine_tuned_from_training_to_training(trainer, store):
    before, run = trainer.train(None)
    card = Predictor(Path("models/unet")).card
    facts = runs.TrainingRun(
        key=run["key"], variant="unet", params={}, history=[], summary={}, git_commit="",
        data_title="cells", data_hash="", started_ms=1, ended_ms=2,
    )  # fmt: skip
    version = registry.register(store, Path("models/unet"), runs.record_run(store, facts), {})
    store.client.set_registered_model_alias(store.model, "champion", version.version)
    trainer.values["train"]["seed"] = 1  # fresh weights would be others
    after, run = trainer.train(f"models:/{store.model}@champion")
    assert all(
        near(after[key], value) for key, value in before.items() if key.endswith(("weight", "bias"))
    )
    assert run["params"]["models.unet.weights_from"] == f"models:/{store.model}/{version.version}"
    assert run["params"]["models.unet.weights_sha256"] == card.sha256
    with pytest.raises(
        MaskmillError,
        match=r"^params\.yaml: models\.unet\.weights: no version of '.*' has number 9 in",
    ):
        trainer.train(f"models:/{store.model}/9")


class Version:
    name, version = "cells", "3"


@pytest.fixture
def registered(trainer, monkeypatch):
    """A trained `unet` as version 3 of `cells`; its class names can be changed."""
    _, _ = trainer.train(None)
    shutil.move("models/unet", "version")
    monkeypatch.setattr(
        registry, "resolve", lambda uri: Version() if uri == "models:/cells@champion" else None
    )
    monkeypatch.setattr(registry, "predictor", lambda version: Predictor(Path("version")))
    return Predictor(Path("version"))


def test_a_training_goes_on_from_a_registered_version(trainer, registered, capsys):
    trainer.values["train"]["seed"] = 1  # fresh weights would be others
    trained, run = trainer.train("models:/cells@champion")
    before = registered.network.state_dict()
    assert near(trained["head.weight"], before["head.weight"])
    # what the alias named then
    assert run["params"]["models.unet.weights_from"] == "models:/cells/3"
    assert run["params"]["models.unet.weights_sha256"] == registered.card.sha256
    assert "starts from models:/cells/3" in capsys.readouterr().out
    assert Predictor(Path("models/unet")).card.options == OPTIONS


def test_for_other_classes_the_head_starts_fresh(trainer, registered, capsys):
    trainer.values["data"] |= {
        "classes": ["background", "blob", "rim"], "values": None,
        "colours": {"background": "#000000", "blob": "#0072B2", "rim": "#E69F00"},
    }  # fmt: skip
    trained, _ = trainer.train("models:/cells@champion")
    assert trained["head.weight"].shape[0] == 3
    assert near(trained["levels.0.0.weight"], registered.network.state_dict()["levels.0.0.weight"])
    assert "not used: head.weight, head.bias; fresh: head (2 tensors)" in capsys.readouterr().out


def test_for_as_many_classes_of_other_names_the_head_starts_fresh_too(trainer, registered, capsys):
    trainer.values["data"] |= {
        "classes": ["background", "rim"], "values": None,
        "colours": {"background": "#000000", "rim": "#E69F00"},
    }  # fmt: skip
    trainer.train("models:/cells@champion")
    assert "fresh: head (2 tensors)" in capsys.readouterr().out
