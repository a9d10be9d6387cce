"""What must never reach the weights, and memory that does not suffice."""

import math

import pytest
import torch

from maskmill import losses
from maskmill.system.errors import MaskmillError
from maskmill.training import guards
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loading import Loading
from tests.unit.training.lab import equal

REAL = losses.create({"cross_entropy": 1.0}, 255)


def broken_at(*calls, gradient_alone=False, loss=REAL):
    """The loss, not finite in these calls, counted from 0; or finite, but not its gradient."""
    done = iter(range(1000))

    def total(logits, target):
        value = loss(logits, target)
        if next(done) not in calls:
            return value
        if gradient_alone:
            return value + (0 * logits.abs().sum()).sqrt()  # 0, whose gradient is 0 / 0
        return value * math.nan

    return total


def finite(training):
    state = [*training.plain.state_dict().values()]
    state += [
        moment for moments in training.optimizer.state.values() for moment in moments.values()
    ]
    return all(value.isfinite().all() for value in state if value.is_floating_point())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("gradient_alone", [False, True])
def test_a_step_that_is_not_finite_leaves_nothing_and_is_said_with_its_images(
    lab, optimizer, gradient_alone, capsys
):
    loss = broken_at(0, 4, gradient_alone=gradient_alone)
    training = lab.training(loss=loss, optimizer=optimizer, clip_norm=1.0, steps=6, max_skipped=2)
    result = lab.fit(training, "a")
    ids = Loading(lab.shard, lab.recipe, training.train).ids(4)
    assert finite(training)
    assert all(math.isfinite(row["loss"]) for row in result.history)
    said = [line for line in capsys.readouterr().out.splitlines() if "not finite" in line]
    assert [line.split(";")[0] for line in said] == [
        "unet: the loss or gradient of step 1 is not finite: skipped (1 of at most 2)",
        "unet: the loss or gradient of step 5 is not finite: skipped (2 of at most 2)",
    ]
    assert said[1].endswith(f"its images are {', '.join(ids)}")


def test_a_skipped_step_changes_neither_weights_nor_statistics_nor_moments(lab):
    training = lab.training(loss=broken_at(1), ema=0.9)
    for step, (images, masks) in zip(
        range(3), Loading(lab.shard, lab.recipe, training.train)(0), strict=False
    ):
        before = {name: value.clone() for name, value in training.plain.state_dict().items()}
        moments = [m.clone() for state in training.optimizer.state.values() for m in state.values()]
        training._optimize(images, masks)
        training.step += 1
        same = equal(training.plain.state_dict(), before)
        assert same == (step == 1)
        if step == 1:
            after = [m for state in training.optimizer.state.values() for m in state.values()]
            assert all(torch.equal(a, b) for a, b in zip(moments, after, strict=True))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_flags_that_stay_on_the_device_skip_the_same_steps_and_are_read_later(lab, optimizer):
    """The path of a GPU, with the fused kernels of the CPU."""
    results = []
    for device in ("cpu", "cuda"):
        training = lab.training(loss=broken_at(0, 5, 6), optimizer=optimizer, val_every_steps=12)
        training.guard._device = device
        results.append((training, lab.fit(training, device)))
    (here, expected), (there, found) = results
    assert there.guard.skipped == here.guard.skipped == 3
    assert found.history == expected.history
    assert equal(there.plain.state_dict(), here.plain.state_dict())
    for parameter, moments in zip(here.plain.parameters(), there.plain.parameters(), strict=True):
        for name, value in here.optimizer.state[parameter].items():
            assert torch.equal(value, there.optimizer.state[moments][name])


def test_the_flags_are_read_rarely_on_a_gpu(lab):
    training, looks = lab.training(steps=12, val_every_steps=6, checkpoint_every_s=3600.0), []
    training.guard._device = "cuda"
    look = training.guard.look
    training.guard.look = lambda *a: (looks.append(training.step), look(*a))
    lab.fit(training, "a")
    assert looks == [6, 12]


def test_an_image_that_is_no_number_is_found_though_batch_norm_has_seen_it(lab):
    training = lab.training(steps=4)
    apply, calls = training.preprocessing.apply, iter(range(100))
    object.__setattr__(
        training.preprocessing, "apply", lambda x: apply(x) * (math.nan if next(calls) == 1 else 1)
    )
    lab.fit(training, "a")
    assert training.guard.skipped == 1
    assert finite(training)


def test_more_of_them_end_the_training_with_the_images_and_what_to_change(lab):
    training = lab.training(loss=broken_at(2, 3), max_skipped=1)
    with pytest.raises(MaskmillError) as raised:
        lab.fit(training, "a")
    ids = Loading(lab.shard, lab.recipe, training.train).ids(3)
    assert (
        str(raised.value)
        == "unet: the loss or gradient of step 4 is not finite, and 1 steps may be skipped"
        f" (train.max_skipped); its images are {', '.join(ids)}; look at them, lower"
        " train.learning_rate (now 0.01) in params.yaml, set train.clip_norm: 1.0, or take"
        " train.precision: fp32"
    )
    kept = Checkpoints(lab.folder / "a").latest()
    assert kept.step == 3
    assert kept.facts["skipped"] == 1
    assert all(
        v.isfinite().all() for name, v in kept.tensors.items() if not name.startswith("losses/")
    )


def test_a_training_that_is_never_finite_writes_no_checkpoint_of_it(lab):
    with pytest.raises(MaskmillError, match="step 1 is not finite, and 0 steps may be skipped"):
        lab.fit(
            lab.training(loss=lambda logits, target: logits.sum() * math.nan, max_skipped=0), "a"
        )
    assert Checkpoints(lab.folder / "a").latest() is None


def test_weights_that_are_no_number_are_never_written(lab):
    training = lab.training(steps=2)
    with torch.no_grad():
        next(training.plain.parameters()).fill_(math.inf)
    with pytest.raises(MaskmillError) as raised:
        guards.check_finite("unet", 2, training.plain.state_dict(), training.train)
    assert (
        "is not finite after step 2; no checkpoint is written of it; lower train.learning_rate"
        in str(raised.value)
    )


def test_a_mask_that_is_all_ignored_trains_nothing_and_is_no_error(lab, make_shard, draw_shapes):
    lab.shard = make_shard([(image, mask * 0 + 255) for image, mask in draw_shapes(6)])
    training = lab.training(steps=3, weight_decay=0.0)
    before = {name: value.detach().clone() for name, value in training.plain.named_parameters()}
    result = lab.fit(training, "a")
    assert [row["loss"] for row in result.history] == [0.0, 0.0]
    assert training.guard.skipped == 0
    assert equal(dict(training.plain.named_parameters()), before)


def test_a_long_gradient_is_shortened_and_a_short_one_is_not(lab):
    images, masks = next(Loading(lab.shard, lab.recipe, lab.settings)(0))
    for clip, longest in ((1e-3, 1e-3), (1e3, None)):
        training = lab.training(clip_norm=clip)
        loss = training.forward_backward(images, masks)
        parameters = list(training.plain.parameters())
        before = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        training.guard.step(0, loss)
        after = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        assert after.item() == pytest.approx(longest or before.item(), rel=1e-3)


class Memory:
    """A GPU that holds so many images at once."""

    def __init__(self, training, images):
        self.model, self.images, self.seen = training.model, images, []

    def __call__(self, x):
        self.seen.append(len(x))
        if len(x) > self.images:
            self.model(x)  # batch norm has seen them when the memory ends
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.model(x)


def test_out_of_memory_takes_fewer_images_at_once_and_says_so(lab, capsys):
    training = lab.training(batch_size=4, steps=2, allow_smaller_batches=True)
    training.model = memory = Memory(training, 1)
    lab.fit(training, "a")
    assert memory.seen == [4, 2, 1, 1, 1, 1, 1, 1, 1, 1]
    told = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("out of memory")
    ]
    assert (
        told[0]
        == "out of memory with 4 images at once: from here on 2 at once, 4 per step as before;"
        " batch norm sees the smaller batches"
    )
    assert len(told) == 2

    again = lab.training(batch_size=4, steps=2, accumulate=4 // 4, allow_smaller_batches=True)
    again.pieces = 4
    lab.fit(again, "b")
    # nothing stayed of what was too much
    assert equal(training.plain.state_dict(), again.plain.state_dict())


def test_the_smaller_batches_stay_after_a_restart(lab):
    training = lab.training(batch_size=4, steps=2, allow_smaller_batches=True)
    training.model = Memory(training, 2)
    lab.fit(training, "a")
    again = lab.training(batch_size=4, steps=2, allow_smaller_batches=True)
    lab.fit(again, "a")
    assert again.pieces == 2


@pytest.mark.parametrize(
    ("changes", "devices", "text"),
    [
        ({}, 1,
         "out of memory with 4 images at once; set train.allow_smaller_batches: true, or lower "
         "train.batch_size (now 4) and raise train.accumulate by as much, in params.yaml"),
        ({"allow_smaller_batches": True}, 2,
         "out of memory with 4 images at once; lower train.batch_size (now 4) and "
         "raise train.accumulate by as much, in params.yaml"),
        ({"batch_size": 1, "allow_smaller_batches": True}, 1,
         "out of memory with 1 images at once; set augmentation.crop_px, or "
         "take a smaller network, in params.yaml"),
    ],
)  # fmt: skip
def test_where_that_is_not_allowed_it_is_an_error_that_says_what_is(params, changes, devices, text):
    train = params.train.model_copy(update={"batch_size": 4} | changes)
    with pytest.raises(MaskmillError) as raised:
        guards.smaller_pieces(1, train.batch_size, train, devices)
    assert str(raised.value) == text
