import pytest

from tests.unit.sources.examples import DRAWN, put, yolo

SQUARE = "0.1667 0.25 0.6667 0.25 0.6667 0.75 0.1667 0.75"


def test_names_are_a_list_a_map_or_a_file_of_lines(tmp_path, recognise, draw):
    yolo(tmp_path, f"1 {SQUARE}")
    put(tmp_path, "data.yaml", "names: {1: disc, 0: bar}\n")
    assert recognise("yolo").classes == ["background", "bar", "disc"]
    assert draw("yolo")["train__a"].tolist() == [[2 * v for v in row] for row in DRAWN]
    (tmp_path / "data.yaml").unlink()
    put(tmp_path, "classes.txt", "bar\ndisc\n")
    assert recognise("yolo").config == {"kind": "yolo", "names": "classes.txt"}


def test_the_split_is_that_of_data_yaml_which_may_name_folders_or_lists(
    tmp_path, recognise, read, data
):
    for place in ("set1", "set2", "set3"):
        put(tmp_path, f"{place}/images/a.png")
        put(tmp_path, f"{place}/labels/a.txt", f"0 {SQUARE}")
    put(tmp_path, "last.txt", "./set3/images/a.png\n")
    put(
        tmp_path,
        "data.yaml",
        "train: ../set1/images\nval: [set2/images]\ntest: last.txt\nnames: [disc]\n",
    )
    found = recognise("yolo")
    assert tmp_path / "last.txt" in found.files
    assert {p.id: p.split for p in read(data, **found.config)} == {
        "set1__a": "train", "set2__a": "val", "set3__a": "test",
    }  # fmt: skip


def test_folders_of_splits_are_no_part_of_names_that_groups_see(tmp_path, recognise, read, data):
    yolo(tmp_path)
    pairs = read(data, **recognise("yolo").config, groups="(?P<group>.*)")
    assert [(p.id, p.group) for p in pairs] == [
        ("train__a", "a"),
        ("val__a", "a"),
        ("train__b", "b"),
    ]


def test_one_folder_for_two_splits_is_no_split(tmp_path, recognise, read, data):
    for name in "abc":
        put(tmp_path, f"images/{name}.png")
        put(tmp_path, f"labels/{name}.txt", f"0 {SQUARE}")
    put(tmp_path, "data.yaml", "train: images\nval: images\nnames: [disc]\n")
    assert {p.split for p in read(data, **recognise("yolo").config)} == {""}


def test_an_image_without_a_label_is_background_and_a_folder_without_labels_is_not_used(
    tmp_path, recognise, draw
):
    yolo(tmp_path)
    put(tmp_path, "images/train/new.png")
    put(tmp_path, "images/test/t.png")
    found = recognise("yolo")
    assert found.notes == ["images without a label are background as a whole: 1"]
    assert found.unused == {"images in a folder without labels": [tmp_path / "images/test/t.png"]}
    assert not draw("yolo")["train__new"].any()


def test_boxes_among_polygons_are_counted_and_their_pixels_ignored(tmp_path, recognise, draw):
    yolo(tmp_path, f"0 {SQUARE}\n0 0.5 0.5 1 1\n")
    (told,) = recognise("yolo").notes
    assert told.startswith("lines are boxes: 3 (")
    assert told.endswith("; the pixels in their boxes are ignored")
    assert draw("yolo")["val__a"].tolist() == [[v or 255 for v in row] for row in DRAWN]


def test_boxes_alone_are_refused_by_name(tmp_path, not_recognised, refusal):
    yolo(tmp_path, "0 0.5 0.5 0.2 0.2")
    assert not_recognised("yolo").startswith("YOLO boxes without outlines: lines are boxes: 3 (")
    assert "YOLO boxes without outlines" in refusal(kind="yolo")


def test_keypoints_are_refused_by_name(tmp_path, not_recognised):
    yolo(tmp_path)
    put(tmp_path, "data.yaml", "kpt_shape: [17, 3]\nnames: [disc]\n")
    assert "data.yaml: YOLO keypoints without outlines (kpt_shape)" in not_recognised("yolo")


def test_labels_whose_classes_nobody_names_are_told(tmp_path, not_recognised):
    yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    assert "put data.yaml with `names: [A, B]` into" in not_recognised("yolo")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("3 0.1 0.1 0.2 0.1 0.2 0.2", "a.txt: line 1: class 3 is not named in data.yaml"),
        ("0 10 10 20 10 20 20", "coordinates are shares from 0 to 1; got 0 10 10"),
        ("0 0.1 0.1 0.2 0.1 0.2", "three or more points x, y; got 5 numbers"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 0.3", "got 7 numbers"),
        ("0 0.1 0.1 0.2 0.1 0.2 nan", "coordinates are shares"),
        ("0 0.1 0.1 0.2 0.1 \nwhat", "line 2: needed are numbers; got 'what'"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path, not_recognised, line, said):
    yolo(tmp_path, line)
    assert said in not_recognised("yolo")


@pytest.mark.parametrize("names", ["disc", "{a: disc}", "[[disc]]", "3"])
def test_names_of_another_form_are_refused(tmp_path, not_recognised, names):
    yolo(tmp_path)
    put(tmp_path, "data.yaml", f"names: {names}\n")
    assert "needed is a list, [cat, dog], or numbers with names" in not_recognised("yolo")
