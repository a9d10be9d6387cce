"""Two processes on a CPU, over gloo, are one with twice the batch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from maskmill.system.errors import MaskmillError
from maskmill.training import distributed
from maskmill.training.checkpoint import Checkpoints
from tests.unit.training import ranks

SCRIPT = Path(__file__).with_name("ranks.py")
# of weights of about 0.1 after one step; the sums over images are in another order
TOLERANCE = 1e-5
GROWN = 0.02  # what that makes of a loss and of a score within the three steps before the first row


def start(folder, *pause_s):
    """Two processes, each with a batch of 2, in a group of their own."""
    command = [sys.executable, str(SCRIPT), str(folder), "2", "2", *pause_s]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process):
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of two processes that have trained, and what they said."""
    folder = tmp_path_factory.mktemp("two")
    return folder, finish(start(folder))


def weights(folder, run="2x2", name="rank0"):
    return safetensors.torch.load_file(folder / run / f"{name}.safetensors")


def farthest(a, b):
    assert a.keys() == b.keys()
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


def test_two_processes_train_the_weights_of_one_with_the_doubled_batch(two, tmp_path):
    folder, said = two
    ranks.main(tmp_path, 1, 4)
    assert farthest(weights(folder), weights(folder, name="rank1")) == 0
    assert farthest(weights(folder, name="first"), weights(tmp_path, "1x4", "first")) < TOLERANCE
    rows, history = json.loads((folder / "2x2/rows.json").read_text())
    expected, _ = json.loads((tmp_path / "1x4/rows.json").read_text())
    assert rows == history
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    assert list(rows[0].values()) == pytest.approx(list(expected[0].values()), rel=GROWN)
    assert said.count("unet: step") == 3  # one process speaks


def test_killed_they_leave_no_process_and_go_on_to_the_same_weights(two, tmp_path):
    killed = start(tmp_path)
    checkpoints, deadline = Checkpoints(tmp_path / "2x2/checkpoints"), time.monotonic() + 100
    while checkpoints.latest() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(running(str(tmp_path))) == 2
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    while running(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(str(tmp_path)) == []
    assert "unet: goes on at step" in finish(start(tmp_path))
    assert farthest(weights(tmp_path), weights(two[0])) == 0


@pytest.mark.parametrize("whom", ["first", pytest.param("group", marks=pytest.mark.slow)])
def test_asked_to_end_all_do_after_the_same_step_with_one_checkpoint(two, tmp_path, whom):
    process = start(tmp_path, "0.1")
    checkpoints, deadline = (
        Checkpoints(tmp_path / "2x2/checkpoints", kept=100),
        time.monotonic() + 100,
    )
    while checkpoints.latest() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    (
        os.kill(process.pid, signal.SIGTERM)
        if whom == "first"
        else os.killpg(process.pid, signal.SIGTERM)
    )
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 143, said
    assert "Traceback" not in said
    assert said.count("the next start goes on there") == 1
    step = checkpoints.latest().step
    assert f"unet: ended by SIGTERM after step {step};" in said
    assert step < 8
    assert running(str(tmp_path)) == []
    if whom == "group":
        assert f"unet: goes on at step {step}" in finish(start(tmp_path))
        assert farthest(weights(tmp_path), weights(two[0])) == 0


def running(argument):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (
                    argument.encode() in (entry / "cmdline").read_bytes()
                    and b"zombie" not in (entry / "status").read_bytes()
                ):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_batch_norm_becomes_one_over_all_devices_with_the_same_weights_and_names():
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Sequential(nn.BatchNorm2d(3)))
    before = network.state_dict()

    class Fabric:
        world_size, device = 2, torch.device("cpu")

    made = distributed.over_all_devices(network, Fabric())
    assert type(made[1][0]) is not nn.BatchNorm2d
    assert list(made.state_dict()) == list(before)
    assert made[1][0].weight is network[1][0].weight


def test_more_gpus_than_there_are_is_an_error(params, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(MaskmillError) as raised:
        distributed.launch_fabric(params.train.model_copy(update={"devices": 3, "device": "cuda"}))
    assert (
        str(raised.value)
        == "params.yaml: train.devices: got 3, and torch sees 2 GPUs; take at most so many"
    )


def test_torchrun_with_another_number_of_processes_is_an_error(params, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(MaskmillError) as raised:
        distributed.launch_fabric(params.train.model_copy(update={"devices": 2, "device": "cpu"}))
    assert (
        str(raised.value)
        == "params.yaml: train.devices: got 2, and torchrun has started 4 processes; make them"
        " equal"
    )
