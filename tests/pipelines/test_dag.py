"""The plan of a small, real DVC repository, and DVC commands that are ready and gone in time."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines import dag
from pipelines.repro import Commands, Output
from tests.pipelines.conftest import REPOSITORY
from tests.pipelines.lines import running_in, wait_until_nothing_runs_in
from tests.tracking.trainings import command

STAGES = """
stages:
  double:
    cmd: echo doubling && sort -o b a
    deps: [a]
    outs: [b]
  triple:
    cmd: echo tripling && sort -o c a
    deps: [a]
    outs: [c]
    meta: {slot: gpu}
  join:
    cmd: cat b c > d
    deps: [b, c]
    outs: [d]
  alone:
    cmd: sleep ${seconds} && cp c e
    params: [seconds]
    deps: [c]
    outs: [e]
"""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository with nothing in it."""
    made = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        dvc("init", "--no-scm")
    return made


@pytest.fixture
def repository(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'src'}")
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    (tmp_path / "a").write_text("1\n")
    (tmp_path / "params.yaml").write_text("seconds: 0\n")
    (tmp_path / "dvc.yaml").write_text(STAGES)
    return tmp_path


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], check=True)


def changed() -> set[str]:
    return {step.name for step in dag.dag_steps() if step.changed}


def test_each_stage_comes_after_what_it_needs_and_names_its_slot(repository: Path):
    steps = {step.name: step for step in dag.dag_steps()}
    order = list(steps)
    assert order.index("join") > max(order.index("double"), order.index("triple"))
    assert steps["join"].upstream == ("double", "triple")
    assert {name: step.slot for name, step in steps.items() if step.slot} == {"triple": "gpu"}


def test_what_must_run_is_what_changed_and_what_comes_after_it(repository: Path):
    assert changed() == {"double", "triple", "join", "alone"}
    dvc("repro")
    assert changed() == set()
    (repository / "params.yaml").write_text("seconds: 0.0\n")
    assert changed() == {"alone"}
    (repository / "c").write_text("damaged")
    assert changed() == {"triple", "join", "alone"}


def test_data_files_are_stages_that_come_first(repository: Path):
    dvc("add", "a")
    assert next(step.name for step in dag.dag_steps()) == "a.dvc"
    (repository / "a").write_text("2\n")
    assert changed() == {"a.dvc", "double", "triple", "join", "alone"}
    assert dag.data_files() == dag.DataFiles(("a.dvc",), frozenset(), (), None)


def test_a_file_that_follows_a_source_is_known_as_an_import(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "file"
    elsewhere.write_text("x")
    dvc("import-url", str(elsewhere), "followed")
    dvc("remote", "add", "--default", "store", str(elsewhere.parent / "kept"))
    assert dag.data_files() == dag.DataFiles(
        ("followed.dvc",), frozenset({"followed.dvc"}), (), "store"
    )
    Path("followed").write_text("y")
    assert dag.data_files().edited == ("followed",)
    dvc("commit", "--force", "followed.dvc")
    assert dag.data_files().edited == ()
    Path("followed").write_text("x")  # an older version, which the cache holds
    assert dag.data_files().edited == ()


def test_commands_give_status_lines_and_outcome(repository: Path):
    said: list[str] = []
    with Commands() as commands:
        outcomes = []
        for _ in range(2):
            code, output = commands.run("repro", "--single-item", "double", say=said.append)
            outcomes.append((code, output.outcome))
        (repository / "b").unlink()
        (repository / "dvc.lock").unlink()
        outcomes.append(
            (0, commands.run("repro", "--single-item", "double", say=said.append)[1].outcome)
        )
        failed, output = commands.run("repro", "--single-item", "join", say=said.append)
    assert outcomes == [(0, "Completed"), (0, "Cached"), (0, "Restored")]
    assert "doubling" in said
    assert failed != 0
    assert "No such file or directory" in output.error
    assert not [line for line in said if "git" in line or "lock file" in line]


def test_two_stages_run_at_the_same_time(repository: Path):
    (repository / "params.yaml").write_text("seconds: 600\n")
    dvc("repro", "triple")
    with Commands() as commands:
        slow = threading.Thread(
            target=lambda: commands.run("--wait-for-lock", "repro", "-s", "alone", say=print)
        )
        slow.start()
        wait_until_one_sleeps_in(repository)
        assert commands.run("--wait-for-lock", "repro", "-s", "double", say=print)[0] == 0
        assert slow.is_alive()
    slow.join()


def wait_until_one_sleeps_in(repository: Path) -> None:
    while not any("sleep" in command(pid) for pid in running_in(repository)):
        time.sleep(0.1)


def test_leaving_early_leaves_no_process(repository: Path):
    (repository / "params.yaml").write_text("seconds: 600\n")
    dvc("repro", "triple")
    ended: list[int] = []
    with Commands() as commands:
        thread = threading.Thread(
            target=lambda: ended.append(commands.run("repro", "-s", "alone", say=print)[0])
        )
        thread.start()
        wait_until_one_sleeps_in(repository)
    thread.join(timeout=60)
    assert ended == [-15]
    assert wait_until_nothing_runs_in(repository, 60) == []
    assert commands.run("status", say=print)[0] == -15


DVCS = {"event": "dvc_error", "text": "failed to reproduce 'x'"}
OWN = {"event": "error", "text": "first\nsecond"}


@pytest.mark.parametrize(
    ("lines", "events", "error"),
    [
        (["error: first", "second", "ERROR: failed to"], [DVCS], "first\nsecond"),
        (["ERROR: failed to"], [OWN, DVCS], "first\nsecond"),
        (["noise"], [DVCS, DVCS | {"text": "later"}], "failed to reproduce 'x'"),
        (["all is well"], [], ""),
    ],
)
def test_the_error_is_the_stages_own_and_only_else_dvcs(
    lines: list[str], events: list[dict[str, str]], error: str
):
    output = Output(lambda _: None)
    for line in lines:
        output.line(line)
    for event in events:
        output.event(event)
    assert output.error == error


def test_steps_are_handed_on_while_a_command_runs(repository: Path):
    record = "from maskmill.system.events import record_event as tell; tell"
    steps = f"python -c \"{record}('steps', title='x', done=3, total=9)\"; sleep 600"
    (repository / "dvc.yaml").write_text(f"stages: {{slow: {{cmd: {json.dumps(steps)}}}}}\n")
    seen: list[tuple[int, int]] = []
    with Commands() as commands:
        running = threading.Thread(
            target=lambda: commands.run(
                "repro", say=print, step=lambda *counts: seen.append(counts)
            )
        )
        running.start()
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            time.sleep(0.05)
    running.join()
    assert seen == [(3, 9)]
