"""Ended at any step, by any means, and started again: the weights and rows of a training that was never ended.

A child that is killed is forked, so that it starts at once; with one thread nothing of PyTorch stands in the way.
"""

import multiprocessing
import os
import resource
import signal

import pytest

from maskmill import files
from maskmill.training import checkpoint
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loop import Training
from tests.unit.training.lab import Stopped, equal

SETTINGS = {"steps": 8, "val_every_steps": 3}


def in_child(run):
    """The exit code of a process that runs `run`."""
    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    return process.exitcode


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(number, act, real):
    """`real`, but its call `number`, from 1, does `act` first."""
    calls = iter(range(1, 1000))

    def called(*arguments, **options):
        if next(calls) == number:
            act()
        return real(*arguments, **options)

    return called


@pytest.fixture
def expect(lab):
    """A function: the settings -> nothing, once what was ended and now ends equals what was never ended."""

    def same(name, **changes):
        rows, whole, resumed = [], lab.training(**SETTINGS | changes), lab.training(**SETTINGS | changes)
        expected = lab.fit(whole, "whole")
        result = lab.fit(resumed, name, log=rows.append)
        assert rows == result.history == expected.history
        assert (result.best_step, result.best_score) == (expected.best_step, expected.best_score)
        assert equal(result.weights, expected.weights)
        assert equal(resumed.plain.state_dict(), whole.plain.state_dict())

    return same


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (1, {"optimizer": "sgd"}),
        (4, {"optimizer": "sgd", "clip_norm": 0.5, "schedule": "poly"}),
        (5, {"accumulate": 2, "batch_size": 2}),
        (6, {"schedule": "one_cycle", "warmup_steps": 0}),
        (3, {"variant": "resnet18_unet", "freeze_encoder_steps": 5, "encoder_lr_scale": 0.5, "batch_size": 4}),
        (7, {"precision": "bf16"}),
    ],
)
def test_ended_between_two_validations_it_goes_on_at_that_step(lab, expect, monkeypatch, step, changes):
    with monkeypatch.context() as patch:

        def stop():
            raise Stopped

        patch.setattr(Training, "_optimize", at_call(step + 1, stop, Training._optimize))
        with pytest.raises(Stopped):
            lab.fit(lab.training(**SETTINGS | changes), "ended")
    assert Checkpoints(lab.folder / "ended").latest().step == step
    expect("ended", **changes)


POINTS = {
    "in a step": (Training, "forward_backward", 5, 4),
    "in a validation": (Training, "predict", 2, 2),
    "before a checkpoint is written": (checkpoint.Checkpoints, "save", 4, 3),
    "with half a checkpoint written": (files.os, "fsync", 7, 3),
    "with a whole one that has no name yet": (files.Path, "replace", 5, 4),
    "with one of a name that may not last": (files, "_fsync_folder", 4, 4),
    "with older ones to drop": (files.Path, "unlink", 6, 4),
}


@pytest.mark.parametrize("point", POINTS)
def test_sigkill_at_any_point_costs_nothing_but_time(lab, expect, monkeypatch, point):
    owner, name, number, step = POINTS[point]

    def run():
        monkeypatch.setattr(owner, name, at_call(number, die, getattr(owner, name)))
        lab.fit(lab.training(**SETTINGS), "killed")

    assert in_child(run) == -signal.SIGKILL
    found = Checkpoints(lab.folder / "killed").latest()
    assert abs(found.step - step) <= 1
    expect("killed")
    assert not list((lab.folder / "killed").glob(".*"))  # nor is anything left of the checkpoint that was cut off


def test_sigterm_ends_it_after_the_step_with_a_checkpoint_and_a_status(lab, expect, capsys):
    before = signal.getsignal(signal.SIGTERM)
    training = lab.training(**SETTINGS, checkpoint_every_s=3600.0)
    training.forward_backward = at_call(5, lambda: os.kill(os.getpid(), signal.SIGTERM), training.forward_backward)
    with pytest.raises(SystemExit) as raised:
        lab.fit(training, "ended")
    assert raised.value.code == 143
    assert "unet: ended by SIGTERM after step 5; the next start goes on there" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) is before
    assert Checkpoints(lab.folder / "ended").latest().step == 5
    expect("ended", checkpoint_every_s=3600.0)


def test_a_full_disk_is_said_and_the_last_checkpoint_goes_on(lab, expect):
    def run():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as on a full disk: an error of the call, not a signal

        def fill():
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

        training = lab.training(**SETTINGS)
        training.forward_backward = at_call(5, fill, training.forward_backward)
        try:
            lab.fit(training, "full")
        except files.DiskFullError as error:
            os._exit(7 if "no space left to write" in str(error) and "intact" in str(error) else 8)

    assert in_child(run) == 7
    assert Checkpoints(lab.folder / "full").latest().step == 4
    expect("full")


def test_the_steps_that_were_skipped_are_counted_over_restarts(lab):
    def loss(logits, target):
        return logits.sum() * float("nan")

    with pytest.raises(Exception, match="step 2 is not finite, and 1 steps may be skipped"):
        lab.fit(lab.training(loss=loss, max_skipped=1), "a")
    with pytest.raises(Exception, match="step 2 is not finite, and 1 steps may be skipped"):
        lab.fit(lab.training(loss=loss, max_skipped=1), "a")
