"""Where a result comes from."""

import subprocess
from pathlib import Path

import pytest

from maskmill.settings.config import Params
from maskmill.tracking import lineage


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("params.yaml", "dvc.lock"):
        (tmp_path / name).write_text("stages: {}\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def git(root: Path, *arguments: str) -> str:
    command = [
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@localhost",
        *arguments,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_tree_is_its_commit_also_after_dvc_wrote_its_lock(repository: Path):
    (repository / "dvc.lock").write_text("stages: {ingest: {}}\n")
    (repository / "untracked").touch()
    assert lineage.git_commit(repository) == git(repository, "rev-parse", "HEAD")


def test_a_changed_setting_makes_the_tree_dirty(repository: Path):
    (repository / "params.yaml").write_text("changed: true\n")
    assert lineage.git_commit(repository) == git(repository, "rev-parse", "HEAD") + "-dirty"


def test_outside_a_repository_there_is_no_commit(tmp_path: Path):
    assert lineage.git_commit(tmp_path) == ""


def test_the_data_are_named_by_dvcs_hash(repository: Path, params: Params):
    out = {"path": "data/prepared/manifest.parquet", "hash": "md5", "md5": "0123456789abcdef"}
    (repository / "dvc.lock").write_text(f"stages: {{ingest: {{outs: [{out}]}}}}\n")
    assert lineage.data_hash(repository, params.paths) == "0123456789abcdef"
    (repository / "dvc.lock").unlink()
    assert lineage.data_hash(repository, params.paths) == ""
