import itertools

import numpy as np
import pytest
import torch

from maskmill.samples import augmentation
from maskmill.samples.dataset import BatchOrder, training_batches
from maskmill.settings.config import Augmentation
from maskmill.system.errors import MaskmillError

TRANSFORMS = ({"HorizontalFlip": {"p": 0.5}}, {"Affine": {"rotate": [-20, 20], "p": 0.7}})


def recipe(transforms=TRANSFORMS, crop_px=None):
    return augmentation.build_recipe(
        Augmentation(crop_px=crop_px, preset="none", transforms=transforms, preview=1), 255
    )


def batches(shard, *, first=0, last=6, workers=0, seed=0, made=None):
    return list(
        training_batches(
            shard, made or recipe(), batch=3, seed=seed, first=first, last=last, workers=workers
        )
    )


def equal(a, b):
    return len(a) == len(b) and all(
        torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
    )


@pytest.fixture
def shard(make_shard, draw_shapes):
    return make_shard(draw_shapes(5, size=16))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_batches_are_the_same_for_any_number_of_workers(shard, workers):
    assert equal(batches(shard), batches(shard, workers=workers))


@pytest.mark.parametrize("first", [1, 4])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_start_in_the_middle_goes_on_with_the_same_batches(shard, first, workers):
    assert equal(batches(shard)[first:], batches(shard, first=first, workers=workers))


def test_another_seed_gives_other_batches(shard):
    assert not equal(batches(shard), batches(shard, seed=1))


def test_shapes_and_types(shard):
    images, masks = batches(shard)[0]
    assert (images.shape, images.dtype) == ((3, 1, 16, 16), torch.uint8)
    assert (masks.shape, masks.dtype) == ((3, 16, 16), torch.uint8)


def test_without_transforms_a_batch_holds_the_stored_pairs(shard):
    images, masks = batches(shard, made=recipe(()))[0]
    stored = {image.tobytes(): mask for image, mask in shard}
    for image, mask in zip(images, masks, strict=True):
        assert np.array_equal(stored[image.numpy().tobytes()], mask.numpy())


@pytest.mark.parametrize("batch", [1, 3, 5, 7, 12])
def test_every_sample_is_seen_once_per_epoch(batch):
    draws = list(itertools.chain(*BatchOrder(5, batch, 0, 0, 5 * 7)))
    for epoch in range(7):
        assert sorted(draw.sample for draw in draws if draw.epoch == epoch) == [0, 1, 2, 3, 4]


def test_epochs_differ_in_order_and_in_what_is_drawn(shard):
    draws = list(itertools.chain(*BatchOrder(20, 4, 0, 0, 10)))
    assert [d.sample for d in draws if d.epoch == 0] != [d.sample for d in draws if d.epoch == 1]
    both = training_batches(shard, recipe(), batch=5, seed=0, first=0, last=2, workers=0)
    (first, _), (second, _) = both
    assert {i.numpy().tobytes() for i in first} != {i.numpy().tobytes() for i in second}


def test_the_order_can_be_gone_through_twice():
    order = BatchOrder(5, 3, 0, 2, 9)
    assert list(order) == list(order)
    assert len(list(order)) == len(order) == 7


def test_an_empty_split_names_the_settings_that_fill_it(make_shard):
    with pytest.raises(
        MaskmillError, match=r"`train` is empty.*`splits` in params\.yaml or data/splits\.csv"
    ):
        batches(make_shard([]))


def test_images_of_different_sizes_name_one_of_each_and_the_setting(make_shard, draw_shapes):
    shard = make_shard([*draw_shapes(2, size=16), *draw_shapes(1, size=24)])
    with pytest.raises(MaskmillError) as raised:
        batches(shard)
    text = str(raised.value)
    assert (
        "training images differ in size (p0 16 x 16, p2 24 x 24 px) and cannot form a batch" in text
    )
    assert "set augmentation.crop_px in params.yaml, for example [128, 128]" in text


def test_a_crop_makes_images_of_different_sizes_a_batch(make_shard, draw_shapes):
    shard = make_shard([*draw_shapes(2, size=16), *draw_shapes(1, size=24)])
    images, _ = batches(shard, made=recipe(crop_px=(16, 20)))[0]
    assert images.shape == (3, 1, 16, 20)


def test_a_transform_that_changes_the_size_at_random_is_an_error_that_says_so(
    make_shard, draw_shapes
):
    shard = make_shard([(image[:12], mask[:12]) for image, mask in draw_shapes(5, size=16)])
    with pytest.raises(MaskmillError, match="size"):
        batches(shard, made=recipe(({"Transpose": {"p": 0.5}},)))
