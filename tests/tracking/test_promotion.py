"""Versions, the gate and the aliases, in a real registry."""

import base64
import dataclasses
from pathlib import Path

import numpy as np
import pytest

import maskmill
from maskmill.decisions.verdict import Verdict, refusal
from maskmill.images import decode
from maskmill.inference.predict import Predictor
from maskmill.settings import config
from maskmill.settings.config import Gate
from maskmill.system.errors import MaskmillError
from maskmill.tracking import promotion, registry, runs, stores
from tests.tracking.conftest import ROOT, save_model
from tests.tracking.test_run import TRAINING
from tests.tracking.versions import point_judge

GATE = Gate(minimum={"dice_foreground": 0.5}, max_drop=0.01)


def challenge(store: stores.Store, folder: Path, seed: int, score: float, digest: str = "test-1"):
    save_model(folder, seed)
    run_id = runs.record_run(store, dataclasses.replace(TRAINING, key=f"seed {seed}"))
    return registry.register(
        store, folder, run_id, promotion.promotion_tags(digest, {"dice_foreground": score})
    )


def decide(store: stores.Store, version, *, may_promote: bool = True):
    judge = point_judge(version, GATE)
    return promotion.run_gate(store, version, GATE, judge, may_promote=may_promote)


def test_the_first_version_above_the_minimum_becomes_champion(store: stores.Store, tmp_path: Path):
    version = challenge(store, tmp_path / "m", 1, 0.8)
    assert decide(store, version).outcome == "promoted"
    assert registry.champion(store).version == version.version
    assert registry.find_version(store, store.model, alias="challenger").version == version.version


def test_a_version_below_the_minimum_is_refused_with_figures(store: stores.Store, tmp_path: Path):
    verdict = decide(store, challenge(store, tmp_path / "m", 1, 0.4))
    assert verdict.outcome == "refused"
    assert (
        verdict.reason
        == "minimum dice_foreground: 0.4000 is below 0.5000; there is no champion yet"
    )
    assert registry.champion(store) is None


def test_a_worse_version_is_refused_and_the_champion_stays(store: stores.Store, tmp_path: Path):
    decide(store, challenge(store, tmp_path / "a", 1, 0.8))
    verdict = decide(store, challenge(store, tmp_path / "b", 2, 0.78))
    assert verdict.outcome == "refused"
    assert (
        verdict.reason
        == "gain in dice_foreground: -0.0200 is below -0.0100; version 1 stays champion"
    )
    assert registry.champion(store).version == 1


def test_a_version_within_the_allowed_drop_is_promoted(store: stores.Store, tmp_path: Path):
    decide(store, challenge(store, tmp_path / "a", 1, 0.8))
    assert decide(store, challenge(store, tmp_path / "b", 2, 0.795)).outcome == "promoted"
    assert registry.champion(store).version == 2


def test_the_verdicts_that_test_images_have_given_are_counted_once_for_each_version(
    store: stores.Store, tmp_path: Path
):
    looks = []

    def judge(champion: object, count: int) -> Verdict:
        looks.append(count)
        return refusal("worse")

    for seed, digest in ((1, "test-1"), (1, "test-1"), (2, "test-1"), (3, "test-2")):
        version = challenge(store, tmp_path / str(len(looks)), seed, 0.8, digest)
        promotion.run_gate(store, version, GATE, judge, may_promote=True)
    assert looks == [1, 1, 2, 1]


def test_a_champion_that_cannot_be_compared_is_a_refusal_with_a_remedy(
    store: stores.Store, tmp_path: Path
):
    decide(store, challenge(store, tmp_path / "a", 1, 0.9))
    version = challenge(store, tmp_path / "b", 2, 0.7, digest="test-2")

    def other_classes(champion: object, looks: int) -> Verdict:
        raise MaskmillError("it has the classes ['a'], the data have ['b']")

    verdict = promotion.run_gate(store, version, GATE, other_classes, may_promote=True)
    assert verdict.outcome == "refused"
    assert (
        "champion version 1 cannot be compared: it has the classes ['a'], the data have ['b']"
        in verdict.reason
    )
    assert "tracking.model in params.yaml" in verdict.reason
    assert registry.champion(store).version == 1


def test_a_refused_challenger_has_the_alias_challenger(store: stores.Store, tmp_path: Path):
    decide(store, challenge(store, tmp_path / "a", 1, 0.8))
    decide(store, challenge(store, tmp_path / "b", 2, 0.6))
    assert registry.find_version(store, store.model, alias="challenger").version == 2


def test_registering_leaves_the_runs_duration_as_it_was(store: stores.Store, tmp_path: Path):
    version = challenge(store, tmp_path / "m", 1, 0.8)
    assert store.client.get_run(version.run_id).info.end_time == TRAINING.ended_ms


def test_an_experiment_is_recorded_and_moves_no_alias(store: stores.Store, tmp_path: Path):
    verdict = decide(store, challenge(store, tmp_path / "m", 1, 0.8), may_promote=False)
    assert verdict.outcome == "recorded"
    assert registry.champion(store) is None


def test_the_same_weights_are_one_version_and_stay_champion(store: stores.Store, tmp_path: Path):
    decide(store, challenge(store, tmp_path / "m", 1, 0.8))
    again = challenge(store, tmp_path / "m", 1, 0.8)
    assert again.version == 1
    assert decide(store, again).outcome == "kept"


def test_a_registered_model_is_code_and_safetensors_and_serves_what_was_trained(
    store: stores.Store, tmp_path: Path
):
    import mlflow
    import pandas as pd

    version = challenge(store, tmp_path / "m", 1, 0.8)
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{store.model}/{version.version}"))
    assert [
        p for p in folder.rglob("*") if p.suffix in (".pkl", ".pickle", ".pt", ".pth", ".pt2")
    ] == []
    requirements = (folder / "requirements.txt").read_text()
    assert "torch==" in requirements
    assert "+cpu" not in requirements
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 1), dtype=np.uint8)
    served = mlflow.pyfunc.load_model(f"models:/{store.model}/{version.version}")
    assert served.metadata.signature.inputs.input_names() == ["image"]
    row = served.predict(
        pd.DataFrame({"image": [base64.b64encode(decode.png_bytes(image)).decode()]})
    ).iloc[0]
    expected = Predictor(tmp_path / "m")
    np.testing.assert_array_equal(
        decode.mask(base64.b64decode(row["mask"])), expected.predict(image)
    )
    assert row["weights_sha256"] == expected.card.sha256 == version.tags["weights_sha256"]


def test_exchanged_weights_in_the_registry_are_refused(store: stores.Store, tmp_path: Path):
    import mlflow

    version = challenge(store, tmp_path / "m", 1, 0.8)
    stored = (
        Path(mlflow.artifacts.download_artifacts(f"models:/{store.model}/{version.version}"))
        / "artifacts/model"
    )
    save_model(stored, 2)
    with pytest.raises(
        MaskmillError, match=r"its weights have sha256 .* its tag weights_sha256 says"
    ):
        registry.predictor(version)


@pytest.mark.parametrize(
    "uri", ["icbm152@champion", "models:/icbm152", "models:/@champion", "models:/a/3@champion"]
)
def test_a_malformed_uri_is_refused_with_the_allowed_forms(
    uri: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    with pytest.raises(
        MaskmillError, match=r"allowed are 'models:/NAME@ALIAS' and 'models:/NAME/NUMBER'"
    ):
        maskmill.load(uri)


def test_loading_outside_a_repository_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MaskmillError, match=r"no params.yaml in .* or above"):
        maskmill.load("models:/icbm152@champion")


def test_a_store_that_cannot_be_opened_is_named_with_the_setting(
    params: config.Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "carrier-pigeon://home")
    with pytest.raises(
        MaskmillError, match=r"carrier-pigeon://home cannot be opened: .*set tracking.uri in params"
    ):
        stores.connect_store(params.tracking, params.paths, tmp_path)


def test_a_store_that_does_not_answer_is_not_one_without_a_champion(
    store: stores.Store, monkeypatch: pytest.MonkeyPatch
):
    from mlflow.exceptions import MlflowException

    def away(*_: object) -> object:
        raise MlflowException("connection refused")

    monkeypatch.setattr(store.client, "get_model_version_by_alias", away)
    with pytest.raises(MlflowException, match="connection refused"):
        registry.champion(store)
