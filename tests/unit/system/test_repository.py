"""Nothing is written outside of the repository."""

import subprocess
import sys
from pathlib import Path

import pytest

from maskmill.system.errors import MaskmillError
from maskmill.system.repository import (
    check_git,
    check_inside,
    commit_of,
    file_in_commit,
    folder_digest,
)

DVC = (sys.executable, "-m", "dvc")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside of the one that is worked in."""
    for name in ("repository", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "elsewhere"


def test_folders_and_links_within_the_repository_are_fine(elsewhere: Path):
    Path("real").mkdir()
    Path("data").symlink_to("real")
    check_inside({"source": "data/source", "raw": "not/there/yet"})


@pytest.mark.parametrize("link", ["data", "data/source"])
def test_a_link_out_of_the_repository_is_refused(elsewhere: Path, link: str):
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(elsewhere)
    with pytest.raises(MaskmillError) as raised:
        check_inside({"raw": "raw", "source": "data/source"})
    real = elsewhere / "source" if link == "data" else elsewhere
    assert str(raised.value).startswith(
        f"params.yaml: paths.source: data/source leads to {real}, out of the repository, through a"
        " link; DVC would"
    )


def test_a_circle_of_links_is_refused(elsewhere: Path):
    Path("data").symlink_to("data")
    with pytest.raises(
        MaskmillError, match=r"paths.source: data/source leads in a circle: .*; delete the link"
    ):
        check_inside({"source": "data/source"})


def test_dvc_itself_would_pull_through_the_link(elsewhere: Path):
    """The reason for the check: without it, this is what happens."""
    subprocess.run([*DVC, "init", "--no-scm", "--quiet"], check=True)
    Path("data/source").mkdir(parents=True)
    Path("data/source/a.png").write_bytes(b"x")
    subprocess.run([*DVC, "add", "--quiet", "data/source"], check=True)
    Path("data").rename(elsewhere / "data")
    (elsewhere / "data/source/a.png").unlink()
    Path("data").symlink_to(elsewhere / "data")
    subprocess.run([*DVC, "checkout", "--quiet", "data/source.dvc"], check=False)
    assert (elsewhere / "data/source/a.png").exists()
    with pytest.raises(MaskmillError, match="out of the repository, through a link"):
        check_inside({"source": "data/source"})


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, tagged `done`, in whose folder `part` the tests run."""
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(tmp_path))
    (tmp_path / "part").mkdir()
    (tmp_path / "part/file").write_text("as committed")
    for command in (
        ("init", "--quiet"),
        ("add", "."),
        ("commit", "--quiet", "-m", "one"),
        ("tag", "done"),
    ):
        subprocess.run([*git, *command], check=True)
    monkeypatch.chdir(tmp_path / "part")
    return tmp_path


@pytest.mark.usefixtures("history")
def test_a_file_is_read_as_it_was_committed_from_the_folder_that_is_worked_in():
    commit = commit_of("done", "test")
    Path("file").write_text("changed")
    assert file_in_commit(commit, "file") == "as committed"
    assert file_in_commit(commit, "no such file") is None
    assert folder_digest(commit, ".") != folder_digest("", ".")


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("name", ["nothing", "--all", "", "done:part/file"])
def test_what_names_no_commit_is_refused_with_the_names_there_are(name: str):
    with pytest.raises(
        MaskmillError, match=r"test: got .*, which is no git revision and no DVC experiment; .*done"
    ):
        commit_of(name, "test")


def test_a_folder_without_git_is_refused_with_the_commands_that_help(elsewhere: Path):
    with pytest.raises(MaskmillError) as raised:
        check_git()
    assert (
        str(raised.value)
        == f"{Path.cwd()} is in no git repository, which DVC needs; a ZIP of this repository holds"
        " none. Make one, and run the same command again: git init && git add --all && git"
        " commit --message start"
    )
    subprocess.run(["git", "init", "--quiet"], check=True)
    check_git()
