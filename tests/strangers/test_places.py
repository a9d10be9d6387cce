"""Folders of any names are paired, or the answer names what could be meant."""

from pathlib import Path

import pytest

from tests.strangers import places
from tests.strangers.outcome import (
    Build,
    Outcome,
    Refusal,
    check_outcome,
    check_refusal,
    import_plan,
    refusal,
    told,
)

UNION = "several masks of one image: what is not 0 in any of them is of an object"
FOR_PREDICT = "images without a mask; `maskmill predict` is for them"
NUCLEI = Outcome(
    ("background", "object"), unused={"other files (.csv)": 1}, notes=(UNION, "'abc' is nowhere")
)
ACCEPTED: dict[Build, Outcome] = {
    places.nuclei: NUCLEI,
    places.many_nuclei: NUCLEI,
    places.breast_ultrasound: Outcome(
        ("background", "object"), notes=(UNION, "names begin with benign, malignant, normal")
    ),
    places.a_folder_per_class: Outcome(
        ("background", "cat", "dog"), notes=("of the class its folder names",)
    ),
    places.test_without_masks: Outcome(unused={FOR_PREDICT: 4}),
    places.masks_of_train_alone: Outcome(unused={FOR_PREDICT: 4}),
    places.in_german: Outcome(("class_0", "class_1", "class_2"), None),
    places.prefixes: Outcome(),
    places.two_suffixes: Outcome(),
    places.padded_numbers: Outcome(notes=("zeros before numbers are dropped",)),
    places.capitals: Outcome(notes=("capitals count as small letters",)),
}
REFUSED: dict[Build, Refusal] = {
    places.retinas: Refusal(
        ("masks could be manual1/{name}, mask/{name}_mask", "--masks manual1"),
        Outcome(
            values={0: "background", 255: "foreground"},
            groups={"01_h": "01", "04_g": "04"},
            unused={"pictures in mask": 12},
        ),
    ),
    places.two_annotators: Refusal(
        ("masks_annotator1/{name}, masks_annotator2/{name}", "--masks masks_annotator1"),
        Outcome(unused={"pictures in masks_annotator2": 12}),
    ),
    places.linked_folders: Refusal(("own/images", "a link that leads to a folder")),
    places.an_archive: Refusal(("1 .zip", "unpack it, and import the folder")),
}


@pytest.mark.parametrize("build", ACCEPTED, ids=lambda build: build.__name__)
def test_images_and_masks_are_found_whatever_they_are_called(folder: Path, build: Build):
    check_outcome(folder, build(folder), ACCEPTED[build])


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_what_could_be_meant_otherwise_is_asked(folder: Path, build: Build):
    drawn = build(folder)
    check_refusal(folder, drawn, REFUSED[build])


def test_what_is_said_stays_short_with_many_folders(folder: Path):
    places.many_nuclei(folder)
    assert len(told(import_plan(folder))) < 2500


def test_folders_of_any_name_are_images_and_masks_by_option(folder: Path):
    drawn = places.in_german(folder)
    for side, name in (("Fotos", "abc"), ("Masken", "def")):
        (folder / side).rename(folder / name)
    wanted = Outcome(
        ("class_0", "class_1", "class_2"), None, wishes={"images": "abc", "masks": "def"}
    )
    check_outcome(folder, drawn, wanted)


def test_an_archive_itself_is_to_be_unpacked(folder: Path):
    places.an_archive(folder)
    assert "unpack it" in refusal(folder / "data.zip")
