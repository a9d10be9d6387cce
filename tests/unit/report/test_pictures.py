import base64

import numpy as np
import pytest

from maskmill.images import decode
from maskmill.report import pictures
from maskmill.samples import augmentation
from maskmill.settings.config import Augmentation

PALETTE = [(0, 0, 0), (0, 114, 178), (230, 159, 0)]


def test_each_id_has_its_colour_and_ids_outside_the_classes_are_grey():
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    assert pictures.colour_mask(mask, PALETTE).tolist() == [
        [[0, 0, 0], [0, 114, 178]],
        [[230, 159, 0], [128, 128, 128]],
    ]


def test_an_overlay_mixes_45_parts_of_colour_and_leaves_the_background_clear():
    image, mask = np.full((1, 2, 1), 100, np.uint8), np.array([[0, 2]], np.uint8)
    assert pictures.overlay(image, mask, PALETTE, 0).tolist() == [[[100, 100, 100], [158, 127, 55]]]
    assert pictures.overlay(image, mask, PALETTE, None)[0, 0].tolist() == [55, 55, 55]


def test_errors_are_orange_right_pixels_light_and_ignored_ones_grey():
    picture = pictures.error_map(np.array([[1, 1, 1]]), np.array([[1, 0, 255]]), 255)
    assert picture.tolist() == [[[235, 235, 235], [213, 94, 0], [128, 128, 128]]]


def test_a_grey_image_becomes_three_equal_channels_and_a_colour_image_stays():
    assert pictures.to_rgb(np.array([[[7]]], np.uint8)).tolist() == [[[7, 7, 7]]]
    assert pictures.to_rgb(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[1, 2, 3]]]


def test_a_picture_in_a_page_is_the_picture():
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    head, content = pictures.data_uri(pixels).split(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(decode.image(base64.b64decode(content), 3), pixels)


def test_a_saved_picture_comes_back(tmp_path):
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    decode.write_png(tmp_path / "new" / "p.png", pixels)
    assert np.array_equal(decode.image(tmp_path / "new" / "p.png", 3), pixels)


@pytest.mark.parametrize(("pairs", "shown"), [(2, 2), (9, 3)])
def test_the_sheet_has_two_rows_per_pair_and_one_per_transform_the_original_first(
    make_shard, draw_shapes, pairs, shown
):
    shard = make_shard(draw_shapes(3))
    settings = Augmentation(
        crop_px=None, preset="none", transforms=({"HorizontalFlip": {"p": 1.0}},), preview=1
    )
    flip, parts = (
        augmentation.build_recipe(settings, 255),
        augmentation.single_transforms(settings, 255, always=True),
    )
    sheet = pictures.augmentation_sheet(shard, flip, parts, [*PALETTE, (204, 121, 167)], pairs)
    assert sheet.shape == (2 * 26 + (2 * shown + 1) * 196, 210 + 5 * 196, 3)
    original, drawn = sheet[26:218, 210:402], sheet[26:218, 406:598]
    assert np.array_equal(
        original, np.repeat(np.repeat(pictures.to_rgb(shard[0][0]), 6, axis=0), 6, axis=1)
    )
    assert np.array_equal(drawn, original[:, ::-1])
    assert (sheet[26:218, :210] < 128).any()  # its name stands beside it


def test_an_image_of_many_bands_shows_its_first_three_and_one_of_two_bands_its_first():
    pixels = np.arange(5, dtype=np.uint8).reshape(1, 1, 5)
    assert pictures.to_rgb(pixels).tolist() == [[[0, 1, 2]]]
    assert pictures.to_rgb(pixels[..., :2]).tolist() == [[[0, 0, 0]]]


def test_a_picture_is_made_smaller_but_never_larger():
    assert pictures.shrink_to_fit(np.zeros((100, 400, 3), np.uint8), 200).shape == (50, 200, 3)
    assert pictures.shrink_to_fit(np.zeros((1, 4000, 3), np.uint8), 200).shape == (1, 200, 3)
    assert pictures.shrink_to_fit(np.zeros((10, 20, 3), np.uint8), 200).shape == (10, 20, 3)


def test_a_photograph_in_a_page_is_small_and_nearly_the_picture():
    rng = np.random.default_rng(0)
    pixels = np.repeat(
        np.repeat(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), 8, axis=0), 8, axis=1
    )
    head, content = pictures.photo_uri(pixels).split(",")
    assert head == "data:image/webp;base64"
    shown = decode.image(base64.b64decode(content), 3).astype(int)
    assert np.abs(shown.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 3
    assert np.abs(shown - pixels).mean() < 20
