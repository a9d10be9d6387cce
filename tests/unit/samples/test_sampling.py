import itertools

import numpy as np
import pytest
import torch

from maskmill.samples import augmentation, sampling
from maskmill.samples.dataset import BatchOrder, training_batches
from maskmill.samples.sampling import Draw
from maskmill.settings import config
from maskmill.settings.config import Augmentation, Sampling
from maskmill.system.errors import MaskmillError

BOTH = Sampling(rare_below=0.5, foreground_crops=0.6, crop_classes="rare")
CROP = (8, 8)


def recipe(crop_px=CROP, transforms=({"HorizontalFlip": {"p": 0.5}},)):
    return augmentation.build_recipe(
        Augmentation(crop_px=crop_px, preset="none", transforms=transforms, preview=1), 255
    )


def pixels_of(shard, classes=4):
    return np.stack([np.bincount(mask[mask < classes], minlength=classes) for _, mask in shard])


@pytest.fixture
def shard(make_shard):
    """Six images, 24 px a side; a square of 3 px in two, a disc of 1 px in one.

    Grey says where a pixel lies.
    """
    pairs = []
    for i in range(6):
        image = np.arange(24 * 24).reshape(24, 24, 1).astype(np.uint8)
        mask = np.zeros((24, 24), np.uint8)
        mask[:, :4] = 255
        if i < 2:
            mask[10 * i : 10 * i + 3, 18:21] = 2
        if i == 1:
            mask[20, 10] = 1
        pairs.append((image, mask))
    return make_shard(pairs)


def batches(shard, settings, *, first=0, last=8, workers=0, seed=0, made=None):
    made = made or recipe()
    sampler = sampling.create_sampler(settings, pixels_of(shard), (1, 2, 3), made.crop_px)
    return list(training_batches(
        shard, made, batch=3, seed=seed, first=first, last=last, workers=workers, sampler=sampler,
    ))  # fmt: skip


def equal(a, b):
    return len(a) == len(b) and all(
        torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
    )


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [2, 8])
def test_sampled_batches_are_the_same_for_any_number_of_workers(shard, workers):
    assert equal(batches(shard, BOTH), batches(shard, BOTH, workers=workers))


@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_start_in_the_middle_goes_on_with_the_same_sampled_batches(shard, first):
    assert equal(batches(shard, BOTH)[first:], batches(shard, BOTH, first=first))


def test_another_epoch_and_another_seed_give_other_batches(shard):
    made = batches(shard, BOTH, last=4)
    assert not equal(made[:2], made[2:])
    assert not equal(made, batches(shard, BOTH, last=4, seed=1))


def test_switched_off_it_changes_no_batch(shard):
    plain = list(training_batches(shard, recipe(), batch=3, seed=0, first=0, last=8, workers=0))
    assert equal(plain, batches(shard, sampling.PLAIN))


def test_the_shipped_settings_switch_it_off(params):
    assert params.train.sampling == sampling.PLAIN


def test_repeat_factors_by_hand():
    # class 0 in 4 of 4 images, class 1 in 1 of 4, class 2 in 2 of 4; below 1.0: sqrt(4) and sqrt(2)
    pixels = np.array([[9, 1, 0], [9, 0, 5], [9, 0, 5], [9, 0, 0]])
    assert sampling.repeat_factors(pixels, 1.0) == pytest.approx([2, 2**0.5, 2**0.5, 1])
    assert sampling.repeat_factors(pixels, 0.4) == pytest.approx([(0.4 / 0.25) ** 0.5, 1, 1, 1])


def test_a_class_that_no_image_holds_and_an_image_that_holds_no_class_weigh_nothing():
    assert sampling.repeat_factors(np.array([[1, 0, 0], [0, 0, 0]]), 0.4).tolist() == [1, 1]


def test_an_epoch_draws_each_image_as_often_as_its_weight_says_but_for_rounding():
    weights = np.array([4.0, 1, 1, 1, 1])
    expected = 5 * weights / weights.sum()
    counts = []
    for epoch in range(400):
        drawn, turns = sampling.one_epoch(5, weights, np.random.default_rng((0, epoch)))
        counts.append(np.bincount(drawn, minlength=5))
        for sample in range(5):
            assert sorted(turns[drawn == sample]) == list(range(counts[-1][sample]))
    counts = np.array(counts)
    assert ((counts == np.floor(expected)) | (counts == np.ceil(expected))).all()
    assert counts.mean(axis=0) == pytest.approx(expected, abs=0.1)


def test_equal_weights_draw_every_image_once():
    drawn, turns = sampling.one_epoch(1000, np.full(1000, 1.3), np.random.default_rng(0))
    assert sorted(drawn) == list(range(1000))
    assert not turns.any()


def test_an_image_that_comes_twice_in_an_epoch_is_varied_twice(make_shard, draw_shapes):
    shard = make_shard(draw_shapes(2, size=24))
    weights = np.array([3.0, 1.0])
    draws = list(itertools.chain(*BatchOrder(2, 2, 0, 0, 40, weights)))
    assert any(draw.turn for draw in draws)
    assert len(set(draws)) == len(draws)
    made = recipe(transforms=({"Affine": {"rotate": [-90, 90], "p": 1.0}},))
    image, mask = shard[0]
    varied = [made(image, mask, Draw(0, 0, turn).key(0))[0].tobytes() for turn in range(3)]
    assert len(set(varied)) == 3


def crops(shard, settings, sample, count=200):
    made = sampling.create_sampler(settings, pixels_of(shard), (1, 2, 3), CROP).crops
    return [made(*shard[sample], Draw(epoch, sample), 0) for epoch in range(count)]


def test_every_crop_holds_foreground_where_it_must(shard):
    settings = Sampling(rare_below=0.0, foreground_crops=1.0, crop_classes="equal")
    for sample in (0, 1):
        for image, mask in crops(shard, settings, sample):
            assert mask.shape == CROP == image.shape[:2]
            assert np.isin(mask, (1, 2)).any()


def test_a_crop_shows_the_image_and_the_mask_of_one_place(shard):
    whole_image, whole_mask = shard[1]
    settings = Sampling(rare_below=0.0, foreground_crops=1.0, crop_classes="equal")
    places = [(y, x) for y in range(17) for x in range(17)]
    for image, mask in crops(shard, settings, 1, 20):
        assert any(
            np.array_equal(whole_image[y : y + 8, x : x + 8], image)
            and np.array_equal(whole_mask[y : y + 8, x : x + 8], mask)
            for y, x in places
        )


def test_the_pixel_is_in_the_middle_of_its_crop_or_the_border_keeps_it_away(make_shard):
    mask = np.zeros((24, 24), np.uint8)
    mask[12, 13] = 3
    settings = Sampling(rare_below=0.0, foreground_crops=1.0, crop_classes="equal")
    (_, cut), *_ = crops(make_shard([(np.zeros((24, 24, 1), np.uint8), mask)]), settings, 0, 1)
    assert np.argwhere(cut == 3).tolist() == [[4, 4]]
    mask[:], mask[23, 0] = 0, 3
    (_, cut), *_ = crops(make_shard([(np.zeros((24, 24, 1), np.uint8), mask)]), settings, 0, 1)
    assert np.argwhere(cut == 3).tolist() == [[7, 0]]


def test_the_share_is_that_of_the_setting_and_the_rest_is_cropped_anywhere(shard):
    settings = Sampling(rare_below=0.0, foreground_crops=0.3, crop_classes="equal")
    cut = [mask.shape == CROP for _, mask in crops(shard, settings, 0, 1000)]
    assert np.mean(cut) == pytest.approx(0.3, abs=0.05)


def test_classes_of_an_image_are_alike_or_the_likelier_the_rarer(shard):
    def share_of_disc(how):
        settings = Sampling(rare_below=0.0, foreground_crops=1.0, crop_classes=how)
        return np.mean([(mask == 1).any() for _, mask in crops(shard, settings, 1, 600)])

    # image 1 has 9 pixels of the square and 1 of the disc; the training images have 18 and 1
    assert share_of_disc("equal") == pytest.approx(1 / 2, abs=0.06)
    assert share_of_disc("rare") == pytest.approx(18 / 19, abs=0.03)


def test_ignored_pixels_and_background_are_never_what_a_crop_is_cut_around(make_shard):
    mask = np.full((24, 24), 255, np.uint8)
    mask[:, 20:] = 0
    shard = make_shard([(np.zeros((24, 24, 1), np.uint8), mask)])
    settings = Sampling(rare_below=0.0, foreground_crops=1.0, crop_classes="equal")
    # left to the recipe
    assert all(mask.shape == (24, 24) for _, mask in crops(shard, settings, 0, 50))


def test_every_pixel_of_a_class_is_as_likely_as_another():
    places = np.zeros((5, 7), bool)
    wanted = [(0, 6), (2, 0), (2, 3), (2, 4), (4, 6)]
    for place in wanted:
        places[place] = True
    rng = np.random.default_rng(0)
    found = [sampling._pixel(places, rng) for _ in range(5000)]
    assert set(found) == set(wanted)
    assert [found.count(place) / 5000 for place in wanted] == pytest.approx([0.2] * 5, abs=0.02)


def test_images_smaller_than_the_crop_are_padded_by_the_recipe(make_shard, draw_shapes):
    shard = make_shard([*draw_shapes(1, size=24), *draw_shapes(1, size=48)])
    settings = Sampling(rare_below=0.0, foreground_crops=1.0, crop_classes="equal")
    for images, masks in batches(shard, settings, made=recipe(crop_px=(32, 20)), last=4):
        assert images.shape[2:] == masks.shape[1:] == (32, 20)


def test_a_recipe_says_its_crop_also_after_it_was_saved(tmp_path):
    recipe(crop_px=(16, 12)).save(tmp_path / "recipe.json")
    assert augmentation.Recipe.load(tmp_path / "recipe.json").crop_px == (16, 12)
    assert recipe(crop_px=None).crop_px is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"foreground_crops": 0.5},
            (
                "params.yaml: train.sampling.foreground_crops: 0.5 has no effect on whole images;"
                " set augmentation.crop_px, [128, 128] for example, or foreground_crops: 0.0"
            ),
        ),
        (
            {"crop_classes": "rare"},
            (
                "params.yaml: train.sampling: crop_classes: rare has no effect while"
                " foreground_crops is 0; set it above 0, 0.33 for example, or crop_classes: equal"
            ),
        ),
        (
            {"rare_below": 30},
            (
                "params.yaml: train.sampling.rare_below: got 30: input should be less than or equal"
                " to 1"
            ),
        ),
        (
            {"rare_blow": 0.1},
            "train.sampling.rare_blow is not a setting; did you mean 'rare_below'?",
        ),
    ],
)
def test_a_setting_that_is_wrong_or_has_no_effect_is_named(params, changes, text):
    values = params.model_dump()
    values["augmentation"]["crop_px"] = None
    values["train"]["sampling"] |= changes
    with pytest.raises(MaskmillError) as raised:
        config.parse(values)
    assert text in str(raised.value)


def test_what_is_drawn_more_often_is_said():
    pixels = np.array([[9, 1], [9, 0], [9, 0], [9, 0]])
    assert sampling.describe_sampling(BOTH, pixels, ("sky", "bird")) == [
        "drawn more often: images with bird (in 25.0%)",
        "60% of the crops are cut around foreground",
    ]  # fmt: skip
    assert (
        sampling.describe_sampling(
            BOTH.model_copy(update={"rare_below": 0.1}), pixels, ("sky", "bird")
        )[0]
        == "no class is in less than 10.0% of the training images: all are drawn alike"
    )
