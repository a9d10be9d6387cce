import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskmill.images import decode, labels
from maskmill.images.decode import DecodeError
from maskmill.settings.config import Data
from tests.bad_inputs import build


@pytest.fixture
def table(data):
    """A function: data.values -> settings with that table."""
    return lambda values: data.model_copy(update={"values": values})


COLOURS = {"#000000": "background", "#FF0000": "disc", "#00ff7f": "square", "#ffffff": "ignore"}


def read(stored, data):
    """The ids and what has no meaning; the counts are those of the ids."""
    found = labels.class_ids(stored, data)
    assert found.counts.tolist() == np.bincount(found.pixels.ravel(), minlength=256).tolist()
    return found.pixels, found.unknown


def test_without_a_table_stored_values_are_the_ids_and_the_rest_is_counted(data):
    stored = np.array([[0, 3, 255], [4, 4, 77]], np.uint8)
    found, unknown = read(stored, data)
    assert found.tolist() == stored.tolist()
    assert unknown == {"4": 2, "77": 1}


def test_16_bit_ids_without_a_table_must_be_8_bits_in_truth(data):
    found, unknown = read(np.array([[0, 3, 300, 256]], np.uint16), data)
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 3, 255, 255]]
    assert unknown == {"256": 1, "300": 1}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_table_of_values_gives_ids_and_what_it_does_not_name_is_ignored_and_counted(table, dtype):
    found, unknown = read(
        np.array([[0, 128, 200], [9, 9, 0]], dtype), table({0: "disc", 128: "bar", 200: "ignore"})
    )
    assert found.tolist() == [[1, 3, 255], [255, 255, 1]]
    assert unknown == {"9": 2}


def test_a_table_names_16_bit_values(table):
    found, unknown = read(
        np.array([[1000, 65535]], np.uint16), table({1000: "bar", 65535: "ignore"})
    )
    assert (found.tolist(), unknown) == ([[3, 255]], {})


def test_a_table_of_colours_in_either_case_gives_ids(table):
    stored = np.array(
        [[[0, 0, 0], [255, 0, 0], [0, 255, 127]], [[255, 255, 255], [1, 2, 3], [1, 2, 3]]], np.uint8
    )
    found, unknown = read(stored, table(COLOURS))
    assert found.tolist() == [[0, 1, 2], [255, 255, 255]]
    assert unknown == {"#010203": 2}


def test_a_grey_mask_that_is_stored_as_colours_is_read_by_its_values(data):
    stored = np.repeat(np.array([[0, 1, 3]], np.uint8)[..., None], 3, axis=2)
    assert labels.class_ids(stored, data).pixels.tolist() == [[0, 1, 3]]


def test_colours_and_numbers_are_not_taken_for_each_other(data, table):
    with pytest.raises(
        DecodeError,
        match=r"^mask: a mask of colours; allowed is one value per pixel, or colours in data",
    ):
        labels.class_ids(np.array([[[1, 2, 3]]], np.uint8), data)
    with pytest.raises(
        DecodeError,
        match=r"data\.values in params\.yaml names colours, for which \(H, W, 3\) uint8",
    ):
        labels.class_ids(np.zeros((2, 2), np.uint8), table(COLOURS))


def test_no_data_takes_part_in_nothing(data, table):
    stored = np.array([[0, 3, decode.NO_DATA, 300]], np.int32)
    found, unknown = read(stored, data)
    assert (found.tolist(), unknown) == ([[0, 3, 255, 255]], {"300": 1})
    found, unknown = read(stored, table({0: "disc", 3: "bar", 300: "ignore"}))
    assert (found.tolist(), unknown) == ([[1, 3, 255, 255]], {})
    found, _ = read(stored, data.model_copy(update={"ignore_index": 200}))
    assert found.tolist()[0][2] == 200


@pytest.fixture
def two_classes(data):
    """Classes that a threshold of 128 divides."""
    return data.model_copy(update={"classes": ("background", "disc"), "threshold": 128})


def test_a_threshold_divides_numbers_in_two_and_no_value_is_without_a_meaning(two_classes):
    for dtype in (np.uint8, np.uint16):
        stored = np.array([[0, 127, 128, 255]], dtype)
        assert read(stored, two_classes)[0].tolist() == [[0, 0, 1, 1]]
    stored = np.array([[decode.NO_DATA, 0, 128, 65535]], np.int32)
    found, unknown = read(stored, two_classes)
    assert (found.tolist(), unknown) == ([[255, 0, 1, 1]], {})


def test_the_brightest_channel_of_a_colour_counts_at_a_threshold(two_classes):
    stored = np.array([[[0, 0, 128], [200, 0, 0], [127, 127, 127]]], np.uint8)
    assert read(stored, two_classes)[0].tolist() == [[1, 1, 0]]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "1 bit", "palette"])
def test_a_threshold_sees_what_a_viewer_shows_in_each_format(tmp_path, two_classes, form):
    wanted = np.zeros((32, 32), np.uint8)
    wanted[8:24, 8:24] = 1
    content = build.encoded(255 * wanted, "PNG" if form in ("1 bit", "palette") else form)
    if form == "1 bit":
        content = build.encoded(Image.fromarray(wanted.astype(bool)))
    if form == "palette":
        picture = Image.fromarray(1 - wanted)
        picture.putpalette([250, 250, 0, 9, 9, 9])
        content = build.encoded(picture)
    (tmp_path / "mask").write_bytes(content)
    assert np.array_equal(labels.read_ids(tmp_path / "mask", two_classes), wanted)


def test_a_colour_without_a_name_counts_as_the_nearest_one_where_that_is_wished(table):
    stored = np.array([[[0, 0, 0], [250, 9, 3], [30, 200, 100], [240, 250, 245]]], np.uint8)
    found, unknown = read(stored, table(COLOURS))
    assert (found.tolist()[0], len(unknown)) == ([0, 255, 255, 255], 3)
    nearest = table(COLOURS).model_copy(update={"nearest_colour": True})
    found, unknown = read(stored, nearest)
    assert (found.tolist(), unknown) == ([[0, 1, 2, 255]], {}), "white is ignore"


@given(colours=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=30))
def test_the_nearest_colour_is_the_one_of_the_least_distance(colours):
    nearest = Data(
        title="", classes=("a", "b", "c"), background="a", ignore_index=255,
        values={"#000000": "a", "#ff0000": "b", "#80ff10": "c"}, nearest_colour=True,
        colours={"a": "#000000", "b": "#ff0000", "c": "#80ff10"}, in_channels=1,
    )  # fmt: skip
    named = [(0, 0, 0), (255, 0, 0), (128, 255, 16)]
    found = labels.class_ids(np.array([colours], np.uint8), nearest).pixels[0].tolist()
    for colour, one in zip(colours, found, strict=True):
        assert math.dist(colour, named[one]) == min(math.dist(colour, each) for each in named)


def test_a_jpeg_of_colours_is_read_by_the_nearest_one(tmp_path, table):
    wanted = np.zeros((32, 32), np.uint8)
    wanted[8:24, 8:24] = 1
    path = tmp_path / "m.jpg"
    path.write_bytes(build.encoded(np.uint8([[0, 0, 0], [255, 0, 0]])[wanted], "JPEG", quality=95))
    values = {"#000000": "background", "#ff0000": "disc"}
    nearest = table(values).model_copy(update={"nearest_colour": True})
    assert np.count_nonzero(labels.read_ids(path, nearest) != wanted) < 0.02 * wanted.size
    with pytest.raises(DecodeError, match=r"a mask as lossy JPEG.*data\.nearest_colour"):
        labels.read_ids(path, table(values))


def test_a_page_of_a_stack_of_masks_has_its_values(tmp_path, data):
    pages = np.stack([np.full((9, 9), i, np.uint8) for i in range(3)])
    path = tmp_path / "stack.tif"
    path.write_bytes(build.stack(pages))
    for number in range(3):
        assert (labels.stored_values(path, data, page=number) == number).all()


def test_palette_and_grey_files_have_colours_too(tmp_path, table):
    picture = Image.fromarray(np.array([[2, 1, 0]], np.uint8))
    picture.putpalette([255, 255, 255, 255, 0, 0, 0, 255, 127])
    for form in ("PNG", "GIF", "TIFF"):
        (tmp_path / "mask").write_bytes(build.encoded(picture, form))
        assert labels.read_ids(tmp_path / "mask", table(COLOURS)).tolist() == [[2, 1, 255]]
    decode.write_png(tmp_path / "grey.png", np.array([[0, 255]], np.uint8))
    assert labels.read_ids(tmp_path / "grey.png", table(COLOURS)).tolist() == [[0, 255]]
    one_bit = build.encoded(Image.fromarray(np.array([[False, True]])))
    (tmp_path / "one_bit.png").write_bytes(one_bit)
    assert labels.read_ids(tmp_path / "one_bit.png", table(COLOURS)).tolist() == [[0, 255]]


def test_a_file_with_unknown_values_is_named_with_the_first_of_them_and_the_way_out(
    tmp_path, table
):
    stored = np.array([[0, 9, 9, 8, 7, 6, 5, 4]], np.uint8)
    decode.write_png(tmp_path / "m.png", stored)
    with pytest.raises(DecodeError) as raised:
        labels.read_ids(tmp_path / "m.png", table({0: "disc", 255: "bar"}))
    assert (
        str(raised.value)
        == f"{tmp_path}/m.png: values without a meaning: 9 (2 px), 4 (1 px), 5 (1 px), 6 (1 px), 7"
        " (1 px), 8 (1 px); allowed are 0, 255; add them to data.values in params.yaml (value:"
        " class, or value: ignore), or mend the mask"
    )


def test_without_a_table_the_ids_of_the_classes_are_what_is_allowed(tmp_path, data):
    decode.write_png(tmp_path / "m.png", np.array([[7]], np.uint8))
    with pytest.raises(
        DecodeError,
        match=r"7 \(1 px\); allowed are 0 to 3 \(data\.classes\) and 255 \(data\.ignore_",
    ):
        labels.read_ids(tmp_path / "m.png", data)


@pytest.mark.parametrize(
    "values", [None, {0: "disc", 1: "bar"}, {"#000000": "disc", "#010101": "bar"}], ids=str
)
def test_labels_cost_less_than_50_ms_per_megapixel(table, values):
    stored = np.random.default_rng(0).integers(0, 2, (1000, 1000), np.uint8)
    stored = np.repeat(stored[..., None], 3, axis=2) if values and "#000000" in values else stored
    times = []
    for _ in range(5):
        start = time.process_time()
        labels.class_ids(stored, table(values))
        times.append(time.process_time() - start)
    assert min(times) < 0.05
