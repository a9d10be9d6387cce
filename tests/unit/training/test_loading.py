"""Who gets which image, and loader processes that die or hang."""

import multiprocessing
import os
import signal
import time

import pytest
import torch

from maskmill.system.errors import MaskmillError
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loading import Loading


@pytest.fixture
def loading(lab):
    """A function: settings of the training -> its loading."""

    def made(rank=0, **changes):
        train = lab.settings.model_copy(update={"steps": 2000} | changes)
        return Loading(lab.shard, lab.recipe, train, workers=train.workers, rank=rank)

    return made


def take(batches, number):
    return [next(batches) for _ in range(number)]


def test_the_ids_of_a_step_are_those_of_the_images_that_are_loaded(loading, lab):
    made = loading(batch_size=2)
    images, masks = take(made(5), 1)[0]
    for name, mask in zip(made.ids(5), masks, strict=True):
        stored = torch.tensor(lab.shard[lab.shard.ids.index(name)][1])
        # the recipe may flip it
        assert torch.equal(mask, stored) or torch.equal(mask, stored.flip(1))
    assert len(images) == 2


def test_devices_share_the_images_of_a_step(loading):
    whole = loading(batch_size=3, accumulate=4)
    parts = [loading(batch_size=3, accumulate=2, devices=2, rank=rank) for rank in (0, 1)]
    for first in (0, 7):
        expected = take(whole(first), 3)
        shared = zip(*(take(part(first), 3) for part in parts), strict=True)
        for (images, masks), (one, other) in zip(expected, shared, strict=True):
            assert len(one[0]) == 6
            assert torch.equal(images, torch.cat([one[0], other[0]]))
            assert torch.equal(masks, torch.cat([one[1], other[1]]))
    assert parts[0].ids(3) == parts[1].ids(3) == whole.ids(3)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_loader_process_that_dies_or_hangs_is_an_error_in_seconds(loading, how):
    made = loading(workers=1, loader_timeout_s=2.0)
    batches = made(0)
    next(batches)
    (worker,) = multiprocessing.active_children()
    start = time.monotonic()
    with pytest.raises(MaskmillError) as raised, made.explained():
        os.kill(worker.pid, how)
        for _ in batches:
            pass
    assert time.monotonic() - start < 30  # 2 s on an idle machine, and what was loaded before
    text = str(raised.value)
    assert text.startswith(
        "a loader process died, or gave no batch for 2 s; start the same command again, which goes"
        " on at the last checkpoint"
    )
    assert "lower train.workers (now 1)" in text
    assert "train.loader_timeout_s in params.yaml" in text
    worker.join(10)
    assert not worker.is_alive()


# That it died may be raised inside any function, such as one that the garbage collector calls.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_training_whose_loader_process_is_killed_ends_with_that_and_goes_on(lab):
    training = lab.training(workers=1, steps=500, val_every_steps=2)

    def kill(rows):
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    with pytest.raises(MaskmillError, match="a loader process died"):
        lab.fit(training, "a", log=kill)
    assert Checkpoints(lab.folder / "a").latest() is not None or training.step <= 2


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_leaves_the_loader_processes_to_the_training(loading, how):
    batches = loading(workers=1, steps=30)(0)
    next(batches)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, how)
    assert len(list(batches)) == 29
    worker.join(10)
    assert not worker.is_alive()


def test_a_loader_process_that_is_stuck_at_the_end_is_killed(loading):
    batches = loading(workers=1)(0)
    next(batches)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGSTOP)
    batches.close()
    worker.join(20)
    assert worker.exitcode == -signal.SIGKILL


def test_a_mistake_in_the_data_keeps_its_own_message(loading, monkeypatch):
    def broken(self, *_):
        raise MaskmillError("mask 7 is damaged")

    made = loading(workers=1)
    monkeypatch.setattr(type(made.recipe), "__call__", broken)
    with pytest.raises(MaskmillError, match="mask 7 is damaged"):
        next(made(0))


def test_loader_processes_change_nothing(loading):
    expected, found = take(loading()(3), 3), take(loading(workers=2)(3), 3)
    for (images, masks), (others, their) in zip(expected, found, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(masks, their)
