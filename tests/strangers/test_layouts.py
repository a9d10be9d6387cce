"""Folders as public data sets have them are imported as they were downloaded."""

from pathlib import Path

import pytest

from tests.strangers import layouts, stacks
from tests.strangers.outcome import Build, Outcome, check_outcome

KINDS = "taken for kinds"
LEFT_OUT = "images without a mask are left out"
PAGES = "each page of a file is an image"
NUMBERED = ("class_0", "class_1", "class_2", "class_3")
NUMBERS = "a number per object"
CASES: dict[Build, Outcome] = {
    layouts.pascal_voc: Outcome(
        NUMBERED,
        None,
        splits={"train": 8, "val": 4},
        unused={"images that no list names": 6, "SegmentationObject": 12, "other files": 19},
    ),
    layouts.pascal_voc_inside: Outcome(
        NUMBERED,
        None,
        splits={"train": 8, "val": 4},
        unused={"images that no list names": 6, "SegmentationObject": 12, "other files": 19},
    ),
    layouts.cvat_mask: Outcome(
        ("background", "cat", "dog"),
        values={"#000000": "background", "#008000": "cat", "#800000": "dog"},
        unused={"SegmentationObject": 12, "other files": 1},
    ),
    layouts.cityscapes: Outcome(
        NUMBERED,
        None,
        {7: "class_0", 8: "class_1", 11: "class_2", 26: "class_3"},
        splits={"train": 6, "val": 3, "test": 3},
        unused={"gtFine": 24, ".json": 12},
        notes=(KINDS,),
    ),
    layouts.cityscapes_labels_alone: Outcome(
        NUMBERED,
        None,
        {7: "class_0", 8: "class_1", 11: "class_2", 26: "class_3"},
        splits={"train": 6, "val": 3, "test": 3},
        notes=(KINDS,),
    ),
    layouts.roboflow_png: Outcome(
        ("background", "crack", "rust"),
        splits={"train": 6, "val": 3, "test": 3},
        unused={"other files": 3},
    ),
    layouts.oxford_pets: Outcome(
        NUMBERED[:3],
        None,
        {1: "class_0", 2: "class_1", 3: "class_2"},
        unused={"other files": 3},
        notes=(KINDS,),
    ),
    layouts.penn_fudan: Outcome(
        ("background", "object"), threshold=1, unused={"other files": 13}, notes=(NUMBERS,)
    ),
    layouts.a_folder_per_patient: Outcome(
        groups={"patient01__slice_010": "patient01", "patient05__slice_052": "patient05"}
    ),
    layouts.nnunet: Outcome(("background", "road"), unused={"imagesTs": 1}),
    layouts.glas: Outcome(
        ("background", "object"), threshold=1, unused={"other files (.csv)": 1}, notes=(NUMBERS,)
    ),
    layouts.inria: Outcome(
        values={0: "background", 255: "foreground"},
        unused={"images without a mask; `maskmill predict` is for them": 3},
    ),
    layouts.loveda: Outcome(
        NUMBERED[:3], None, splits={"train": 8, "val": 8}, notes=(KINDS,)
    ),
    layouts.kitti: Outcome(
        NUMBERED,
        None,
        {7: "class_0", 8: "class_1", 21: "class_2", 26: "class_3"},
        unused={"images without a mask": 3, "instance": 12, "semantic_rgb": 12},
    ),
    layouts.drone: Outcome(
        ("paved", "dirt", "grass"),
        None,
        {0: "ignore", 1: "paved", 2: "dirt", 3: "grass"},
        unused={"RGB_color_image_masks": 12},
        notes=("its names are taken in its order",),
    ),
    layouts.massachusetts_roads: Outcome(
        ("background", "road"),
        values={0: "background", 255: "road"},
        splits={"train": 6, "val": 3, "test": 3},
        unused={"other files (.csv)": 1},
    ),
    layouts.potsdam: Outcome(
        NUMBERED,
        None,
        {
            "#000000": "class_0",
            "#008000": "class_1",
            "#800000": "class_2",
            "#808000": "class_3",
        },
        notes=(KINDS,),
    ),
    layouts.mmsegmentation: Outcome(NUMBERED[:3], None, splits={"train": 8, "val": 4}),
    layouts.coco_stuff: Outcome(NUMBERED[:3], None, splits={"train": 8, "val": 4}),
    layouts.cellpose: Outcome(("background", "object"), threshold=1, notes=(NUMBERS,)),
    stacks.a_stack_per_folder: Outcome(
        groups={"s0__0001": "s0", "s2__0005": "s2"}, notes=(PAGES,)
    ),
    stacks.isbi_2012: Outcome(
        values={0: "background", 255: "foreground"},
        groups=5,
        unused={"images without a mask": 1},
        notes=(PAGES, LEFT_OUT, "cut into contiguous blocks"),
        advice_works=False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_a_download_is_read_as_its_owner_means_it(folder: Path, build: Build):
    check_outcome(folder, build(folder), CASES[build])
