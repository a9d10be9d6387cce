"""How a stage ends when a user has something to mend."""

import subprocess
import sys
from pathlib import Path

import pytest

from maskmill.stages import __main__ as runner
from maskmill.system import components

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "maskmill.stages", *arguments]
    return subprocess.run(
        command, cwd=folder, text=True, capture_output=True, timeout=120, check=False
    )


def test_a_stage_outside_the_repository_says_where_to_run_it(tmp_path: Path):
    done = run(tmp_path, "ingest")
    assert done.returncode == 2
    assert (
        f"error: params.yaml: no such file in {tmp_path}; run from the repository's top folder"
        in done.stderr
    )


def test_a_file_of_settings_that_is_no_yaml_is_no_traceback(tmp_path: Path):
    (tmp_path / "params.yaml").write_text("paths: [unclosed")
    done = run(tmp_path, "ingest")
    assert "error: params.yaml: not readable as YAML" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ingets"], "stage: 'ingets' is not known; did you mean 'ingest'?"),
        ([], "python -m maskmill.stages NAME [VARIANT]"),
        (
            ["train"],
            "stage train: got variant None; allowed are unet, resnet18_unet, se_resnet18_unet",
        ),
        (["train", "nope"], "stage train: got variant 'nope'; allowed are unet"),
        (["select", "unet"], "stage select runs once, without a variant; got 'unet'"),
        (
            ["fold", "unet", "first", "5"],
            "stage fold: got fold 'first'; needed is a number: python -m maskmill.stages",
        ),
        (
            ["ensemble", "unet"],
            "stage ensemble: got folds None; needed is a number: python -m maskmill.stages",
        ),
        (["fold", "fcn", "0", "5"], "stage fold: got variant 'fcn'; allowed are unet"),
        (["train", "unet", "again"], "python -m maskmill.stages NAME [VARIANT]"),
    ],
)
def test_wrong_arguments_are_named_with_what_is_allowed(
    arguments: list[str],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(ROOT)
    # the test runner shall not die with its shell
    monkeypatch.setattr(runner, "die_with_parent", lambda: None)
    assert runner.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_a_full_disk_is_said_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(*_: object) -> object:
        raise OSError(28, "No space left on device", "data/raw/images/a.png")

    monkeypatch.setattr(components, "factory", full)
    # the test runner shall not die with its shell
    monkeypatch.setattr(runner, "die_with_parent", lambda: None)
    assert runner.main(["ingest"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: no space left to write data/raw/images/a.png ("
    )


def test_arrow_keeps_no_memory_for_itself():
    """With a million samples its own allocator would hold some 50 MB that nothing uses."""
    code = (
        "from maskmill.stages.__main__ import main; main([]); import pyarrow;"
        "print(pyarrow.default_memory_pool().backend_name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "system\n"
