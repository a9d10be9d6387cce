"""What a user reads when a stage or DVC is killed, and how a flow ends whose server is silent."""

import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import dvc_command, repro, workspace
from tests.pipelines.conftest import REPOSITORY

GO_ON = "Start it again: finished stages stay, and a training goes on at its last checkpoint"
LINE = "stages: {train: {cmd: 'exec sh -c \"kill -%s $$\"'}}\n"


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of DVC with nothing in it, in which this one's commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}:{REPOSITORY / 'src'}")
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], check=True)
    return tmp_path


def test_a_killed_stage_is_named_with_its_signal_and_how_to_go_on(
    line: Path, capfd: pytest.CaptureFixture[str]
):
    (line / "dvc.yaml").write_text(LINE % "KILL")
    assert workspace.run_dvc("repro") == 255
    (said,) = (one for one in capfd.readouterr().err.splitlines() if one.startswith("ERROR: "))
    assert said.startswith("ERROR: train was killed by SIGKILL: ")
    assert said.endswith(GO_ON)


def test_in_a_flow_the_same_words_are_the_message(line: Path):
    (line / "dvc.yaml").write_text(LINE % "SEGV")
    with repro.Commands() as commands:
        code, output = commands.run("repro", say=lambda _: None)
    assert code == 255
    assert output.error == f"train was killed by SIGSEGV: it crashed in compiled code. {GO_ON}"


def test_a_stage_that_said_itself_what_is_wrong_has_the_last_word(line: Path):
    (line / "dvc.yaml").write_text("stages: {train: {cmd: 'echo error: no such lens; exit 2'}}\n")
    with repro.Commands() as commands:
        assert commands.run("repro", say=lambda _: None)[1].error == "no such lens"


def test_dvc_itself_killed_is_said_and_its_status_is_as_a_shell_gives_it(
    line: Path, capfd: pytest.CaptureFixture[str]
):
    (line / "dvc.yaml").write_text("stages: {train: {cmd: 'exec sh -c \"kill -KILL $PPID\"'}}\n")
    assert workspace.run_dvc("repro") == 128 + signal.SIGKILL
    said = capfd.readouterr().err
    assert "error: DVC was killed by SIGKILL: " in said
    assert GO_ON in said


def test_a_full_disk_that_dvc_meets_is_one_line_without_its_traceback():
    error = OSError(28, "No space left on device", "data/raw", None, ".dvc/cache/ab")
    record = logging.LogRecord(
        "dvc.cli", logging.ERROR, "", 0, "unexpected error", (), (OSError, error, None)
    )
    assert dvc_command.PlainErrors().filter(record)
    assert record.exc_info is None
    assert record.getMessage().startswith("no space left to write .dvc/cache/ab (")


def test_what_dvc_adds_for_its_makers_is_left_out():
    heard: list[str] = []
    output = repro.Output(heard.append)
    for said in (
        "ERROR: no space left",
        "Having any troubles? Hit us up at https://dvc.org/support",
    ):
        output.line(said)
    assert heard == ["ERROR: no space left"]


ASKED = """
import threading, sys
from pipelines import training
training._TELL_S = 0.2
try:
    with training._ending_in_time():
        raise KeyboardInterrupt
finally:
    threading.Event().wait({asks_on})  # as Prefect's client does, \
which asks a server that is away again and again
"""


@pytest.mark.parametrize(
    ("asks_on", "statuses"), [("", {130}), ("0", {1, -2})], ids=["away", "there"]
)
def test_a_flow_that_was_asked_to_end_waits_for_its_server_no_longer_than_it_may(
    asks_on: str, statuses: set[int]
):
    done = subprocess.run(
        [sys.executable, "-c", ASKED.format(asks_on=asks_on)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in statuses
    assert ("Prefect's server did not answer" in done.stderr) == (asks_on == "")
