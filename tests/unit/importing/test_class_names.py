"""Names of classes in the files that stand beside images."""

import json

import pytest

from maskmill.importing import class_names
from maskmill.system.errors import MaskmillError


@pytest.mark.parametrize(
    ("name", "text", "in_order", "by_value"),
    [
        ("classes.txt", "sky\nroad\n\n", ["sky", "road"], {}),
        ("labels.txt", "__ignore__\n_background_\ncat\n", ["_background_", "cat"], {}),
        ("codes.txt", "\ufeffsky\r\nvoid\r\n", ["sky", "ignore"], {}),
        (
            "labels.txt",
            "0: sky\n3 side walk\n255 Void\n",
            [],
            {0: "sky", 3: "side walk", 255: "ignore"},
        ),
        ("classes.csv", "name,value\nsky,7\nroad/lane,9\n", [], {7: "sky", 9: "road_lane"}),
        ("_classes.csv", "Pixel Value, Class\n0, sky\n1, cat\n", [], {0: "sky", 1: "cat"}),
        (
            "class_dict.csv",
            "name,r,g,b\nsky,128,128,128\nroad,0,0,255\n",
            [],
            {"#808080": "sky", "#0000ff": "road"},
        ),
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\n",
            [],
            {"#000000": "background", "#307020": "cat"},
        ),
        (
            "dataset.json",
            json.dumps({"labels": {"background": 0, "liver": 1, "whole": [1, 2]}}),
            [],
            {0: "background", 1: "liver"},
        ),
        (
            "dataset.json",
            json.dumps({"labels": {"0": "background", "1": "liver"}}),
            [],
            {0: "background", 1: "liver"},
        ),
    ],
)
def test_names_of_classes_are_read_from_a_file(tmp_path, name, text, in_order, by_value):
    (tmp_path / name).write_text(text)
    found = class_names.read(tmp_path / name)
    assert (found.in_order, found.by_value) == (in_order, by_value)
    assert found.path == tmp_path / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", "sky\nroad\n"),
        ("patients.csv", "name,age\nA,31\n"),
        ("scores.csv", "name,value\nA,high\n"),
        ("dataset.json", "[1, 2]"),
        ("dataset.json", "{"),
        ("dataset.json", json.dumps({"labels": ["a", "b"]})),
    ],
)
def test_a_file_of_another_kind_names_nothing(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert class_names.read(tmp_path / name) is None


BAD = [
    ("classes.txt", "0 sky\n0 road\n1 car", "names a value twice"),
    ("classes.txt", "data/train\ndata/val\n", "holds paths, not names of classes"),
    (
        "labels.csv",
        "a,b\n1,2\n",
        "its columns are a, b; needed are name, and value (or id), or r, g and b",
    ),
    ("labels.csv", "name,value\nsky,one\n", "a line without a whole number"),
    ("labels.csv", "name,r,g,b\nsky,1,2,300\n", "a line without a whole number from 0 to 255"),
    ("labelmap.txt", "sky:1,2\n", "a line without name:r,g,b: 'sky:1,2'"),
]


@pytest.mark.parametrize(("name", "text", "said"), BAD)
def test_a_bad_file_of_names_is_refused_alone_and_passed_by_in_a_folder(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(MaskmillError) as raised:
        class_names.read(tmp_path / name)
    assert f"{tmp_path / name}: " in str(raised.value)
    assert said in str(raised.value)
    found, notes = class_names.find([tmp_path / name])
    assert found.is_empty
    assert notes == [f"{raised.value}; passed by"]


def test_names_that_are_not_utf8_are_told(tmp_path):
    (tmp_path / "classes.txt").write_bytes("Straße\nBäume\n".encode("latin-1"))
    with pytest.raises(MaskmillError, match=r"classes.txt: not UTF-8: .*; save it as UTF-8"):
        class_names.read(tmp_path / "classes.txt")


def test_the_file_that_lies_highest_counts_and_others_that_differ_are_told(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, text in (
        ("deep/classes.txt", "a\nb\n"),
        ("labels.txt", "sky\nroad\n"),
        ("codes.txt", "sky\nroad\n"),
    ):
        (tmp_path / name).write_text(text)
    found, notes = class_names.find(path for path in tmp_path.rglob("*.txt"))
    assert found.in_order == ["sky", "road"]
    assert notes == [
        f"{tmp_path}/deep/classes.txt: other names than {tmp_path}/codes.txt has; passed by"
    ]
