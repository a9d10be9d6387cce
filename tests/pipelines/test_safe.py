"""Whatever runs the line, no file of the user's is deleted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maskmill.settings import config
from pipelines import folds, workspace
from tests.pipelines.conftest import REPOSITORY, Workspace, clone

RAW_IS_NOTES = (
    "params.yaml: paths.raw: notes holds files that no stage has written (notes/todo.txt)"
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone in which the first stage has run, with a folder of the user's own."""
    made = clone(tmp_path_factory.mktemp("safe") / "repository")
    assert made.dvc("repro", "ingest").returncode == 0
    (made.root / "notes").mkdir()
    (made.root / "notes/todo.txt").write_text("mine")
    return made


@pytest.mark.parametrize(
    "command",
    [
        ("dvc", "repro"),
        ("dvc", "repro", "--single-item", "ingest"),
        ("pipelines.local",),
        ("pipelines.folds", "2"),
    ],
    ids=" ".join,
)
def test_a_folder_of_the_users_own_as_an_out_is_refused(
    command: tuple[str, ...], repository: Workspace
):
    params = repository.root / "params.yaml"
    before = params.read_text()
    repository.set(paths__raw="notes")
    done = repository.run(sys.executable, "-m", *command)
    params.write_text(before)
    assert done.returncode != 0
    assert RAW_IS_NOTES in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (repository.root / "notes").iterdir()] == ["todo.txt"]


def test_a_file_that_was_put_into_an_out_survives_dvc_repro(repository: Workspace):
    own = repository.root / "data/raw/images/notes.png"
    own.write_text("mine")
    done = repository.dvc("repro", "ingest")
    assert done.returncode != 0
    assert "data/raw/images/notes.png: not as the stage ingest wrote data/raw" in done.stderr
    assert own.read_text() == "mine"
    own.unlink()
    assert "Data and pipelines are up to date." in repository.dvc("repro", "ingest").stdout


def test_a_model_of_the_users_own_with_a_variants_name_survives_dvc_repro(repository: Workspace):
    own, settings = (
        repository.root / "models/resnet18_unet/model.safetensors",
        repository.root / "params.yaml",
    )
    before = settings.read_text()
    repository.set(variants=["unet"])
    assert repository.dvc("repro", "ingest").returncode == 0
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    settings.write_text(before)  # with both variants
    done = repository.dvc("repro")
    assert done.returncode != 0
    assert (
        "params.yaml: paths.models: models/resnet18_unet/model.safetensors was written by no stage"
        in done.stderr
    )
    assert own.read_text() == "mine"
    own.unlink()


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Params:
    """The settings of a fresh repository, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return config.load()


def test_after_an_error_nothing_is_put_back_over_a_change_of_the_users(params: config.Params):
    called: list[tuple[str, ...]] = []

    def dvc(*arguments: str) -> int:
        called.append(arguments)
        return 0

    assert "is back in place" in workspace.put_back(b"", dvc)
    Path("reports").mkdir()
    Path("reports/index.html").write_text("with a remark of mine")
    text = workspace.put_back(b"", dvc)
    assert text.startswith(
        "the pipeline stopped; nothing was put back, since that would lose changes of yours: "
    )
    assert "reports/index.html" in text
    assert len(called) == 1


def test_folds_write_over_no_dvc_yaml_of_the_users(
    params: config.Params, capsys: pytest.CaptureFixture[str]
):
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path("folds").mkdir()
    Path("folds/dvc.yaml").write_text("stages: {}\n")
    assert folds.main(["2"]) == 2
    assert "folds: folds/dvc.yaml is not of `make folds`" in capsys.readouterr().err
    assert Path("folds/dvc.yaml").read_text() == "stages: {}\n"
