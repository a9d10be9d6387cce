"""What the masks and images of all pairs hold, counted."""

import numpy as np
import pytest
from PIL import Image

from maskmill.images import decode
from maskmill.importing import measure
from maskmill.settings.config import STRICT
from maskmill.sources import Pair
from maskmill.system.errors import MaskmillError


@pytest.fixture
def pairs(tmp_path):
    """A function: masks (arrays) -> pairs, whose images are grey and of their sizes."""

    def make(*masks, suffix="png"):
        found = []
        for place, mask in enumerate(masks):
            sides = [tmp_path / f"images/{place}.png", tmp_path / f"masks/{place}.{suffix}"]
            for path in sides:
                path.parent.mkdir(exist_ok=True)
            decode.write_png(sides[0], np.zeros(mask.shape[:2], np.uint8))
            Image.fromarray(mask).save(sides[1])
            found.append(Pair(str(place), *sides, str(place), place))
        return found

    return make


def areas(*values, side=9):
    """A mask with a square for each value."""
    return np.repeat(np.array([values], np.uint8), side, axis=0).repeat(side, axis=1)


def test_pixels_and_masks_of_each_value_are_counted(pairs):
    found = measure.measure(pairs(areas(0, 1), areas(0, 0), areas(1, 255)), STRICT)
    assert found.values == {0: 243, 1: 162, 255: 81}
    assert found.holding == {0: 2, 1: 2, 255: 1}
    assert found.pairs_of_values == {(1, 255): 1}
    assert found.readable == 3


def test_numbers_per_object_are_told_by_the_largest_of_each_mask(pairs):
    found = measure.measure(pairs(areas(0, 1), areas(0, 1, 2), areas(0, 2)), STRICT)
    assert found.numbered == {1: 1, 2: 1}


def test_values_on_thin_edges_alone_are_told_from_those_that_fill_areas(pairs):
    soft = areas(0, 255)
    soft[:, 8], soft[:, 9] = 80, 170
    found = measure.measure(pairs(soft), STRICT)
    assert (found.solid, found.edges) == ({0, 255}, {80, 170})


def test_edges_are_looked_at_in_masks_of_the_whole_list(pairs):
    soft = areas(0, 255)
    soft[:, 8] = 80
    found = measure.measure(pairs(*[areas(0, 255)] * 90, *[soft] * 30), STRICT)
    assert found.edges == {80}
    # a class that no mask holds whose shapes were looked at is no edge
    rare = measure.measure(pairs(*[areas(0, 255)] * 119, soft), STRICT)
    assert rare.values[80] == 9
    assert 80 not in rare.edges | rare.solid


def test_grey_masks_are_counted_as_colours_beside_masks_of_colours(pairs):
    grey = areas(0, 255)[..., None].repeat(3, axis=2)
    red = grey.copy()
    red[..., 1:] = 0
    found = measure.measure(pairs(grey, red), STRICT)
    assert {*found.values} == {"#000000", "#ffffff", "#ff0000"}
    assert found.solid == {*found.values}
    # alone they are numbers
    assert {*measure.measure(pairs(grey), STRICT).values} == {0, 255}


def test_masks_of_numbers_beside_masks_of_colours_are_refused(pairs):
    red = areas(0, 255)[..., None].repeat(3, axis=2)
    red[..., 1:] = 0
    with pytest.raises(MaskmillError, match=r"1 masks hold colours \(.*0.png\), 1 hold one value"):
        measure.measure(pairs(red, areas(0, 1)), STRICT)


def test_what_was_saved_with_loss_and_what_has_another_size_is_named(pairs):
    made = pairs(areas(0, 255), suffix="jpg")
    decode.write_png(made[0].image, np.zeros((5, 5), np.uint8))
    found = measure.measure(made, STRICT)
    assert [name[-5:] for name in found.lossy] == ["0.jpg"]
    assert len(found.unlike) == 1
    assert "0.png is 5 x 5, its mask 18 x 9" in found.unlike[0]


def test_a_broken_file_is_named_and_the_others_count(pairs):
    made = pairs(areas(0, 1), areas(0, 1))
    made[0].mask.write_bytes(b"")
    found = measure.measure(made, STRICT)
    assert found.readable == 1
    assert len(found.broken) == 1
    assert "masks/0.png" in found.broken[0]
    assert found.holding[1] == 1
