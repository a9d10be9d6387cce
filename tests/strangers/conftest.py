"""A folder with the settings alone, into which strangers' files are imported."""

import shutil
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tests run."""
    top = tmp_path / "repository"
    top.mkdir()
    shutil.copy(SHIPPED, top)
    monkeypatch.chdir(top)
    return top


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a stranger's files are put."""
    path = tmp_path / "strangers" / "own"
    path.mkdir(parents=True)
    return path
