"""The remote of a real DVC repository."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maskmill.cli import remote
from maskmill.system.errors import MaskmillError


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository with nothing in it."""
    made = tmp_path_factory.mktemp("empty")
    subprocess.run(["git", "init", "--quiet"], cwd=made, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=made, check=True)
    return made


@pytest.fixture
def repository(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_folder_becomes_the_default_remote_and_is_verified(repository: Path):
    remote.configure(str(repository / "kept"))
    text = (repository / ".dvc/config").read_text()
    assert "remote = maskmill" in text
    assert "verify = true" in text
    remote.configure(str(repository / "elsewhere"))
    assert (repository / ".dvc/config").read_text().count("url =") == 1


def test_an_s3_server_of_ones_own_is_named_by_its_endpoint(repository: Path):
    remote.configure("s3://bucket/path", "http://127.0.0.1:9000")
    text = (repository / ".dvc/config").read_text()
    assert "url = s3://bucket/path" in text
    assert "endpointurl = http://127.0.0.1:9000" in text


@pytest.mark.parametrize(
    ("url", "endpoint", "said"),
    [
        (
            "s3://key:secret@bucket",
            None,
            "a URL holds a user, password or query, and .dvc/config is in git",
        ),
        (
            "s3://bucket",
            "http://key:secret@127.0.0.1:9000",
            "a URL holds a user, password or query",
        ),
        ("ftp://host/path", None, r"got 'ftp://host/path'; allowed are a folder, s3://, gs://"),
        (
            "azure://container",
            None,
            r"azure:// needs the package dvc-azure; install it: .*pip install",
        ),
        ("kept", "http://127.0.0.1:9000", r"--endpoint is for s3:// remotes, got 'kept'"),
    ],
)
def test_a_url_that_cannot_be_used_changes_nothing(
    repository: Path, url: str, endpoint: str | None, said: str
):
    before = (repository / ".dvc/config").read_text()
    with pytest.raises(MaskmillError, match=said):
        remote.configure(url, endpoint)
    assert (repository / ".dvc/config").read_text() == before


def test_outside_a_repository_dvc_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    with pytest.raises(MaskmillError, match=r"ended with 251: .*[Nn]ot inside (of )?a DVC repo"):
        remote.configure("kept")
