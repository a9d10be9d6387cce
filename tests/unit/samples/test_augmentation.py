import json

import numpy as np
import pytest

from maskmill.samples import augmentation
from maskmill.samples.augmentation import Recipe
from maskmill.samples.presets import PRESETS
from maskmill.settings.config import Augmentation
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY

FLIPS = ({"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}})
AFFINE = ({"Affine": {"scale": [0.6, 0.8], "rotate": [-10, 10], "p": 1.0}},)


def recipe(transforms=FLIPS, crop_px=None, preset="none"):
    return augmentation.build_recipe(
        Augmentation(crop_px=crop_px, preset=preset, transforms=transforms, preview=1), 255
    )


def saved(made, path):
    made.save(path)
    return json.loads(path.read_text())


@pytest.fixture
def pair(draw_shapes):
    return draw_shapes(1, size=32)[0]


def aerial():
    return Augmentation(crop_px=None, preset="aerial", transforms=(), preview=1)


def chi_square(counts):
    expected = counts.sum() / len(counts)
    return ((counts - expected) ** 2 / expected).sum()


def same(a, b):
    return np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


def test_the_same_key_gives_the_same_pair_whatever_was_drawn_before(pair):
    one, other = recipe(FLIPS + AFFINE), recipe(FLIPS + AFFINE)
    for epoch in range(5):
        other(*pair, (9, epoch, 0))
    assert same(one(*pair, (0, 1, 2)), other(*pair, (0, 1, 2)))


@pytest.mark.parametrize("key", [(1, 1, 2), (0, 2, 2), (0, 1, 3)], ids=["seed", "epoch", "sample"])
def test_another_seed_epoch_or_sample_gives_another_pair(pair, key):
    made = recipe(AFFINE)
    assert not same(made(*pair, (0, 1, 2)), made(*pair, key))


def test_two_flips_fire_independently():
    image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    made, fired = recipe(), np.zeros(4)
    for sample in range(800):
        # 1: left-right, 2: up-down, 3: both
        fired[made(image, image[..., 0], (0, 0, sample))[0][0, 0, 0]] += 1
    assert chi_square(fired) < 16.27, fired  # 3 degrees of freedom, 0.1 %


def test_aerial_draws_all_eight_symmetries_of_the_square_alike():
    image = np.zeros((8, 8, 1), np.uint8)
    image[0, 1], image[7, 7] = 200, 100
    made, drawn = (
        augmentation.single_transforms(aerial(), 255, always=True)[
            "params.yaml: augmentation.preset.aerial.D4"
        ],
        {},
    )
    for sample in range(800):
        varied = made(image, image[..., 0], (0, 0, sample))[1].tobytes()
        drawn[varied] = drawn.get(varied, 0) + 1
    assert len(drawn) == 8
    assert chi_square(np.array(list(drawn.values()))) < 24.32, drawn  # 7 degrees of freedom, 0.1 %


@pytest.mark.parametrize("preset", ["medical", "street"])
def test_what_has_an_up_is_never_turned_upside_down(preset):
    top = np.zeros((64, 64), np.uint8)
    top[:32] = 1
    made = recipe((), preset=preset)
    for sample in range(50):
        _, mask = made(np.zeros((64, 64, 1), np.uint8), top, (0, 0, sample))
        assert (mask[:16] == 1).sum() > (mask[-16:] == 1).sum()


def test_the_light_preset_is_the_recipe_that_scores_were_published_with(tmp_path):
    former = (
        {"HorizontalFlip": {"p": 0.5}},
        {"Affine": {"scale": [0.9, 1.1], "rotate": [-10, 10], "p": 0.5}},
    )
    assert saved(recipe((), preset="light"), tmp_path / "a") == saved(
        recipe(former), tmp_path / "b"
    )


def test_the_crop_comes_first_then_the_preset_then_the_users_transforms(tmp_path):
    chain = saved(recipe(FLIPS[1:], crop_px=(16, 16), preset="light"), tmp_path / "a")["transform"][
        "transforms"
    ]
    names = [step["__class_fullname__"] for step in chain]
    assert names == ["PadIfNeeded", "RandomCrop", "HorizontalFlip", "Affine", "VerticalFlip"]


def test_every_step_of_a_preset_says_why():
    assert all(step.reason for steps in PRESETS.values() for step in steps)
    assert set(PRESETS) >= {"none", "light", "medical", "aerial", "street"}


def test_the_documentation_lists_every_step_of_every_preset():
    text = (REPOSITORY / "docs" / "settings.md").read_text()
    for preset, steps in PRESETS.items():
        for step in steps:
            options = ", ".join(
                f"{key} {value}" for key, value in step.options.items() if key != "p"
            )
            chance = f"{step.options['p']:g}"
            assert (
                f"| `{preset}` | {step.name} | {options or '–'} | {chance} | {step.reason} |"
                in text
            )


def test_blurring_by_motion_leaves_the_image_where_its_mask_is():
    image = np.zeros((64, 64, 1), np.uint8)
    image[:, 32] = 255
    made = recipe(({"MotionBlur": {"blur_limit": [9, 9], "angle_range": [0, 0], "p": 1.0}},))
    middles = [
        np.average(np.arange(64), weights=made(image, image[..., 0], (0, 0, i))[0][32, :, 0])
        for i in range(9)
    ]
    assert np.ptp(middles) == 0
    with pytest.raises(
        MaskmillError,
        match=(
            r"MotionBlur\.allow_shifted: True moves the image away from its mask; allowed is"
            r" False; del"
        ),
    ):
        recipe(({"MotionBlur": {"allow_shifted": True}},))


def test_image_and_mask_move_together(pair):
    image, mask = recipe(FLIPS)(np.ascontiguousarray(pair[1][..., None]), pair[1], (0, 0, 1))
    assert np.array_equal(image[..., 0], mask)


def test_a_saved_recipe_draws_the_same(pair, tmp_path):
    made = recipe(({"RandomBrightnessContrast": {"p": 0.5}}, *FLIPS, *AFFINE), crop_px=(24, 40))
    made.save(tmp_path / "recipe.json")
    loaded = Recipe.load(tmp_path / "recipe.json")
    assert all(same(made(*pair, (0, epoch, 7)), loaded(*pair, (0, epoch, 7))) for epoch in range(8))


def test_what_comes_in_over_the_border_is_ignored(pair):
    _, mask = recipe(AFFINE)(pair[0], np.ones_like(pair[1]), (0, 0, 0))
    assert set(np.unique(mask).tolist()) == {1, 255}


def test_a_mask_never_gets_an_id_between_two_others(pair):
    made = recipe(AFFINE)
    ends = pair[1] // 2 * 2  # ids 0 and 2
    assert all(
        augmentation.invented_ids(ends, made(pair[0], ends, (0, e, 0))[1], 255) == []
        for e in range(20)
    )


def test_invented_ids_are_those_that_nothing_explains():
    before, after = np.array([0, 2, 255]), np.array([0, 1, 2, 3, 255])
    assert augmentation.invented_ids(before, after, 255) == [1, 3]
    assert augmentation.invented_ids(before, before, 255) == []


@pytest.mark.parametrize("crop", [(16, 20), (40, 48)], ids=["smaller", "larger"])
def test_a_crop_has_its_size_and_padding_is_ignored(pair, crop):
    image, mask = recipe((), crop_px=crop)(*pair, (0, 0, 0))
    assert image.shape == (*crop, 1)
    assert mask.shape == crop
    assert (255 in mask) == (crop[0] > 32)


def test_shapes_and_types_stay(pair):
    for image in (pair[0], np.repeat(pair[0], 3, axis=2)):
        varied, mask = recipe(FLIPS + AFFINE)(image, pair[1], (0, 0, 0))
        assert (varied.shape, varied.dtype, mask.dtype) == (image.shape, np.uint8, np.uint8)


def test_an_unknown_transform_is_named_with_the_nearest():
    with pytest.raises(MaskmillError) as raised:
        recipe(({"HorizontalFlipp": {}},))
    text = str(raised.value)
    assert text.startswith(
        "params.yaml: augmentation.transforms: 'HorizontalFlipp' is no transform of albumentations"
    )
    assert text.endswith("did you mean 'HorizontalFlip'?")


def test_something_of_albumentations_that_is_no_transform_is_refused():
    for name in ("Compose", "Lambda", "DualTransform", "ToTensorV2"):
        with pytest.raises(MaskmillError, match=f"'{name}' is no transform"):
            recipe(({name: {}},))


def test_a_misspelt_option_is_an_error_where_albumentations_only_warns():
    with pytest.raises(
        MaskmillError, match=r"transforms\.HorizontalFlip\.prob is not an option; .*allowed are p"
    ):
        recipe(({"HorizontalFlip": {"prob": 0.5}},))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("HorizontalFlip", {"p": 1.5}, "p=1.5"),
        ("HorizontalFlip", {"p": "often"}, "p='often'"),
        ("Rotate", {"limit": [1, 2, 3]}, "limit"),
        ("Resize", {}, "height: Field required; width: Field required"),
    ],
)
def test_a_value_that_albumentations_refuses_is_named(name, options, said):
    with pytest.raises(MaskmillError) as raised:
        recipe(({name: options},))
    assert str(raised.value).startswith(f"params.yaml: augmentation.transforms.{name}: ")
    assert said in str(raised.value)
    assert "pydantic" not in str(raised.value)


@pytest.mark.parametrize("name", ["Normalize", "ToFloat", "ToRGB"])
def test_what_normalises_or_changes_channels_is_refused(pair, name):
    with pytest.raises(
        MaskmillError, match="uint8 with 1 channels is needed: take out what normalises or changes"
    ):
        recipe(({name: {}},))(*pair, (0, 0, 0))
