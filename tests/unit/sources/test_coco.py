import json
from itertools import pairwise

import numpy as np
import pytest
from pycocotools import mask as runs

from maskmill.sources import _packed
from tests.unit.sources import examples

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]  # x 1..3, y 1..2


@pytest.fixture
def annotated(source):
    """A function that writes COCO annotations of images/a.png, 4 x 6 px."""

    def write(*shapes, name="instances.json", images=None, **changes):
        folder = source("images/a.png")
        annotations = [
            {"id": i, "image_id": 1, "category_id": 7}
            | (
                shape
                if isinstance(shape, dict) and "segmentation" in shape
                else {"segmentation": shape}
            )
            for i, shape in enumerate(shapes)
        ]
        content = {
            "images": images or [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
            "categories": [{"id": 7, "name": "disc"}, {"id": 9, "name": "bar"}],
            "annotations": annotations,
        }
        (folder / name).write_text(json.dumps(content | changes))
        return {"kind": "coco", "annotations": {name: "images"}}

    return write


def compressed(pixels):
    found = runs.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def test_polygons_become_class_ids_on_the_background(annotated, read):
    (pair,) = read(**annotated([SQUARE]))
    drawn = pair.mask()
    assert (drawn.shape, drawn.dtype) == ((4, 6), np.uint8)
    assert drawn.tolist() == [[0] * 6, [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0] * 6]
    assert (pair.id, pair.image.name, pair.split) == ("a", "a.png", "")


def test_of_two_that_overlap_the_later_wins_and_crowds_are_ignored(annotated, read):
    left, crowd = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :2], crowd[3] = True, True
    config = annotated(
        [SQUARE],
        {"segmentation": compressed(left), "category_id": 9},
        {"segmentation": {"size": [4, 6], "counts": uncompressed(crowd)}, "iscrowd": 1},
    )
    drawn = read(**config)[0].mask()
    assert drawn.tolist() == [[3, 3, 0, 0, 0, 0], [3, 3, 1, 1, 0, 0], [3, 3, 1, 1, 0, 0], [255] * 6]


def uncompressed(pixels):
    flat = pixels.ravel("F").astype(int)
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    return ([0] if flat[0] else []) + [b - a for a, b in pairwise(edges)]


def test_compressed_run_lengths_are_read_as_pycocotools_does():
    rng = np.random.default_rng(0)
    for _ in range(50):
        pixels = rng.random(rng.integers(1, 60, 2)) < rng.random()
        assert _packed.lengths_of_text(compressed(pixels)["counts"]) == uncompressed(pixels)


def test_the_split_is_that_of_the_file_and_one_name_in_two_splits_two_images(annotated, read):
    configs = [
        annotated([SQUARE], name=f"instances_{split}2017.json") for split in ("train", "val")
    ]
    config = {"kind": "coco", "annotations": configs[0]["annotations"] | configs[1]["annotations"]}
    assert [(p.id, p.split) for p in read(**config)] == [("train__a", "train"), ("val__a", "val")]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            [[1, 1, 2]],
            "annotation 0: a polygon needs three or more points x, y, within 12 px; got [1, 1, 2]",
        ),
        ([[1, 1, 2, 2, 3]], "a polygon needs three or more points"),
        ([[1, 1, 2, 2, 3, 1e9]], "within 12 px"),
        ([[1, 1, 2, 2, 3, float("nan")]], "a polygon needs"),
        ("text", "segmentation is str; needed are polygons or run lengths"),
        ({"size": [6, 4], "counts": [24]}, "run lengths of size [6, 4]; the image is [4, 6]"),
        ({"size": [4, 6], "counts": [23]}, "run lengths that do not fill 4 x 6 px"),
        ({"size": [4, 6], "counts": [-1, 25]}, "run lengths that do not fill 4 x 6 px"),
        ({"size": [4, 6], "counts": "0"}, "run lengths that do not fill 4 x 6 px"),
        ({"size": [4, 6], "counts": "oooo"}, "run lengths that do not fill 4 x 6 px"),
        ({"size": [4, 6]}, "run lengths that do not fill 4 x 6 px"),
    ],
)
def test_a_bad_shape_is_refused_by_the_number_of_its_annotation(annotated, refusal, shape, said):
    assert said in refusal(**annotated(shape))


def image(**changes):
    return [{"id": 1, "file_name": "a.png", "height": 4, "width": 6} | changes]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": image(file_name="../a.png")}, "image 1: '../a.png' is not a path below"),
        ({"images": image(file_name="/etc/passwd")}, "image 1: '/etc/passwd' is not a path below"),
        ({"images": image(file_name="b.png")}, "images/b.png is not there"),
        ({"images": image(height=0)}, "image 1: height 0, width 6; needed are whole numbers"),
        (
            {"images": image(height=10**9)},
            "of at most 100,000,000 px together (data.decoding.max_pixels",
        ),
        ({"images": image(id=2)}, "annotations of images 1, which `images` does not hold"),
        ({"images": [{"id": 1}]}, "images[0]: needs id and file_name"),
        (
            {"categories": [{"id": 7, "name": "cat"}]},
            "annotation 0: 'cat' is none of data.classes in params.yaml, background",
        ),
        ({"annotations": {}}, "not COCO: no list `annotations`"),
    ],
)
def test_bad_annotations_are_refused(annotated, refusal, changes, said):
    assert said in refusal(**annotated([SQUARE], **changes))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\ufeff3"])
def test_a_file_that_is_no_coco_is_refused(annotated, refusal, tmp_path, text):
    config = annotated([SQUARE])
    (tmp_path / "instances.json").write_text(text)
    said = refusal(**config)
    assert "not readable as JSON" in said or "not COCO: no list `images`" in said


def test_classes_need_a_background_and_no_table_of_values(annotated, refusal, data):
    config = annotated([SQUARE])
    for wrong in ({"background": None}, {"values": {0: "disc"}}):
        said = refusal(data.model_copy(update=wrong), **config)
        assert "name the class of those pixels, and set values: null" in said
    assert "needed is one line `FILE.json: FOLDER_OF_ITS_IMAGES`" in refusal(
        kind="coco", annotations={}
    )


def test_instances_are_used_before_keypoints_and_captions(tmp_path, recognise):
    content = examples.coco(tmp_path)
    examples.put(tmp_path, "annotations/person_keypoints_train.json", content)
    captions = {"images": [], "annotations": [{"id": 1, "caption": "a cat"}]}
    examples.put(tmp_path, "annotations/captions_train.json", captions)
    examples.put(tmp_path, "annotations/image_info_test.json", content | {"annotations": []})
    found = recognise("coco")
    assert found.config["annotations"] == {"annotations/instances_train.json": "train"}
    assert found.files == [tmp_path / "annotations/instances_train.json"]
    assert {why: [p.name for p in paths] for why, paths in found.unused.items()} == {
        "captions, no outlines": ["captions_train.json"],
        "images without annotations": ["image_info_test.json"],
        "other annotations of the images of instances_train.json": ["person_keypoints_train.json"],
    }


def test_captions_alone_are_no_layout(tmp_path, recognise):
    examples.put(tmp_path, "captions.json", {"images": [], "annotations": [{"caption": "a cat"}]})
    assert recognise("coco") is None


def test_two_files_that_annotate_the_same_images_are_refused(tmp_path, not_recognised):
    content = examples.coco(tmp_path)
    for name in ("instances_train.json", "instances_again.json"):
        examples.put(tmp_path, f"annotations/{name}", content)
    assert "annotate the same images, in" in not_recognised("coco")


def test_outlines_are_used_before_boxes_of_the_same_images(tmp_path, recognise):
    examples.coco(tmp_path, segmentation=list)
    path = tmp_path / "annotations/instances_train.json"
    path.rename(tmp_path / "boxes.json")
    examples.coco(tmp_path)
    path.rename(tmp_path / "outlines.json")
    found = recognise("coco")
    assert found.files == [tmp_path / "outlines.json"]
    assert found.unused == {
        "other annotations of the images of outlines.json": [tmp_path / "boxes.json"]
    }


def test_files_may_number_categories_in_their_own_ways(tmp_path, recognise, read, data):
    examples.coco(tmp_path)
    examples.coco(tmp_path / "more", categories=[{"id": 7, "name": "bar"}])
    found = recognise("coco")
    assert found.classes == ["background", "bar", "disc"]
    masks = {pair.id: pair.mask().max() for pair in read(data, **found.config)}
    assert masks["train__a"] == 1
    assert masks["more__train__a"] == 3


def test_files_that_annotate_other_images_of_one_folder_are_splits(tmp_path, recognise, read, data):
    content = examples.coco(tmp_path)
    (tmp_path / "annotations/instances_train.json").unlink()
    for number, split in enumerate(("train", "val", "test")):
        part = {
            "images": [content["images"][number]],
            "annotations": [content["annotations"][number]],
        }
        examples.put(tmp_path, f"{split}.json", content | part)
    pairs = read(data, **recognise("coco").config)
    assert [(p.id, p.split) for p in pairs] == [("a", "train"), ("b", "val"), ("c", "test")]


def test_a_missing_image_is_named(tmp_path, not_recognised):
    examples.coco(tmp_path)
    (tmp_path / "train/b.png").unlink()
    told = not_recognised("coco")
    assert "instances_train.json: COCO; of its 3 images 1 not in" in told
    assert "train: b.png; put them there" in told
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    assert "its images (a.png, b.png, c.png) are nowhere below" in not_recognised("coco")


def test_images_that_nobody_annotated_are_said(tmp_path, recognise):
    examples.coco(tmp_path)
    examples.put(tmp_path, "test/d.png")
    unused = recognise("coco").unused
    assert unused == {"images that no annotations name": [tmp_path / "test/d.png"]}


@pytest.mark.parametrize("segmentation", [list, dict, lambda: [[]], lambda: None])
def test_objects_without_outlines_alone_are_refused(
    tmp_path, not_recognised, refusal, segmentation
):
    examples.coco(tmp_path, segmentation=segmentation)
    told = not_recognised("coco")
    assert "COCO without outlines: objects have no outline: 3 (" in told
    assert "instances_train.json: annotation 0, annotation 1, annotation 2" in told
    config = {"annotations/instances_train.json": "train"}
    assert "COCO without outlines" in refusal(kind="coco", annotations=config)


def test_a_split_without_outlines_is_refused_though_another_has_them(tmp_path, not_recognised):
    examples.coco(tmp_path)
    examples.coco(tmp_path / "more", segmentation=list)
    assert "more/annotations/instances_train.json: COCO without outlines" in not_recognised("coco")


def test_the_box_of_an_object_without_an_outline_is_ignored_below_outlines(
    tmp_path, recognise, draw
):
    content = examples.coco(tmp_path)
    box = {"id": 9, "image_id": 0, "category_id": 7, "bbox": [0, 1, 3, 1]}
    more = {"annotations": [*content["annotations"], box]}
    examples.put(tmp_path, "annotations/instances_train.json", content | more)
    (told,) = recognise("coco").notes
    assert "objects have no outline: 1 (" in told
    assert "annotation 9); the pixels in their boxes are ignored" in told
    assert draw("coco")["a"].tolist()[1] == [255, 1, 1, 1, 0, 0]


def test_one_bad_polygon_is_left_out_and_told(tmp_path, recognise, draw):
    content = examples.coco(tmp_path)
    content["annotations"][1]["segmentation"].append([5, 5, 9, 9])
    examples.put(tmp_path, "annotations/instances_train.json", content)
    (told,) = recognise("coco").notes
    assert "left out: 1 of 4: " in told
    assert "annotation 1: a polygon needs three or more points x, y, within 12 px" in told
    assert draw("coco")["b"].tolist() == examples.DRAWN


def test_an_annotation_of_no_category_is_named(tmp_path, not_recognised):
    examples.coco(tmp_path, categories=[{"id": 8, "name": "disc"}])
    assert "annotation 0: category 7 is not in `categories`" in not_recognised("coco")


def test_classes_come_in_the_order_of_their_numbers_and_a_background_is_theirs(tmp_path, recognise):
    names = {10: "wheel", 7: "disc", 0: "background", 9: "no/name", 11: "no:name", 12: "no?name"}
    categories = [{"id": key, "name": name} for key, name in names.items()]
    examples.coco(tmp_path, categories=categories)
    found = recognise("coco")
    assert found.classes == ["background", "disc", "no_name", "wheel", "no:name"]
    assert found.notes == ["the labels no/name and no?name are one class, no_name"]


def test_a_category_that_only_holds_others_is_no_class(tmp_path, recognise):
    categories = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 7, "name": "disc", "supercategory": "cells"},
    ]
    examples.coco(tmp_path, categories=categories)
    assert recognise("coco").classes == ["background", "disc"]
    above = [{"id": 7, "name": "disc", "supercategory": "disc"}]
    examples.coco(tmp_path, categories=above)
    assert recognise("coco").classes == ["background", "disc"]


def test_too_many_categories_are_refused(tmp_path, not_recognised):
    examples.coco(tmp_path, categories=[{"id": n, "name": f"c{n}"} for n in range(300)])
    assert "at most 249 can be learnt beside the background" in not_recognised("coco")


def test_paths_of_windows_are_read(tmp_path, recognise, draw):
    content = examples.coco(tmp_path)
    for entry in content["images"]:
        entry["file_name"] = f"train\\{entry['file_name']}"
    examples.put(tmp_path, "annotations/instances_train.json", content)
    assert recognise("coco").config["annotations"] == {"annotations/instances_train.json": "."}
    assert draw("coco")["a"].tolist() == examples.DRAWN


def test_a_path_that_leads_out_is_refused(tmp_path, not_recognised):
    content = examples.coco(tmp_path)
    content["images"][1]["file_name"] = "../../etc/a.png"
    examples.put(tmp_path, "annotations/instances_train.json", content)
    assert "'../../etc/a.png' is not a path below the folder" in not_recognised("coco")
