"""The line killed with SIGKILL at different moments and started again: it finishes, with the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maskmill.files import sha256
from tests.pipelines.conftest import Workspace, clone, ran

SLOW = {"train__steps": 20, "train__val_every_steps": 2, "train__patience": 20}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = clone(tmp_path_factory.mktemp("whole") / "repository")
    made.set(variants=["unet"], **SLOW)
    assert made.pipeline().returncode == 0
    return made


def test_killed_at_three_moments_it_leaves_no_process_and_the_next_run_finishes(
    uninterrupted: Workspace, tmp_path: Path
):
    killed = clone(tmp_path / "repository")
    killed.set(variants=["unet"], **SLOW)
    for moment in ("Running stage 'validate'", "unet: step    6/20", "Running stage 'register'"):
        said = kill_at(moment, killed)
    assert "unet: goes on at step" in said

    again = killed.pipeline()
    assert again.returncode == 0, again.stdout + again.stderr
    assert ran(again) == ["register", "report"]
    weights = "models/unet/model.safetensors"
    assert sha256(killed.root / weights) == sha256(uninterrupted.root / weights)
    history = "models/unet/history.csv"
    assert (killed.root / history).read_text() == (uninterrupted.root / history).read_text()


def kill_at(moment: str, workspace: Workspace) -> str:
    """Start the line, and kill it as soon as it prints this; what it printed until then."""
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
    deadline = time.monotonic() + 10
    while running_in(workspace.root) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running_in(workspace.root) == [], moment
    return "".join(said)


def test_a_lock_file_cut_off_by_a_kill_is_mended(uninterrupted: Workspace):
    lock = uninterrupted.root / "dvc.lock"
    lock.write_text(lock.read_text()[: lock.stat().st_size // 2] + "\n  : [")
    done = uninterrupted.pipeline()
    assert done.returncode == 0, done.stderr
    assert "dvc.lock was cut off by a kill; put aside as dvc.lock.broken" in done.stdout
    assert "unet: step" not in done.stdout  # the trained weights came from DVC's cache of runs


def test_a_second_run_waits_for_the_first(uninterrupted: Workspace):
    uninterrupted.set(train__seed=3, train__steps=2)
    first = uninterrupted.start(sys.executable, "-u", "-m", "pipelines.local")
    assert first.stdout
    next(line for line in first.stdout if line.startswith("Running stage"))
    second = uninterrupted.pipeline()
    first.communicate()
    assert first.returncode == 0
    assert second.returncode == 0
    assert "another run works in this repository; waiting for it to end" in second.stdout


def running_in(root: Path) -> list[int]:
    """Processes whose working folder is the workspace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").readlink() == root and b"zombie" not in (entry / "status").read_bytes():
                    found.append(int(entry.name))
            except (OSError, subprocess.SubprocessError):
                continue
    return found
