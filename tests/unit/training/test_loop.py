import functools
import re

import pytest
import torch

from maskmill.metrics import Labels
from maskmill.metrics.confusion import Confusion
from maskmill.samples.dataset import training_batches
from maskmill.system.errors import MaskmillError
from maskmill.training import timing
from maskmill.training.checkpoint import Checkpoints
from tests.unit.training.lab import Stopped, equal, stop_after


def test_training_learns(lab):
    history = lab.fit(lab.training(steps=40, val_every_steps=10), "a").history
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert history[-1]["val_dice_foreground"] > 0.5


def test_the_same_seed_gives_bit_equal_weights_and_another_gives_others(lab):
    first, again, other = (
        lab.fit(lab.training(seed=s), n) for s, n in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert equal(first.weights, again.weights)
    assert first.history == again.history
    assert not equal(first.weights, other.weights)


@pytest.mark.parametrize("validations", [1, 3, 5])
def test_stopped_and_started_again_equals_never_stopped(lab, validations):
    whole = lab.training()
    expected = lab.fit(whole, "whole")
    with pytest.raises(Stopped):
        lab.fit(lab.training(), "stopped", log=stop_after(validations))
    resumed = lab.training()
    result = lab.fit(resumed, "stopped")
    assert result.history == expected.history
    assert (result.best_step, result.best_score) == (expected.best_step, expected.best_score)
    assert equal(result.weights, expected.weights)
    assert equal(resumed.plain.state_dict(), whole.plain.state_dict())


def test_a_restart_logs_each_row_once_the_earlier_ones_first(lab):
    expected, rows = lab.fit(lab.training(), "whole"), []
    with pytest.raises(Stopped):
        lab.fit(lab.training(), "stopped", log=stop_after(2))
    lab.fit(lab.training(), "stopped", log=rows.extend)
    assert rows == expected.history


def test_a_restart_before_the_first_row_logs_no_rows_of_before(lab):
    with pytest.raises(Stopped):
        lab.fit(lab.training(), "stopped", log=stop_after(0))
    logged = []
    lab.fit(lab.training(), "stopped", log=logged.append)
    assert [len(rows) for rows in logged] == [1] * 6


def test_auxiliary_heads_are_trained_with_their_weights(lab):
    def loss(out, target):
        return out.square().mean()

    training = lab.training(loss=loss, variant="unet_pp")
    training.plain.aux_heads = {"x0_1": 0.5, "x0_2": 0.0, "x0_3": 2.0}
    images, masks = next(
        iter(training_batches(lab.shard, lab.recipe, batch=3, seed=0, first=0, last=1, workers=0))
    )
    found = training.forward_backward(images, masks)
    with torch.no_grad():
        out = training.plain(training.preprocessing.apply(images))
    logits, one, _, three = (
        out[name].square().mean() for name in ("logits", "x0_1", "x0_2", "x0_3")
    )
    assert found.item() == pytest.approx((logits + 0.5 * one + 2 * three).item(), rel=1e-5)
    heads = training.plain.heads
    assert heads["x0_1"].weight.grad.any()
    assert not heads["x0_2"].weight.grad.any()


def test_a_network_with_auxiliary_heads_learns_and_is_validated_by_its_logits(lab):
    history = lab.fit(lab.training(variant="unet_pp", steps=30, val_every_steps=10), "a").history
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    assert history[-1]["val_dice_foreground"] > 0


def test_stopped_before_the_first_checkpoint_starts_anew(lab):
    expected = lab.fit(lab.training(), "whole")
    with pytest.raises(Stopped):
        lab.fit(lab.training(), "stopped", log=stop_after(0))
    assert equal(lab.fit(lab.training(), "stopped").weights, expected.weights)


def test_a_finished_training_is_not_run_again(lab):
    expected, rows = lab.fit(lab.training(), "a"), []
    again = lab.fit(lab.training(), "a", log=rows.extend)
    assert rows == expected.history
    assert again.history == expected.history
    assert equal(again.weights, expected.weights)
    assert again.seconds == expected.seconds


def test_checkpoints_between_are_written_only_after_the_interval(lab):
    with pytest.raises(Stopped):
        lab.fit(lab.training(checkpoint_every_s=3600.0), "a", log=stop_after(4))
    assert Checkpoints(lab.folder / "a").latest() is None


def test_training_stops_when_patience_ends(lab):
    result = lab.fit(lab.training(steps=600, patience=3), "a")
    last = int(result.history[-1]["step"])
    assert last < 600
    assert last == result.best_step + 3 * 2
    assert max(row["val_dice_foreground"] for row in result.history) == result.best_score


def test_the_weights_are_those_of_the_best_validation(lab):
    training = lab.training(steps=60, patience=4)
    result = lab.fit(training, "a")
    training.plain.load_state_dict(result.weights)
    confusion = Confusion(Labels(lab.data.classes, lab.data.foreground, 255))
    pairs = []
    with torch.no_grad():
        for image, mask in lab.val:
            x = training.preprocessing.apply(
                torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
            )
            pairs.append((training.plain.eval()(x).argmax(1)[0], torch.tensor(mask)))
    assert confusion.over(pairs)["dice_foreground"] == pytest.approx(result.best_score, abs=1e-3)


def test_the_history_has_a_row_per_validation_and_one_at_the_end(lab):
    rows = []
    result = lab.fit(lab.training(steps=7, val_every_steps=3), "a", log=rows.extend)
    assert [row["step"] for row in rows] == [3, 6, 7]
    assert result.history == rows
    assert set(rows[0]) == {"step", "loss", "learning_rate", "val_dice_foreground"}
    assert rows[0]["learning_rate"] == pytest.approx(1e-2)


def test_a_score_that_is_never_a_number_gives_no_empty_model(lab, make_shard, draw_shapes):
    """Validation masks that are ignored throughout: no weights can be called the best."""
    empty = make_shard([(image, mask * 0 + 255) for image, mask in draw_shapes(2)], "empty")
    with pytest.raises(MaskmillError, match="dice_foreground"):
        lab.fit(lab.training(), "a", val=empty)


def test_measuring_the_time_of_a_step_leaves_no_trace(lab):
    expected = lab.fit(lab.training(), "a")
    training = lab.training()
    before = {name: value.clone() for name, value in training.plain.state_dict().items()}
    images, masks = next(
        iter(training_batches(lab.shard, lab.recipe, batch=3, seed=5, first=0, last=1, workers=0))
    )
    assert 0 < timing.seconds_per_step(training, images, masks) < 10
    assert equal(training.plain.state_dict(), before)
    result = lab.fit(training, "b")
    assert equal(result.weights, expected.weights)
    assert result.history == expected.history


def test_a_compiled_network_trains_under_the_same_names(lab, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    plain, compiled = lab.training(steps=2), lab.training(steps=2, compile=True)
    expected, result = lab.fit(plain, "a"), lab.fit(compiled, "b")
    assert compiled.model is not compiled.plain
    assert result.weights.keys() == expected.weights.keys()
    assert all(torch.allclose(result.weights[k], v, atol=1e-5) for k, v in expected.weights.items())


def test_each_line_says_speed_and_time_left(lab, capsys):
    lab.fit(lab.training(steps=4, val_every_steps=2), "a")
    lines = capsys.readouterr().out.splitlines()
    assert [bool(re.search(r"  [\d]+ images/s, \d+ s left$", line)) for line in lines] == [
        True,
        True,
    ]
    assert lines[-1].endswith(" 0 s left")
