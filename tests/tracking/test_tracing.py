"""From a served answer back to commit, data and settings, and on to what became of it."""

import dataclasses
from pathlib import Path

import pytest

from maskmill.system.errors import MaskmillError
from maskmill.tracking import interventions, lineage, package, promotion, registry, runs, stores
from maskmill.tracking.tracing import describe, trace_version
from tests.tracking.conftest import save_model
from tests.tracking.test_run import TRAINING
from tests.tracking.versions import put


@pytest.fixture
def version(store: stores.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A version that was registered in a workspace with its files, by a flow, and promoted."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("params.yaml").write_text("train: {seed: 7}\n")
    Path("dvc.lock").write_text("schema: '2.0'\n")
    monkeypatch.setenv(lineage.FLOW_VARIABLE, "flow-run-7")
    save_model(tmp_path / "m", 1)
    params = {**TRAINING.params, "machine": "a mill", "threads": 2}
    run_id = runs.record_run(store, dataclasses.replace(TRAINING, params=params))
    tags = promotion.promotion_tags("test-1", {"dice_foreground": 0.81}) | {
        "git_commit": "c0ffee", "data_hash": "0123456789abcdef",
    }  # fmt: skip
    made = registry.register(store, tmp_path / "m", run_id, tags)
    interventions.promote(store, int(made.version), "start")
    return registry.champion(store)


def test_the_package_keeps_lock_and_settings_as_they_were(version):
    Path("params.yaml").write_text("train: {seed: 8}\n")
    kept = package.lineage_files(version)
    assert kept == {"dvc.lock": "schema: '2.0'\n", "params.yaml": "train: {seed: 7}\n"}


def test_served_weights_lead_to_all_that_made_them_and_what_followed(store, version):
    sha256 = version.tags["weights_sha256"]
    found = trace_version(store, sha256)
    for other in ("1", "models:/icbm152@champion", "models:/icbm152/1", sha256[:8]):
        assert trace_version(store, other) == found
    assert (found["version"], found["aliases"], found["run"]) == (1, ["champion"], version.run_id)
    assert (found["git_commit"], found["data_hash"]) == ("c0ffee", "0123456789abcdef")
    assert (found["flow_run"], found["machine"]["machine"]) == ("flow-run-7", "a mill")
    assert (found["training"], found["test"]) == ("k1", {"dice_foreground": 0.81})
    assert [entry.why for entry in found["ledger"]] == ["start"]
    assert any(name.startswith("torch==") for name in found["packages"])
    text = "\n".join(describe(found))
    assert "commit      c0ffee" in text
    assert "test        dice_foreground 0.8100" in text
    assert "version 1 chosen, champion none -> 1" in text


def test_a_version_of_before_says_what_was_not_noted(store: stores.Store):
    text = "\n".join(describe(trace_version(store, str(put(store, 0.8)))))
    assert "dvc.lock    not noted" in text
    assert "the ledger does not speak of it" in text


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("icbm152", "allowed are a version's number"),
        ("abcd", "the first 8 digits or more"),
        ("0" * 64, "no version of icbm152"),
        ("99", "no version of 'icbm152' has number 99"),
    ],
)
def test_what_names_no_version_is_refused_with_what_does(store: stores.Store, what, said):
    put(store, 0.8)
    with pytest.raises(MaskmillError, match=said):
        trace_version(store, what)
