"""data/splits.csv freezes by itself, though it is a dependency of the stage that writes it."""

from pathlib import Path

import pytest

from maskmill.settings import config
from pipelines.frozen_splits import freeze_after_experiment
from tests.pipelines.conftest import Workspace, change_params, clone, ran
from tests.stages.test_data_line import Line, scene

HEAD = "# by hand\ngroup,split\np2,test\n"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone with eight pairs, which are committed, and a file of splits that names one."""
    pairs = Line(tmp_path_factory.mktemp("own"))
    made = clone(tmp_path_factory.mktemp("line") / "repository")
    made.pairs = pairs
    command = ["maskmill", "data", "import", str(pairs.root / "data/source")]
    done = made.run(*command, "--classes", "background,blob")
    assert done.returncode == 0, done.stdout + done.stderr
    change_params(made.root, {"splits.given": False, "variants": ["unet"]})
    (made.root / "data/splits.csv").write_text(HEAD)
    commit(made)
    return made


def commit(line: Workspace) -> None:
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["add", "--all"], ["commit", "--quiet", "--message", "."]):
        assert line.run(*git, *command).returncode == 0


def frozen(line: Workspace) -> str:
    return (line.root / "data/splits.csv").read_text()


def changed(line: Workspace) -> set[str]:
    said = line.run("git", "status", "--porcelain").stdout.splitlines()
    return {line.split()[-1] for line in said}


def add(line: Workspace, *numbers: int) -> None:
    for number in numbers:
        Line.add(Elsewhere(line.root), "train", f"p{number}", *scene(number))
    assert line.dvc("add", "--quiet", "data/source").returncode == 0


class Elsewhere:
    """Where `Line.add` puts a pair."""

    def __init__(self, root: Path) -> None:
        self.root = root


def test_an_experiment_changes_nothing_of_git_but_what_dvc_locks(own: Workspace):
    done = own.dvc("exp", "run", "split")
    assert done.returncode == 0, done.stdout + done.stderr
    assert frozen(own) == HEAD
    assert changed(own) <= {"dvc.lock", ".dvc/config"}


def test_the_next_run_of_the_line_freezes_what_the_experiment_divided(own: Workspace, monkeypatch):
    monkeypatch.chdir(own.root)
    made = (own.root / "data/prepared/splits.csv").read_text().splitlines()
    said: list[str] = []
    freeze_after_experiment(config.load(), said.append)
    assert said == [
        "split: 7 groups of an experiment keep their split from now on: data/splits.csv"
    ]
    assert frozen(own).startswith(HEAD)
    assert set(frozen(own).splitlines()[1:]) == set(made)
    (own.root / "data/splits.csv").write_text(HEAD.replace("test", "val"))
    freeze_after_experiment(config.load(), said.append)
    assert frozen(own) == HEAD.replace("test", "val"), "an edit was taken back"
    assert len(said) == 1


def test_the_stage_writes_what_it_depends_on_and_a_second_repro_runs_nothing(own: Workspace):
    done = own.dvc("repro", "split")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(done) == ["split"]
    first = frozen(own)
    assert first.startswith(HEAD.replace("test", "val"))
    assert len(first.splitlines()) == 10
    assert own.dvc("status", "split").stdout.strip() == "Data and pipelines are up to date."
    again = own.dvc("repro", "split")
    assert (again.returncode, ran(again), frozen(own)) == (0, [], first)
    commit(own)


def test_new_images_get_a_split_and_the_old_ones_keep_theirs(own: Workspace):
    before = frozen(own)
    add(own, *range(8, 14))
    done = own.dvc("repro", "split")
    assert ran(done) == ["ingest", "validate", "split"], done.stdout + done.stderr
    assert frozen(own).startswith(before)
    assert len(frozen(own).splitlines()) == 16
    assert ran(own.dvc("repro", "split")) == []


def test_an_edit_by_hand_counts_and_stays(own: Workspace):
    _, header, *rows = frozen(own).replace("p2,val", "p2,test").splitlines()
    edited = "\n".join(["# looked at by Ann", header, *reversed(rows)]) + "\n"
    (own.root / "data/splits.csv").write_text(edited)
    done = own.dvc("repro", "split")
    assert ran(done) == ["split"], done.stdout + done.stderr
    assert frozen(own) == edited
    assert "p2,test" in (own.root / "data/prepared/splits.csv").read_text()
