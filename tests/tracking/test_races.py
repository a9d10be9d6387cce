"""Promotions at the same time: the better version wins, whoever is first, and the alias with it."""

from pathlib import Path

import pytest

from benchmarks import promotions

PAIRS = 6  # benchmarks/promotions.py runs 1,000


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "set by the race")


def test_of_two_processes_in_one_store_the_better_version_wins(tmp_path: Path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    promotions.connect(tmp_path, uri, 2)
    got = promotions.race(tmp_path, uri, PAIRS)
    assert (got.pairs, got.wrong, got.dangling) == (PAIRS, 0, 0)


@pytest.mark.slow
def test_of_two_workspaces_on_one_server_the_better_version_wins(tmp_path: Path):
    with promotions.server(tmp_path) as address:
        got = promotions.race(tmp_path, address, PAIRS)
    assert (got.pairs, got.wrong, got.dangling) == (PAIRS, 0, 0)
