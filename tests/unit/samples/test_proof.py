"""Which recipes are refused, and that presets and all chains of sound transforms are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from maskmill.samples import augmentation, proof
from maskmill.samples.augmentation import Geometry
from maskmill.samples.presets import PRESETS
from maskmill.settings.config import Augmentation
from maskmill.system.errors import MaskmillError

SOUND = (
    {"HorizontalFlip": {}}, {"VerticalFlip": {}}, {"D4": {}}, {"Rotate": {"limit": [-90, 90]}},
    {"Affine": {"scale": [0.5, 2.0], "shear": [-20, 20]}}, {"Perspective": {}},
    {"GridDistortion": {}}, {"OpticalDistortion": {}},
    {"ElasticTransform": {"alpha": 100.0, "sigma": 8.0}}, {"CoarseDropout": {}},
    {"PixelDropout": {}}, {"GridDropout": {}}, {"RandomGridShuffle": {}}, {"GaussianBlur": {}},
    {"GaussNoise": {}}, {"RandomBrightnessContrast": {}}, {"InvertImg": {}}, {"SafeRotate": {}},
)  # fmt: skip


class Pairs(list):
    """Pairs in memory that look like a shard."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.ids = [f"p{i}" for i in range(len(pairs))]
        self.sizes = [mask.shape for _, mask in pairs]


def settings(transforms=(), preset="none", crop_px=None):
    return Augmentation(crop_px=crop_px, preset=preset, transforms=tuple(transforms), preview=1)


def pairs(channels=1, size=(96, 96), count=4):
    rng = np.random.default_rng(0)
    mask = np.zeros(size, np.uint8)
    mask[20:60, 10:50], mask[50:80, 40:90], mask[:6] = 1, 3, 255
    return Pairs(
        [(rng.integers(0, 256, (*size, channels), dtype=np.uint8), mask) for _ in range(count)]
    )


def refused(*transforms, **options):
    with pytest.raises(MaskmillError) as raised:
        proof.prove_recipe(settings(transforms), 255, pairs(**options))
    return str(raised.value)


@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_holds_on_grey_colour_and_many_bands(preset, channels):
    assert proof.prove_recipe(settings(preset=preset), 255, pairs(channels)) == 4


masks = arrays.arrays(np.uint8, (6, 6), elements=st.sampled_from([0, 1, 2, 7, 254, 255])).map(
    lambda small: np.kron(small, np.ones((10, 10), np.uint8))
)


@given(
    mask=masks, channels=st.sampled_from([1, 3, 5]),
    transforms=st.lists(st.sampled_from(SOUND), max_size=3),
    preset=st.sampled_from(list(PRESETS)), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_no_sound_chain_invents_an_id_or_moves_image_and_mask_apart(
    mask, channels, transforms, preset, seed
):
    image = np.random.default_rng(seed).integers(0, 256, (*mask.shape, channels), dtype=np.uint8)
    made = augmentation.build_recipe(settings(transforms, preset), 255, always=bool(seed % 2))
    varied, varied_mask = made(image, mask, (seed, 0, 0))
    assert varied.shape == (*varied_mask.shape, channels)
    assert augmentation.invented_ids(mask, varied_mask, 255) == []
    followed = proof.apply_to_labels(Geometry(made), mask, channels, (seed, 0, 0), 255)
    assert followed.strangers == []
    assert followed.agreeing >= proof.AGREEING


def test_the_geometry_moves_a_mask_as_the_whole_recipe_does():
    """Where no transform of the image alone draws in between, the two are the same draw."""
    (image, mask), *_ = pairs()
    made = augmentation.build_recipe(settings([{"Rotate": {"p": 1.0}}]), 255)
    _, expected = made(image, mask, (0, 0, 0))
    assert np.array_equal(Geometry(made)((image, image), (mask, mask), (0, 0, 0))[2], expected)


def test_a_mask_that_is_interpolated_is_refused_by_the_name_of_its_transform():
    text = refused(
        {"HorizontalFlip": {}},
        {"Affine": {"rotate": [-20, 20], "mask_interpolation": 1}},
        {"D4": {}},
    )
    assert text.startswith("params.yaml: augmentation.transforms.Affine: writes or blends ids (")
    assert "delete mask_interpolation" in text
    assert text.endswith("(tried on p0)")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PixelDropout", {"mask_drop_value": 0}),
        ("CoarseDropout", {"fill_mask": 0}),
        ("Affine", {"scale": [0.5, 0.5], "fill_mask": 1}),
        ("Morphological", {}),
    ],
)
def test_a_label_that_a_transform_writes_is_refused_though_the_mask_holds_its_id(name, options):
    assert refused({name: options}).startswith(
        f"params.yaml: augmentation.transforms.{name}: writes or blends ids ("
    )


def test_a_rare_transform_is_tried_too():
    assert "CoarseDropout: writes" in refused({"CoarseDropout": {"fill_mask": 0, "p": 0.0001}})


class OnlyTheMask(Geometry):
    """Mirrors masks and leaves images, as a broken transform would."""

    def __call__(self, images, masks, key):
        return [*images, *(np.ascontiguousarray(mask[:, ::-1]) for mask in masks)]


def test_what_moves_the_mask_alone_is_refused_also_where_nearly_all_is_background(monkeypatch):
    monkeypatch.setattr(proof, "Geometry", OnlyTheMask)
    (image, mask), *_ = pairs()
    mask = np.zeros_like(mask)
    mask[40, 10] = 1
    with pytest.raises(MaskmillError) as raised:
        proof.prove_recipe(settings([{"HorizontalFlip": {}}]), 255, Pairs([(image, mask)]))
    text = str(raised.value)
    assert text.startswith(
        "params.yaml: augmentation.transforms.HorizontalFlip: moves image and mask apart: "
    )
    assert "at least 99.5% must; take it out (tried on p0)" in text


def test_a_shift_by_six_pixels_is_seen():
    def shifted(images, masks, key):
        return [*(np.roll(image, 6, axis=1) for image in images), *masks]

    labels = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4), np.ones((32, 32), np.uint8))
    assert proof.apply_to_labels(shifted, labels, 1, (0, 0, 0), 255).agreeing < proof.AGREEING


def test_dropping_pixels_of_the_image_alone_is_no_movement():
    assert (
        proof.prove_recipe(
            settings([{"CoarseDropout": {"fill": "random"}}, {"PixelDropout": {}}]), 255, pairs(3)
        )
        == 4
    )


@pytest.mark.parametrize("name", ["D4", "Transpose", "RandomScale"])
def test_what_gives_several_sizes_is_refused_with_the_crop_as_a_way_out(name):
    text = refused({"HorizontalFlip": {}}, {name: {}}, size=(96, 120))
    assert text.startswith(f"params.yaml: augmentation.transforms.{name}: gives images of ")
    assert "set augmentation.crop_px to a square, for example [128, 128]" in text


def test_a_square_crop_makes_the_aerial_preset_fit_any_images():
    assert (
        proof.prove_recipe(settings(preset="aerial", crop_px=(64, 64)), 255, pairs(size=(96, 120)))
        == 4
    )


@pytest.mark.parametrize("name", ["HueSaturationValue", "RandomFog"])
def test_what_needs_colour_is_named_for_images_of_many_bands(name):
    text = refused({"HorizontalFlip": {}}, {name: {"p": 0.01}}, channels=5)
    assert text.startswith(
        f"params.yaml: augmentation.transforms.{name}: does not take images of 5 channels, 96 x 96 "
    )
    assert text.endswith("take it out (tried on p0)")


def test_what_normalises_is_named():
    text = refused({"HorizontalFlip": {}}, {"Normalize": {}})
    assert text.startswith(
        "params.yaml: augmentation.transforms.Normalize: the recipe gives float32"
    )
