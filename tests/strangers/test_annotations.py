"""What annotation tools export is drawn as it was annotated, or counted where it has no outline."""

from pathlib import Path

import pytest

from tests.strangers import annotations
from tests.strangers.outcome import (
    Build,
    Outcome,
    Refusal,
    check_outcome,
    check_refusal,
    import_plan,
)

CLASSES = ("background", "cat", "dog")
ACCEPTED: dict[Build, Outcome] = {
    annotations.labelme: Outcome(CLASSES),
    annotations.coco_as_downloaded: Outcome(
        CLASSES,
        splits={"train": 8, "val": 4},
        unused={"captions": 1, "instances_train2017": 1, "instances_val2017": 1},
    ),
    annotations.coco_with_a_line: Outcome(
        CLASSES, splits={"train": 8}, notes=("left out: 1 of 17",)
    ),
    annotations.yolo: Outcome(CLASSES, splits={"train": 8, "val": 3}),
    annotations.cvat_images: Outcome(CLASSES),
    annotations.steel_run_lengths: Outcome(
        ("background", "class_3"),
        splits={"train": 8},
        notes=("down the columns, from pixel 1", "classes have numbers alone"),
    ),
    annotations.label_studio_brushes: Outcome(
        ("background", "Cat", "Dog"), notes=("no file says which image a task is of",)
    ),
}
REFUSED: dict[Build, Refusal] = {
    annotations.coco_boxes: Refusal(
        ("instances_train.json", "COCO without outlines", "16", "polygons or masks")
    ),
    annotations.coco_without_outlines: Refusal(
        ("instances_train.json", "COCO without outlines", "16", "polygons or masks")
    ),
    annotations.coco_with_a_lost_image: Refusal(
        ("instances_train.json", "of its 8 images 1 not in", "0007.jpg", "put them there")
    ),
}


@pytest.mark.parametrize("build", ACCEPTED, ids=lambda build: build.__name__)
def test_annotations_are_drawn_as_their_tool_shows_them(folder: Path, build: Build):
    check_outcome(folder, build(folder), ACCEPTED[build])


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_what_has_no_outline_or_no_image_is_counted_and_named(folder: Path, build: Build):
    drawn = build(folder)
    check_refusal(folder, drawn, REFUSED[build])


def test_what_cannot_be_drawn_is_named_with_its_file(folder: Path):
    annotations.coco_with_a_line(folder)
    (note,) = import_plan(folder).notes
    assert "instances_train.json: annotation 4" in note
    assert "[5, 5, 9, 9]" in note
