"""Ended at any step, by any means, and started again: as if the training had never ended.

Weights and rows are the same. A child that is killed is forked, so that it starts at once; with one
thread nothing of PyTorch stands in the way.
"""

import multiprocessing
import os
import resource
import signal

import pytest

from maskmill.system import files
from maskmill.training import checkpoint
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loop import Training
from maskmill.training.signals import Termination
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
    """A function: settings -> nothing, once what was ended equals what never was."""

    def same(name, **changes):
        rows, whole, resumed = (
            [],
            lab.training(**SETTINGS | changes),
            lab.training(**SETTINGS | changes),
        )
        expected = lab.fit(whole, "whole")
        result = lab.fit(resumed, name, log=rows.extend)
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
        (
            3,
            {
                "variant": "resnet18_unet",
                "freeze_encoder_steps": 5,
                "encoder_lr_scale": 0.5,
                "batch_size": 4,
            },
        ),
        (7, {"precision": "bf16"}),
    ],
)
def test_ended_between_two_validations_it_goes_on_at_that_step(
    lab, expect, monkeypatch, step, changes
):
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
    # nor is anything left of the checkpoint that was cut off
    assert not list((lab.folder / "killed").glob(".*"))


def asked(training, number, call, how=signal.SIGTERM):
    """The training gets the signal in a call of its method of that name."""
    setattr(
        training, call, at_call(number, lambda: os.kill(os.getpid(), how), getattr(training, call))
    )
    return training


@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["sigterm", "ctrl-c"]
)
def test_sigterm_ends_it_after_the_step_with_a_checkpoint_and_a_status(
    lab, expect, capsys, how, status
):
    before = signal.getsignal(how)
    training = asked(
        lab.training(**SETTINGS, checkpoint_every_s=3600.0), 5, "forward_backward", how
    )
    with pytest.raises(SystemExit) as raised:
        lab.fit(training, "ended")
    assert raised.value.code == status
    assert (
        f"unet: ended by {how.name} after step 5; the next start goes on there"
        in capsys.readouterr().out
    )
    assert signal.getsignal(how) is before
    assert Checkpoints(lab.folder / "ended").latest().step == 5
    expect("ended", checkpoint_every_s=3600.0)


@pytest.mark.parametrize(
    ("image", "step"), [(1, 3), (4, 6), (6, 8)], ids=["first", "later", "last"]
)
def test_asked_to_end_in_a_validation_it_leaves_it_and_the_next_start_makes_it_up(
    lab, expect, capsys, image, step
):
    training = asked(lab.training(**SETTINGS, checkpoint_every_s=3600.0), image, "predict")
    with pytest.raises(SystemExit):
        lab.fit(training, "ended")
    assert f"ended by SIGTERM after step {step}" in capsys.readouterr().out
    found = Checkpoints(lab.folder / "ended").latest()
    assert (found.step, len(found.facts["history"])) == (step, step // 3 - (step < 8))
    expect("ended", checkpoint_every_s=3600.0)


def test_a_second_ctrl_c_ends_it_at_once(lab):
    training = asked(lab.training(**SETTINGS), 2, "forward_backward", signal.SIGINT)
    training.guard.step = at_call(
        2, lambda: os.kill(os.getpid(), signal.SIGINT), training.guard.step
    )
    with pytest.raises(KeyboardInterrupt):
        lab.fit(training, "ended")
    assert training.step == 1


def test_a_signal_that_comes_too_late_takes_its_usual_way():
    with pytest.raises(KeyboardInterrupt), Termination():
        signal.raise_signal(signal.SIGINT)


def test_nobody_left_to_read_what_it_says_is_no_reason_to_lose_the_step(lab, expect, monkeypatch):
    def gone(*_, **__):
        raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr("builtins.print", gone)
        patch.setattr("tqdm.tqdm.write", gone)
        with pytest.raises(SystemExit, match="143"):
            lab.fit(
                asked(lab.training(**SETTINGS, checkpoint_every_s=3600.0), 5, "forward_backward"),
                "ended",
            )
    assert Checkpoints(lab.folder / "ended").latest().step == 5
    expect("ended", checkpoint_every_s=3600.0)


def test_a_full_disk_is_said_and_the_last_checkpoint_goes_on(lab, expect):
    def run():
        # as on a full disk: an error of the call, not a signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        def fill():
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (10_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
            )

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
