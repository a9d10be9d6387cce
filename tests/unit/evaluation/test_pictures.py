import base64

import numpy as np
import pytest

from maskmill.config import Augmentation
from maskmill.data import augmentation, decode
from maskmill.evaluation import pictures

PALETTE = [(0, 0, 0), (0, 114, 178), (230, 159, 0)]


def test_each_id_has_its_colour_and_ids_outside_the_classes_are_grey():
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    assert pictures.colour(mask, PALETTE).tolist() == [[[0, 0, 0], [0, 114, 178]], [[230, 159, 0], [128, 128, 128]]]


def test_an_overlay_mixes_45_parts_of_colour_and_leaves_the_background_clear():
    image, mask = np.full((1, 2, 1), 100, np.uint8), np.array([[0, 2]], np.uint8)
    assert pictures.overlay(image, mask, PALETTE, 0).tolist() == [[[100, 100, 100], [158, 127, 55]]]
    assert pictures.overlay(image, mask, PALETTE, None)[0, 0].tolist() == [55, 55, 55]


def test_errors_are_orange_right_pixels_light_and_ignored_ones_grey():
    picture = pictures.errors(np.array([[1, 1, 1]]), np.array([[1, 0, 255]]), 255)
    assert picture.tolist() == [[[235, 235, 235], [213, 94, 0], [128, 128, 128]]]


def test_a_grey_image_becomes_three_equal_channels_and_a_colour_image_stays():
    assert pictures.rgb(np.array([[[7]]], np.uint8)).tolist() == [[[7, 7, 7]]]
    assert pictures.rgb(np.array([[[1, 2, 3]]], np.uint8)).tolist() == [[[1, 2, 3]]]


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
def test_the_sheet_has_two_rows_per_pair_and_the_original_first(make_shard, draw_shapes, pairs, shown):
    shard = make_shard(draw_shapes(3))
    flip = augmentation.recipe(
        Augmentation(crop_px=None, preset="none", transforms=({"HorizontalFlip": {"p": 1.0}},), preview=1), 255
    )
    sheet = pictures.augmentation_sheet(shard, flip, [*PALETTE, (204, 121, 167)], pairs)
    assert sheet.shape == (2 * shown * 196, 5 * 196, 3)
    original, drawn = sheet[:192, :192], sheet[:192, 196 : 196 + 192]
    assert np.array_equal(original, np.repeat(np.repeat(pictures.rgb(shard[0][0]), 6, axis=0), 6, axis=1))
    assert np.array_equal(drawn, original[:, ::-1])
