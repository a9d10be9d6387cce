"""A version whose files were exchanged for a pickle runs nothing, by whatever way it is loaded."""

import pickle
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from ruamel.yaml import YAML

from maskmill.system.errors import MaskmillError
from maskmill.tracking import registry, stores
from tests.tracking.test_promotion import challenge


class Hostile:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


@pytest.fixture
def version(store: stores.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    return challenge(store, tmp_path / "m", 1, 0.8)


def folder_of(version) -> Path:
    import mlflow

    uri = f"models:/{version.name}/{version.version}"
    return Path(mlflow.artifacts.download_artifacts(uri))


def test_a_pickled_model_in_place_of_the_code_does_not_run(version):
    """As mlflow.pyfunc loads what cloudpickle has written, and with it whatever it calls."""
    import mlflow

    folder = folder_of(version)
    (folder / "python_model.pkl").write_bytes(pickle.dumps(Hostile()))
    described = YAML().load(folder / "MLmodel")
    pyfunc = described["flavors"]["python_function"]
    for key in ("model_code_path", "streamable"):
        pyfunc.pop(key, None)
    pyfunc["python_model"] = "python_model.pkl"
    pyfunc["cloudpickle_version"] = "3.1.2"
    YAML().dump(described, folder / "MLmodel")
    with pytest.raises(MlflowException, match=r"(?i)pickle"):
        mlflow.pyfunc.load_model(str(folder))
    registry.predictor(version)
    assert not Path("ran").exists()


def test_a_pickle_in_place_of_the_weights_does_not_run(version):
    (folder_of(version) / "artifacts/model/model.safetensors").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(MaskmillError):
        registry.predictor(version)
    assert not Path("ran").exists()
