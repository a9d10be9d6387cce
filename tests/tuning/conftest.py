"""A folder of prepared pairs, in which `maskmill tune` runs trainings of a second."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from maskmill.settings import config
from maskmill.settings.space import search_axes
from maskmill.stages.augment import augment
from maskmill.tuning.search import Tried, TuningSearch
from tests.stages.test_data_line import Line

SPACE = {"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
TRAIN = {
    "steps": 30, "warmup_steps": 1, "batch_size": 2, "val_every_steps": 10, "threads": 1,
    "precision": "fp32", "checkpoint_every_s": 0.0,
}  # fmt: skip


class Tuning:
    """The folder, its settings, and the command."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.values = config.read_yaml(root / "params.yaml")

    def set(self, section: str, **values: object) -> None:
        self.values[section] |= values
        YAML(typ="safe", pure=True).dump(self.values, self.root / "params.yaml")

    @property
    def params(self) -> config.Params:
        return config.load(self.root / "params.yaml")

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "maskmill", "tune"], cwd=self.root, env=os.environ | environment,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, **environment: str) -> tuple[int, str]:
        process = self.start(**environment)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output

    @property
    def folder(self) -> Path:
        (found,) = (self.root / ".maskmill/tune").glob("*/")
        return found

    def tried(self) -> list[Tried]:
        return TuningSearch(
            self.folder, self.params.tune, search_axes(self.params), self.params.variants
        ).tried()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        line = Line(root)
        line.values["augmentation"] |= {"preset": "none"}
        line.values["train"] |= TRAIN
        line.values["variants"] = ["unet"]
        line.values["models"]["unet"] = {"feature_scale": 16}
        line.values["tune"] |= {"trials": 2, "startup": 1, "pruner": "none", "space": SPACE}
        line.run()
        params = config.parse(line.values)
        augment(params.paths, params.data, params.augmentation)
        YAML(typ="safe", pure=True).dump(line.values, root / "params.yaml")
    return root


@pytest.fixture
def tuning(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tuning:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Tuning(tmp_path)


# a busy machine takes long to import PyTorch; what is waited for comes in seconds on an idle one
PATIENCE_S = 240


def until(condition: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
