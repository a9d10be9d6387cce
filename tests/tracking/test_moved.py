"""A registry goes with its folder where that is moved or copied, and comes back from a backup."""

import shutil
from pathlib import Path

import pytest

from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.tracking import backup, interventions, locations, package, registry, runs, stores
from maskmill.tracking.ledger import Ledger
from tests.tracking.test_promotion import challenge
from tests.tracking.test_run import TRAINING
from tests.tracking.versions import champion, gate, put


@pytest.fixture
def first(tmp_path: Path, params: config.Params, empty_store: Path) -> stores.Store:
    """A workspace `first` whose version 1 is champion, and whose run has an artifact."""
    root = tmp_path / "first mill"
    (root / ".maskmill/mlflow").mkdir(parents=True)
    shutil.copy2(empty_store, root / ".maskmill/mlflow/mlflow.db")
    store = stores.connect_store(params.tracking, params.paths, root)
    interventions.promote(store, int(challenge(store, root / "m", 1, 0.8).version), "start")
    run = store.client.search_runs([store.experiment_id])[0].info.run_id
    store.client.log_text(run, "curves", "notes.txt")
    return store


def opened(params: config.Params, root: Path) -> stores.Store:
    return stores.connect_store(params.tracking, params.paths, root)


def test_in_a_moved_folder_the_champion_predicts_and_runs_have_their_files(
    first: stores.Store, params: config.Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "first mill").rename(tmp_path / "second")
    second = opened(params, tmp_path / "second")
    assert f"this folder was {tmp_path / 'first mill'}" in capsys.readouterr().err
    assert registry.predictor(registry.champion(second)).card.variant == "unet"
    run = second.client.search_runs([second.experiment_id])[0].info
    assert [file.path for file in second.client.list_artifacts(run.run_id)] == ["notes.txt"]
    opened(params, tmp_path / "second")
    assert capsys.readouterr().err == ""  # said once


def test_a_copy_and_its_original_share_nothing(
    first: stores.Store, params: config.Params, tmp_path: Path
):
    shutil.copytree(tmp_path / "first mill", tmp_path / "copy")
    copy = opened(params, tmp_path / "copy")
    new = runs.record_run(copy, TRAINING)
    copy.client.log_text(new, "curves", "notes.txt")
    versions = registry.champion(copy), registry.champion(first)
    for store, version in zip((copy, first), versions, strict=True):
        package.check_files(version)
        experiment = store.client.get_experiment(store.experiment_id)
        assert experiment.artifact_location == (store.state / locations.FOLDER).as_uri()
    shutil.rmtree(tmp_path / "first mill")
    package.check_files(versions[0])
    assert not (tmp_path / "first mill").exists()
    interventions.promote(copy, put(copy, 0.9), "in the copy")
    assert Ledger(copy).read().champion == champion(copy) == 2


def test_a_store_of_another_workspace_stays_as_it_is(
    first: stores.Store, params: config.Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", first.uri)
    opened(params, tmp_path / "guest")
    package.check_files(registry.champion(first))


def test_a_version_without_its_files_is_an_error_in_words(first: stores.Store):
    shutil.rmtree(first.state / locations.FOLDER)
    with pytest.raises(MaskmillError, match=r"models:/icbm152/1: its files cannot be read"):
        registry.predictor(registry.champion(first))


def test_a_backup_brings_versions_ledger_and_files_to_another_folder(
    first: stores.Store, params: config.Params, tmp_path: Path
):
    count = backup.back_up(first, tmp_path / "kept")
    assert count > 5
    state = tmp_path / "other/.maskmill"
    database = state / "mlflow/mlflow.db"
    (state / "mlflow").mkdir(parents=True)
    assert backup.restore(
        tmp_path / "kept", database, state / locations.FOLDER, replace=False
    ) is None  # fmt: skip
    shutil.rmtree(tmp_path / "first mill")
    other = opened(params, tmp_path / "other")
    assert registry.predictor(registry.champion(other)).card.variant == "unet"
    assert [entry.why for entry in Ledger(other).read().entries] == ["start"]


def test_a_restore_puts_what_is_there_aside_only_when_told(
    first: stores.Store, params: config.Params, tmp_path: Path
):
    backup.back_up(first, tmp_path / "kept")
    gate(first, put(first, 0.9))
    database, files = stores.database_of(first.uri), first.state / locations.FOLDER
    with pytest.raises(MaskmillError, match=r"there is a registry at .*; --replace puts it aside"):
        backup.restore(tmp_path / "kept", database, files, replace=False)
    aside = backup.restore(tmp_path / "kept", database, files, replace=True)
    assert sorted(path.name for path in aside.iterdir()) == ["artifacts", "mlflow.db"]
    assert not list(database.parent.glob(".restore*"))


def test_a_damaged_backup_is_refused_by_the_names_of_its_files(first: stores.Store, tmp_path: Path):
    backup.back_up(first, tmp_path / "kept")
    (weights,) = (tmp_path / "kept").rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(MaskmillError, match=r"is not as it was written: .*model\.safetensors"):
        backup.restore(tmp_path / "kept", tmp_path / "a.db", tmp_path / "b", replace=True)
    with pytest.raises(MaskmillError, match=r"holds no backup\.json"):
        backup.restore(tmp_path, tmp_path / "a.db", tmp_path / "b", replace=True)
    with pytest.raises(MaskmillError, match="is there already; name a new folder"):
        backup.back_up(first, tmp_path / "kept")
