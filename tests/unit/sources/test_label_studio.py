import numpy as np
import pytest

from maskmill.sources import _packed
from maskmill.system.errors import MaskmillError
from tests.unit.sources.examples import (
    DRAWN,
    label_studio,
    label_studio_brush,
    packed,
    percents,
    put,
    region,
)


def test_brushes_rectangles_and_ellipses_are_drawn_and_the_later_wins(tmp_path, draw):
    brush = np.zeros((4, 6), np.uint8)
    brush[2, 4], brush[3, 4:], brush[0, 0] = 255, (200, 128), 127
    box = {"x": 0, "y": 0, "width": 100, "height": 100, "rotation": 0}
    label_studio(
        tmp_path,
        region(box | {"rectanglelabels": ["square"]}),
        region({"x": 50, "y": 50, "radiusX": 100 / 6, "radiusY": 25, "ellipselabels": ["disc"]}),
        region({"format": "rle", "rle": packed(brush), "brushlabels": ["bar"]}),
    )
    # the classes in order of name: background, bar, disc, square
    assert draw("label_studio")["a"].tolist() == [
        [3, 3, 3, 3, 3, 3],
        [3, 3, 2, 2, 3, 3],
        [3, 3, 2, 2, 1, 3],
        [3, 3, 3, 3, 1, 1],
    ]


def test_a_rectangle_is_turned_about_its_corner(tmp_path, draw):
    box = {"x": 50, "y": 0, "width": 100 * 4 / 6, "height": 25, "rotation": 90}
    label_studio(tmp_path, region(box | {"rectanglelabels": ["disc"]}))
    assert draw("label_studio")["a"].tolist() == [[0, 0, 1, 0, 0, 0]] * 4


def test_packed_strokes_of_any_form_are_unpacked():
    rng = np.random.default_rng(0)
    for _ in range(30):
        alpha = np.where(rng.random(rng.integers(1, 40, 2)) < rng.random(), 255, 0)
        assert not _packed.fault(packed(alpha), alpha.shape)
        assert (_packed.unpack(packed(alpha), alpha.shape) == (alpha > 0)).all()


def test_packed_strokes_that_are_cut_off_or_of_another_size_are_refused():
    whole = packed(np.eye(9) * 255)
    with pytest.raises(ValueError, match="cut off"):
        _packed.unpack(whole[:-9], (9, 9))
    assert _packed.fault(whole, (9, 8)) == "a brush that does not fill 8 x 9 px"
    assert "whole numbers from 0 to 255" in _packed.fault([256], (9, 9))
    assert "does not fill" in _packed.fault([], (9, 9))
    other_width = [*whole[:4], 0, *whole[5:]]
    with pytest.raises(ValueError, match="8 are read"):
        _packed.unpack(other_width, (9, 9))


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/0a1b2c3d-{}.png",
        "/data/local-files/?d=some%20where/{}.png",
        "s3://bucket/deep/{}.png",
        "https://host/{}.png?token=1",
        "C:\\files\\{}.png",
        "{}.png",
    ],
)
def test_images_are_found_by_the_names_that_exports_give(tmp_path, recognise, address):
    tasks = []
    for name in "abc":
        put(tmp_path, f"images/{name}.png")
        made = [{"result": [region({"points": percents(), "polygonlabels": ["disc"]})]}]
        tasks.append({"annotations": made, "data": {"image": address.format(name)}})
    put(tmp_path, "export.json", tasks)
    assert recognise("label_studio").told == "Label Studio: 3 images in export.json"


def test_images_that_were_downloaded_with_their_hash_are_found(tmp_path, recognise, read, data):
    label_studio(tmp_path, data={"image": "b.png"})
    for name in "abc":
        (tmp_path / f"images/{name}.png").unlink()
    put(tmp_path, "images/0123abcd-b.png")
    content = [{"annotations": [{"result": [region({"points": percents(), "labels": ["disc"]})]}],
                "data": {"image": "b.png"}}]  # fmt: skip
    put(tmp_path, "export.json", content)
    assert [p.id for p in read(data, **recognise("label_studio").config)] == ["0123abcd-b"]


def test_the_shorter_export_is_read_too(tmp_path, draw):
    for name in "abc":
        put(tmp_path, f"images/{name}.png")
    regions = [{"points": percents(), "polygonlabels": ["disc"], "original_width": 6,
                "original_height": 4}]  # fmt: skip
    put(tmp_path, "min.json", [{"image": f"{n}.png", "id": 1, "tag": regions} for n in "abc"])
    assert draw("label_studio")["b"].tolist() == DRAWN


def test_a_region_that_is_listed_by_control_and_by_label_is_one(tmp_path, recognise, draw):
    label_studio(
        tmp_path,
        region({"points": percents()}, type="polygon"),
        region({"points": percents(), "labels": ["disc"]}, type="labels"),
        {"type": "choices", "value": {"choices": ["good"]}},
    )
    assert recognise("label_studio").notes == []
    assert draw("label_studio")["a"].tolist() == DRAWN


def test_of_several_annotations_the_last_or_the_marked_is_taken_and_told(tmp_path, recognise, draw):
    ones = [
        {"result": [region({"points": percents(), "polygonlabels": [label]})]}
        for label in ("disc", "square", "bar")
    ]
    ones[2]["was_cancelled"] = True
    label_studio(tmp_path, annotations=ones)
    found = recognise("label_studio")
    assert found.classes == ["background", "square"]
    assert found.notes[0].endswith("ground truth: task 1, task 2, task 3")
    ones[0]["ground_truth"] = True
    label_studio(tmp_path, annotations=ones)
    assert recognise("label_studio").classes == ["background", "disc"]


def test_tasks_that_nobody_annotated_are_not_used_and_empty_ones_are_background(
    tmp_path, recognise, draw
):
    label_studio(tmp_path)
    content = (tmp_path / "export.json").read_text()
    for name in "de":
        put(tmp_path, f"images/{name}.png")
    more = ', {"data": {"image": "d.png"}, "annotations": []}'
    more += ', {"data": {"image": "e.png"}, "annotations": [{"result": []}]}]'
    put(tmp_path, "export.json", content.removesuffix("]") + more)
    found = recognise("label_studio")
    assert found.unused == {"images without an annotation": [tmp_path / "images/d.png"]}
    assert found.notes == ["images without a region are background as a whole: 1"]
    assert not draw("label_studio")["e"].any()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (region({"points": [[1, 1]], "polygonlabels": ["disc"]}), "a polygon needs three or more"),
        (region({"points": percents(), "polygonlabels": ["a", "b"]}), "one label is needed; got ["),
        (region({"rle": [1], "brushlabels": ["disc"]}), "a brush that does not fill 6 x 4 px"),
        (region({"rle": "x", "brushlabels": ["disc"]}), "a brush needs its bytes"),
        (
            region({"points": percents(), "polygonlabels": ["disc"]}, image_rotation=90),
            "turned by 90 degrees",
        ),
        (
            region({"points": percents(), "polygonlabels": ["disc"]}, original_width=None),
            "original_width and original_height are not those of one image",
        ),
        (
            region({"x": 1, "y": 1, "radiusX": 0, "radiusY": 1, "ellipselabels": ["disc"]}),
            "radii above 0",
        ),
        (
            region({"x": 1, "y": "1", "width": 1, "height": 1, "rectanglelabels": ["disc"]}),
            "a rectangle needs x, y, width, height",
        ),
    ],
)
def test_a_bad_region_is_refused_by_its_place(tmp_path, not_recognised, changed, said):
    label_studio(tmp_path, changed)
    told = not_recognised("label_studio")
    assert said in told
    assert "export.json: task 1: region r1: " in told


def test_points_alone_and_a_missing_image_are_refused(tmp_path, not_recognised):
    label_studio(tmp_path, region({"x": 1, "y": 1, "width": 1, "keypointlabels": ["disc"]}))
    assert "Label Studio without outlines: points are not drawn: 3" in not_recognised(
        "label_studio"
    )
    label_studio(tmp_path)
    (tmp_path / "images/b.png").unlink()
    told = not_recognised("label_studio")
    assert "task 2: image '/data/upload/1/0a1b2c3d-b.png' is nowhere below" in told
    label_studio(tmp_path, data={"text": "no image"})
    assert "task 1: names no image file" in not_recognised("label_studio")


def test_brushes_as_png_are_not_used_beside_the_json(tmp_path, recognise):
    label_studio(tmp_path)
    label_studio_brush(tmp_path)
    found = recognise("label_studio")
    assert [len(paths) for paths in found.unused.values()] == [3]
    assert "brushes as PNG, which export.json holds, too" in found.unused
    assert recognise("label_studio_brush") is None


def test_two_exports_are_refused(tmp_path, not_recognised):
    label_studio(tmp_path)
    label_studio(tmp_path / "again")
    assert "several exports of Label Studio" in not_recognised("label_studio")


def test_tasks_of_brushes_are_the_images_in_order_and_that_is_doubted(tmp_path, recognise):
    label_studio_brush(tmp_path)
    found = recognise("label_studio_brush")
    assert found.config["tasks"] == {3: "images/a.png", 10: "images/b.png", 11: "images/c.png"}
    assert "no file says which image a task is of: taken in order, task 3 is" in found.notes[0]
    assert {path.parent.name for path in found.files} == {"masks"}


def test_of_brushes_the_last_annotation_counts_and_labels_may_hold_dashes(
    tmp_path, recognise, draw
):
    label_studio_brush(tmp_path)
    stroke = np.full((4, 6), 255, np.uint8)
    put(tmp_path, "masks/task-3-annotation-1-by-1-tag-disc-0.png", stroke)
    put(tmp_path, "masks/task-3-annotation-9-by-a-b@c.de-tag-big-bar-12.png", stroke)
    found = recognise("label_studio_brush")
    assert found.classes == ["background", "big-bar", "disc"]
    old = tmp_path / "masks/task-3-annotation-1-by-1-tag-disc-0.png"
    assert found.unused == {"brushes of an older annotation of their task": [old]}
    assert old not in found.files
    assert set(np.unique(draw("label_studio_brush")["a"])) == {1, 2}


def test_more_images_than_tasks_are_refused_and_the_json_is_asked_for(tmp_path, not_recognised):
    label_studio_brush(tmp_path)
    put(tmp_path, "images/d.png")
    told = not_recognised("label_studio_brush")
    assert "brushes of 3 tasks of Label Studio, and 4 images" in told
    assert "export the project as JSON, too" in told


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((6, 4), np.uint8), "4 x 6 px; its image has 6 x 4; is it another task's?"),
        (np.ones((4, 6), np.uint8), "values up to 1; a brush has 0 and 255"),
    ],
)
def test_a_brush_of_another_size_or_of_other_values_is_refused(tmp_path, draw, pixels, said):
    label_studio_brush(tmp_path)
    put(tmp_path, "masks/task-3-annotation-9-by-1-tag-disc-0.png", pixels)
    with pytest.raises(MaskmillError) as raised:
        draw("label_studio_brush")
    assert "masks: task-3-annotation-9-by-1-tag-disc-0.png: " in str(raised.value)
    assert said in str(raised.value)


def test_tasks_and_brushes_must_be_the_same(tmp_path, recognise, refusal):
    label_studio_brush(tmp_path)
    config = recognise("label_studio_brush").config
    tasks = config["tasks"] | {12: "images/a.png"}
    assert "no brush for task 12" in refusal(**config | {"tasks": tasks})
    assert "no image for task 3, 10" in refusal(**config | {"tasks": {11: "images/a.png"}})
    tasks = config["tasks"] | {3: "../a.png"}
    assert "'../a.png' is not a path below" in refusal(**config | {"tasks": tasks})
