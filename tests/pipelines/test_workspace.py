"""What every run adds to `dvc repro`: it mends a cut lock file and sees a registry behind."""

import json
import shutil
from pathlib import Path

import pytest

from maskmill.settings import config
from maskmill.tracking import promotion, registry, stores
from pipelines import registry as verdicts
from pipelines import workspace
from tests.tracking.conftest import ROOT
from tests.tracking.test_promotion import challenge, decide

LOCK = """schema: '2.0'
stages:
  ingest:
    cmd: python -m maskmill.stages ingest
    deps:
    - path: data/source.yaml
      hash: md5
      md5: 2e1a5ac1b4d3b1a0c4d6c9a6f7f0b6d5
      size: 12
    outs:
    - path: data/raw
      hash: md5
      md5: 2e1a5ac1b4d3b1a0c4d6c9a6f7f0b6d5.dir
      size: 12
      nfiles: 2
"""


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Params:
    """An empty repository's settings, with that repository as working folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    return config.load()


@pytest.fixture
def store(params: config.Params) -> stores.Store:
    return stores.connect_store(params.tracking, params.paths)


def say(outcome: str, version, champion) -> None:
    described = [
        v and {"version": int(v.version), "weights_sha256": v.tags["weights_sha256"]}
        for v in (version, champion)
    ]
    said = {"outcome": outcome, "champion": described[1], **(described[0] or {})}
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/registration.json").write_text(json.dumps(said))


def test_a_registry_that_holds_what_was_said_is_left_alone(params, store, tmp_path: Path):
    version = challenge(store, tmp_path / "a", 1, 0.8)
    decide(store, version)
    say("promoted", version, version)
    assert not verdicts.is_behind(verdicts.registry_state(params), restored=False)
    assert not verdicts.is_behind(verdicts.registry_state(params), restored=True)


def test_a_champion_set_by_hand_stays_unless_a_verdict_was_restored(params, store, tmp_path: Path):
    first, second = (
        challenge(store, tmp_path / "a", 1, 0.8),
        challenge(store, tmp_path / "b", 2, 0.9),
    )
    decide(store, first)
    decide(store, second)
    say("promoted", second, second)
    store.client.set_registered_model_alias(store.model, registry.CHAMPION, first.version)
    assert not verdicts.is_behind(verdicts.registry_state(params), restored=False)
    assert verdicts.is_behind(verdicts.registry_state(params), restored=True)


@pytest.mark.parametrize("outcome", ["promoted", "refused"])
def test_a_lost_version_is_noticed_also_after_a_refusal(
    params, store, tmp_path: Path, outcome: str
):
    version = challenge(store, tmp_path / "a", 1, 0.8)
    if outcome == "promoted":
        decide(store, version)
    say(outcome, version, registry.champion(store))
    store.client.delete_model_version(store.model, version.version)
    assert verdicts.is_behind(verdicts.registry_state(params), restored=False)


def test_an_experiment_that_was_taken_over_goes_through_the_gate(params, store, tmp_path: Path):
    say("recorded", challenge(store, tmp_path / "a", 1, 0.8), None)
    assert verdicts.is_behind(verdicts.registry_state(params), restored=False)
    assert promotion.CHALLENGER == "challenger"


def test_a_whole_lock_file_is_left_alone(tmp_path: Path):
    path = tmp_path / "dvc.lock"
    path.write_text(LOCK)
    assert workspace._is_lock(path)


@pytest.mark.parametrize("end", ["stages:\n", "ingest:\n", "deps:\n", "outs:\n", ""])
def test_a_lock_file_that_dvc_would_refuse_is_seen_as_broken(tmp_path: Path, end: str):
    path = tmp_path / "dvc.lock"
    path.write_text(LOCK[: LOCK.index(end) + len(end)])
    assert not workspace._is_lock(path)
