import os

import pytest
import torch

from maskmill.system import files
from maskmill.training import checkpoint
from maskmill.training.checkpoint import Checkpoints, TrainingState


def state(step):
    tensors = {
        "model/w": torch.randn(3, 4),
        "best/w": torch.zeros(0),
        "optimizer/0/step": torch.tensor(7.0),
    }
    return TrainingState(
        step, tensors, {"history": [{"step": step, "loss": 0.1 + 0.2}], "best_score": float("nan")}
    )


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "run")


def newest_first(tmp_path):
    return sorted((tmp_path / "run").iterdir(), reverse=True)


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_is_saved_comes_back_bit_for_bit(checkpoints):
    saved = state(5)
    checkpoints.save(saved)
    back = checkpoints.latest()
    assert back.step == 5
    assert back.tensors.keys() == saved.tensors.keys()
    assert all(torch.equal(back.tensors[name], value) for name, value in saved.tensors.items())
    assert back.facts["history"] == [{"step": 5, "loss": 0.1 + 0.2}]
    assert back.facts["best_score"] != back.facts["best_score"]


def test_channels_last_weights_keep_their_values(checkpoints):
    weight = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    checkpoints.save(TrainingState(1, {"w": weight}))
    assert torch.equal(checkpoints.latest().tensors["w"], weight)


def test_before_the_first_there_is_none(checkpoints):
    assert checkpoints.latest() is None


def test_the_newest_is_taken_and_two_are_kept(checkpoints, tmp_path):
    for step in (9, 10, 100, 1000):
        checkpoints.save(state(step))
    assert checkpoints.latest().step == 1000
    assert [path.name[:13] for path in newest_first(tmp_path)] == ["step-00001000", "step-00000100"]


def test_a_flipped_bit_makes_the_one_before_be_used(checkpoints, tmp_path):
    checkpoints.save(state(1))
    checkpoints.save(state(2))
    damage(newest_first(tmp_path)[0])
    assert checkpoints.latest().step == 1


def test_half_a_file_makes_the_one_before_be_used(checkpoints, tmp_path):
    checkpoints.save(state(1))
    checkpoints.save(state(2))
    newest = newest_first(tmp_path)[0]
    os.truncate(newest, newest.stat().st_size // 2)
    assert checkpoints.latest().step == 1


def test_when_all_are_damaged_there_is_none(checkpoints, tmp_path):
    checkpoints.save(state(1))
    checkpoints.save(state(2))
    for path in newest_first(tmp_path):
        damage(path)
    assert checkpoints.latest() is None


def test_a_save_that_fails_leaves_the_earlier_ones(checkpoints, tmp_path, monkeypatch):
    checkpoints.save(state(1))
    checkpoints.save(state(2))

    def full(path, content):
        raise files.DiskFullError("no space left")

    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(files.DiskFullError):
        checkpoints.save(state(3))
    assert checkpoints.latest().step == 2
    assert len(newest_first(tmp_path)) == 2


class Clock:
    """`time.monotonic`, moved by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(checkpoint.time, "monotonic", made)
    return made


def test_the_first_of_a_large_network_waits_until_it_is_worth_its_time(clock, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.expect(600_000_000)  # 3 s at 200 MB/s, 2 % of 150 s
    clock.now += 149
    assert not checkpoints.due(20.0)
    clock.now += 2
    assert checkpoints.due(20.0)
    assert checkpoints.due(0.0)


def test_all_together_stay_below_their_share_of_the_time_whatever_one_takes(clock, tmp_path):
    checkpoints, spent, start = Checkpoints(tmp_path), [], clock.now
    checkpoints.expect(1_000)
    costs = iter([0.1, 3.0, 0.1, 0.5, 1.0])
    for step in range(5_000):
        clock.now += 0.5
        if checkpoints.due(20.0):
            began = clock.now
            clock.now += next(costs, 0.2)
            spent.append(clock.now - began)
            checkpoints.save(state(step), began)
            if len(spent) > 2:  # once it is known what one takes
                assert sum(spent) <= 0.021 * (clock.now - start)
    assert len(spent) > 10


def test_one_that_took_long_puts_the_next_off_by_a_quarter_of_an_hour_at_most(clock, tmp_path):
    checkpoints, began = Checkpoints(tmp_path), clock.now
    clock.now += 600  # the disk hung
    checkpoints.save(state(1), began)
    clock.now += 899
    assert not checkpoints.due(20.0)
    clock.now += 1
    assert checkpoints.due(20.0)
    assert not checkpoints.due(3600.0)
