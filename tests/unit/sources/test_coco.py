import json
from itertools import pairwise

import numpy as np
import pytest
from pycocotools import mask as runs

from maskmill.sources import coco

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
        assert coco._unpacked(compressed(pixels)["counts"]) == uncompressed(pixels)


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
