"""Outlines as pixels, held against counts of pixels' centres."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskmill.sources import _drawing

SIZE = (40, 60)
sides = st.integers(0, 40)


@given(sides, sides, sides, sides)
def test_a_box_on_whole_numbers_has_its_area_and_neighbours_share_no_pixel(a, b, c, d):
    (left, right), (top, bottom) = sorted((a, b)), sorted((c, d))
    drawn = _drawing.polygons([_drawing.box(left, top, right, bottom)], SIZE)
    expected = np.zeros(SIZE, bool)
    expected[top:bottom, left:right] = True
    assert (drawn == expected).all()


def test_a_polygon_holds_the_pixels_whose_centres_it_holds():
    polygon = [3.2, 2.1, 50.7, 9.4, 31.9, 37.3]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    sides = [
        (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)
        for x0, y0, x1, y1 in (polygon[:4], polygon[2:], [*polygon[4:], *polygon[:2]])
    ]
    inside = np.all([side <= 0 for side in sides], axis=0)
    drawn = _drawing.polygons([polygon], SIZE)
    assert (
        drawn != inside
    ).sum() <= 0.01 * inside.sum()  # at the rim, where pycocotools rounds to fifths of a pixel
    assert drawn.sum() > 700


def test_two_polygons_of_one_object_are_joined():
    boxes = [_drawing.box(0, 0, 2, 2), _drawing.box(1, 1, 3, 3)]
    assert _drawing.polygons(boxes, SIZE).sum() == 7


@pytest.mark.parametrize("size", [SIZE, (1, 1)])
def test_discs_and_ellipses_beyond_the_image_are_cut(size):
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    disc = (x - 1.5) ** 2 + (y + 2) ** 2 <= 25
    assert (_drawing.disc((1.5, -2), (4.5, 2), size) == disc).all()
    assert not _drawing.disc((500, 500), (501, 500), size).any()
    ellipse = ((x - 20) / 7) ** 2 + ((y - 10) / 3) ** 2 <= 1
    assert (_drawing.ellipse((20, 10), (7, 3), 0, size) == ellipse).all()
    assert (_drawing.ellipse((20, 10), (3, 7), 90, size) == ellipse).all()


def test_shapes_turn_clockwise_as_seen_with_y_downwards():
    assert _drawing.turned([1, 0, 2, 0], (0, 0), 90) == [0, 1, 0, 2]
    tilted = _drawing.ellipse((30, 20), (15, 2), 45, SIZE)
    assert tilted[28, 38]
    assert not tilted[12, 38]


def test_a_patch_beyond_the_image_is_cut():
    drawn = _drawing.patch(np.ones((4, 4), bool), -2, 38, SIZE)
    assert (drawn.sum(), drawn[38:, :2].sum()) == (4, 4)
    assert not _drawing.patch(np.ones((4, 4), bool), 100, 100, SIZE).any()
    assert not _drawing.patch(np.ones((4, 4), bool), -9, 0, SIZE).any()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20))
def test_run_lengths_fill_their_image(lengths):
    pixels = sum(lengths)
    if not pixels:
        return
    drawn = _drawing.alternating(lengths, (1, pixels))
    assert drawn.sum() == sum(lengths[1::2])
    assert not _drawing.runs_fault(lengths, (1, pixels))
    assert _drawing.runs_fault(lengths, (1, pixels + 1))


@pytest.mark.parametrize("bad", [None, "text", [1, 2, 3, 4], [1] * 7, [True] * 6, [10**400] * 6])
def test_what_is_no_polygon_is_told_shortly(bad):
    told = _drawing.polygon_fault(bad, SIZE)
    assert told.startswith("a polygon needs three or more points x, y, within 120 px; got ")
    assert len(told) < 200
