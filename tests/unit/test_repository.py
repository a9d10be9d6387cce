"""Nothing is written outside of the repository."""

import subprocess
import sys
from pathlib import Path

import pytest

from maskmill.errors import MaskmillError
from maskmill.repository import check_inside

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
        f"params.yaml: paths.source: data/source leads to {real}, out of the repository, through a link; DVC would"
    )


def test_a_circle_of_links_is_refused(elsewhere: Path):
    Path("data").symlink_to("data")
    with pytest.raises(MaskmillError, match=r"paths.source: data/source leads in a circle: .*; delete the link"):
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
