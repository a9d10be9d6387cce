import pytest

from maskmill.importing import meaning
from maskmill.system.errors import MaskmillError


def guess(*values, named=(), ignore=None, background=None):
    found = meaning.guess_meaning(dict.fromkeys(values, 10), named, ignore, background)
    return found.classes, found.background, found.values


def test_0_and_255_are_two_classes():
    assert guess(0, 255) == (
        ["background", "foreground"],
        "background",
        {0: "background", 255: "foreground"},
    )
    assert guess(0, 255, named=["membrane", "cell"]) == (
        ["membrane", "cell"],
        None,
        {0: "membrane", 255: "cell"},
    )


def test_ids_need_no_table():
    assert guess(0, 1, 2) == (["class_0", "class_1", "class_2"], None, None)
    assert guess(0, 1, named=["bg", "cell"]) == (["bg", "cell"], "bg", None)
    # a class that no mask holds
    assert guess(0, 2, named=["a", "b", "c"]) == (["a", "b", "c"], None, None)


def test_255_beside_ids_is_ignored():
    assert guess(0, 1, 2, 255) == (["class_0", "class_1", "class_2"], None, None)
    assert guess(0, 1, 255, named=["a", "b"]) == (["a", "b"], None, None)
    assert guess(0, 1, 255, named=["a", "b", "c"]) == (
        ["a", "b", "c"],
        None,
        {0: "a", 1: "b", 255: "c"},
    )


def test_another_value_is_ignored_by_the_table():
    assert guess(0, 1, 11, named=["sky", "road"], ignore=11)[2] == {
        0: "sky",
        1: "road",
        11: "ignore",
    }
    assert guess(0, 1, 2, ignore=0) == (
        ["class_0", "class_1"],
        None,
        {0: "ignore", 1: "class_0", 2: "class_1"},
    )


def test_colours_are_told_by_their_codes():
    assert guess("#00ff00", "#000000", named=["road", "tree"], ignore=None)[2] == {
        "#000000": "road",
        "#00ff00": "tree",
    }
    assert guess("#00ff00", "#0000ff", "#000000", ignore="#000000")[2] == {
        "#000000": "ignore", "#0000ff": "class_0", "#00ff00": "class_1"}  # fmt: skip


def test_a_file_names_values_and_says_what_is_ignored():
    named = {0: "sky", 1: "road", 2: "ignore", 3: "car"}
    assert guess(0, 1, 2, named=named) == (["sky", "road", "car"], None, named)


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (
            (0, 1, 11),
            {"named": ["a", "b"]},
            "--classes names 2 (a, b); masks hold 3 values: 0 (33.33%), 1 (33.33%), 11",
        ),
        ((0, 1), {"ignore": 7}, "--ignore: no mask holds 7; they hold 0 (50.00%), 1 (50.00%)"),
        (
            (0, 1),
            {"background": "cell"},
            "--background: 'cell' is none of the classes class_0, class_1, nor `none`",
        ),
        (tuple(range(0, 100, 2)), {}, "masks hold 50 values, 0, 2, 4"),
        (tuple(range(251)), {}, "251 classes; from 2 to 250 can be learnt"),
        ((0, 1, 2), {"named": ["a", "a", "b"]}, "--classes: a, a, b names a class twice"),
        ((0,), {}, "1 classes; from 2 to 250 can be learnt"),
        (
            (0, 5),
            {"named": {0: "a", 1: "b"}},
            "masks hold 5, which the file of class names lacks; add them",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_what_was_found(values, options, said):
    with pytest.raises(MaskmillError) as raised:
        guess(*values, **options)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("classes.txt", "sky\nroad\n\n", {0: "sky", 1: "road"}),
        (
            "labels.txt",
            "0: sky\n3 side walk\n255 Void\n",
            {0: "sky", 3: "side walk", 255: "ignore"},
        ),
        ("classes.csv", "name,value\nsky,7\nroad/lane,9\n", {7: "sky", 9: "road_lane"}),
        (
            "class_dict.csv",
            "name,r,g,b\nsky,128,128,128\nroad,0,0,255\n",
            {"#808080": "sky", "#0000ff": "road"},
        ),
    ],
)
def test_names_of_classes_are_read_from_a_file(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert meaning.names_file(tmp_path) == tmp_path / name
    assert meaning.read_names(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("classes.txt", "sky\n", "names 1 classes; two or more are needed"),
        ("classes.txt", "0 sky\n0 road\n1 car", "names a value twice"),
        (
            "labels.csv",
            "a,b\n1,2\n",
            "columns a, b; needed are name, and value (or id), or r, g and b",
        ),
        ("labels.csv", "name,value\nsky,one\n", "a line without a whole number"),
        ("labels.csv", "name,r,g,b\nsky,1,2,300\n", "a line without a whole number from 0 to 255"),
    ],
)
def test_a_bad_file_of_names_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(MaskmillError) as raised:
        meaning.read_names(tmp_path / name)
    assert f"{tmp_path / name}: " in str(raised.value)
    assert said in str(raised.value)
