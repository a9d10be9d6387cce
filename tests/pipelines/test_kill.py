"""The line, ended or killed at different moments and started again, gives the same weights."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from maskmill.system.files import sha256
from tests.pipelines.conftest import Workspace, copy, ran
from tests.pipelines.lines import running_in, wait_until_nothing_runs_in
from tests.tracking.trainings import command as command_line

SLOW = {
    "variants": ["unet"], "train__steps": 20, "train__val_every_steps": 2, "train__patience": 20,
    "validation__min_std": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = copy(finished, tmp_path_factory.mktemp("whole") / "repository")
    made.set(**SLOW)
    done = made.pipeline()
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "moments",
    [["unet: step    6/20"], ["Running stage 'validate'", "Running stage 'register'"]],
    ids=["training", "other stages"],
)
def test_killed_at_any_moment_it_leaves_no_process_and_the_next_run_finishes(
    moments: list[str], finished: Workspace, uninterrupted: Workspace, tmp_path: Path
):
    killed = copy(finished, tmp_path / "repository")
    killed.set(**SLOW)
    for moment in moments:
        kill_at(moment, killed)
    again = killed.pipeline()
    assert again.returncode == 0, again.stdout + again.stderr
    trains = "unet: step" in moments[-1]
    assert ("unet: goes on at step" in again.stdout) == trains
    assert ran(again) == ["train@unet", "evaluate@unet"] * trains + ["select"] * trains + [
        "register",
        "report",
    ]
    weights = "models/unet/model.safetensors"
    assert sha256(killed.root / weights) == sha256(uninterrupted.root / weights)
    history = "models/unet/history.csv"
    assert (killed.root / history).read_text() == (uninterrupted.root / history).read_text()


def kill_at(moment: str, workspace: Workspace) -> None:
    """Start the line, and kill it as soon as it prints this."""
    process, said = workspace.start(sys.executable, "-u", "-m", "pipelines.local"), []
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if line.startswith(moment):
            break
    else:
        pytest.fail(f"{moment!r} was never printed, but {''.join(said)}")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_until_nothing_runs_in(workspace.root) == [], moment


@pytest.mark.slow
def test_a_lock_file_cut_off_by_a_kill_is_mended(uninterrupted: Workspace):
    lock = uninterrupted.root / "dvc.lock"
    lock.write_text(lock.read_text()[: lock.stat().st_size // 2] + "\n  : [")
    done = uninterrupted.pipeline()
    assert done.returncode == 0, done.stderr
    assert "dvc.lock was cut off by a kill; put aside as dvc.lock.broken" in done.stdout
    assert "unet: step" not in done.stdout  # the trained weights came from DVC's cache of runs


@pytest.mark.slow
def test_a_second_run_waits_for_the_first(uninterrupted: Workspace):
    uninterrupted.set(train__seed=3)  # long enough for the other to come
    first = uninterrupted.start(sys.executable, "-u", "-m", "pipelines.local")
    assert first.stdout
    next(line for line in first.stdout if line.startswith("Running stage"))
    second = uninterrupted.pipeline()
    first.communicate()
    assert first.returncode == 0
    assert second.returncode == 0
    assert "another run works in this repository; waiting for it to end" in second.stdout


LOCAL, DVC = ("-m", "pipelines.local"), ("-m", "dvc", "repro")


@pytest.mark.parametrize(
    ("command", "how", "by", "status"),
    [
        (LOCAL, signal.SIGTERM, "SIGTERM", 143),
        pytest.param(LOCAL, signal.SIGINT, "SIGTERM", 130, marks=pytest.mark.slow),
        pytest.param(DVC, signal.SIGTERM, "SIGTERM", -15, marks=pytest.mark.slow),
        (DVC, signal.SIGINT, "SIGINT", 255),
    ],
    ids=["pipeline-sigterm", "pipeline-ctrl-c", "dvc-sigterm", "dvc-ctrl-c"],
)
def test_whatever_ends_a_run_its_training_ends_with_a_checkpoint(
    command: tuple[str, ...], how: signal.Signals, by: str, status: int, uninterrupted: Workspace
):
    killed = uninterrupted
    killed.set(train__seed=time.time_ns() % 10**9, train__checkpoint_every_s=3600.0)
    killed.set(train__steps=400, train__patience=400)
    process = killed.start(sys.executable, "-u", *command)
    assert process.stdout
    next(line for line in process.stdout if line.startswith("unet: step    6/400"))
    if by == "SIGINT":
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.send_signal(how)
    assert process.wait(60) == status
    if command is LOCAL:  # it has waited for the training
        assert not any("maskmill.stages" in command_line(pid) for pid in running_in(killed.root))
    said, _ = process.communicate(timeout=60)
    assert "Traceback" not in said
    (ended,) = (line for line in said.splitlines() if "the next start goes on there" in line)
    step = int(ended.partition("after step ")[2].partition(";")[0])
    assert ended.startswith(f"unet: ended by {by} after step")
    if how == signal.SIGINT:
        assert command is DVC or "stopped; start it again and it goes on from here" in said
        return
    again = killed.start(sys.executable, "-u", *LOCAL)
    assert again.stdout
    begins = next(line for line in again.stdout if "unet: goes on at" in line)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert begins == f"unet: goes on at step {step} of 400\n"
