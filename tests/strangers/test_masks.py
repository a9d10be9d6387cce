"""Masks of all conventions mean what their owner means, or are refused with a way out."""

from pathlib import Path

import pytest

from tests.strangers import masks
from tests.strangers.outcome import (
    Build,
    Outcome,
    Refusal,
    check_outcome,
    check_refusal,
    import_plan,
)

NUMBERED = ("class_0", "class_1", "class_2")
COLOURS: dict[int | str, str] = {
    "#000000": "class_0",
    "#008000": "class_1",
    "#800000": "class_2",
}
BLACK_AND_WHITE: dict[int | str, str] = {0: "background", 255: "foreground"}
ACCEPTED: dict[Build, Outcome] = {
    masks.zero_one_and_zero_255: Outcome(
        values={0: "background", 1: "foreground", 255: "foreground"},
        notes=("6 masks hold 0 and 1, 6 hold 0 and 255",),
    ),
    masks.a_palette_per_file: Outcome(
        NUMBERED, None, COLOURS, notes=("8 masks have another palette than the first",)
    ),
    masks.ids_in_grey_rgb: Outcome(("background", "road", "car")),
    masks.black_and_white_rgb: Outcome(values=BLACK_AND_WHITE),
    masks.grey_and_grey_rgb: Outcome(values=BLACK_AND_WHITE),
    masks.clear_background: Outcome(
        NUMBERED,
        None,
        COLOURS,
        notes=("12 masks are transparent in places",),
        settings={"data.decoding.mask_alpha": "zero"},
    ),
    masks.whole_floats: Outcome(),
    masks.no_data: Outcome(notes=("12 masks hold negative values or NaN: no data, ignored",)),
    masks.a_number_per_object: Outcome(
        ("background", "object"), threshold=1, notes=("a number per object",)
    ),
    masks.two_names_of_255: Outcome(
        ("background", "polyp"), values={0: "background", 255: "polyp"}
    ),
    masks.one_name_of_255: Outcome(
        ("background", "polyp"),
        values={0: "background", 255: "polyp"},
        notes=("the first value is the background",),
    ),
    masks.diagnoses_beside: Outcome(
        values=BLACK_AND_WHITE, unused={"other files (.csv)": 1}, notes=("labels.csv",)
    ),
    masks.labelme_names: Outcome(("_background_", "road", "car"), "_background_"),
    masks.gif_masks: Outcome(
        values={"#000000": "background", "#ffffff": "foreground"},
        groups={"000000000000_01": "000000000000", "000000000003_03": "000000000003"},
    ),
    masks.fax_masks: Outcome(),
    masks.float_arrays: Outcome(),
}
REFUSED: dict[Build, Refusal] = {
    masks.soft_colours: Refusal(
        ("colours on thin edges", "#000000", "#008000", "#800000", "blurred edges"),
        Outcome(NUMBERED, None, COLOURS, notes=("other colours count as the nearest",)),
    ),
    masks.jpeg_masks: Refusal(
        ("near 0 or 255", "12 of them are JPEG", "two classes with blurred edges"),
        Outcome(threshold=128, unused={"other files (.json)": 1}),
    ),
    masks.once_jpeg_masks: Refusal(
        ("near 0 or 255", "two classes with blurred edges"), Outcome(threshold=128)
    ),
}


@pytest.mark.parametrize("build", ACCEPTED, ids=lambda build: build.__name__)
def test_values_mean_what_their_owner_means(folder: Path, build: Build):
    check_outcome(folder, build(folder), ACCEPTED[build])


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_edges_that_were_blurred_are_no_classes(folder: Path, build: Build):
    drawn = build(folder)
    check_refusal(folder, drawn, REFUSED[build])


def test_transparent_pixels_are_ignored_where_that_is_asked_for(folder: Path):
    masks.clear_background(folder)
    plan = import_plan(folder, ignore="#000000")
    assert plan.meaning.values == {
        "#000000": "ignore",
        "#008000": "class_0",
        "#800000": "class_1",
    }
