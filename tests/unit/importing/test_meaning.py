"""What stored values mean, by what all masks hold and what the user says."""

import re
from collections import Counter
from pathlib import Path

import pytest

from maskmill.cli import options
from maskmill.importing import meaning
from maskmill.importing.class_names import ClassNames
from maskmill.importing.meaning import Asked
from maskmill.importing.measure import FolderContents
from maskmill.system.errors import MaskmillError

BESIDE = Path("cells/classes.txt")


def holding(*values, **facts):
    """Masks that hold each of the values, in ten pixels each."""
    found = FolderContents(
        values=Counter(dict.fromkeys(values, 10)),
        holding=Counter(dict.fromkeys(values, 3)),
        solid={*values},
        plain=["masks/1.png"],
    )
    for name, fact in facts.items():
        setattr(found, name, fact)
    return found


def meant(found, names=None, **asked):
    """The guess, where `names` (a list, or a table) stand in a file beside the images."""
    file = ClassNames()
    if names is not None:
        listed = isinstance(names, list)
        file = ClassNames({} if listed else names, names if listed else [], BESIDE)
    return meaning.guess_meaning(found, file, Asked(**asked))


def guess(*values, names=None, **asked):
    found = meant(holding(*values), names, **asked)
    return found.classes, found.background, found.values


@pytest.mark.parametrize("values", [(0, 1), (0, 255), ("#000000", "#ffffff")])
def test_two_values_of_which_one_is_0_are_background_and_foreground(values):
    classes, background, table = guess(*values)
    assert (classes, background) == (["background", "foreground"], "background")
    if values != (0, 1):
        assert table == {values[0]: "background", values[1]: "foreground"}
    named = guess(*values, classes=("membrane", "cell"))
    assert named[:2] == (["membrane", "cell"], None)


def test_ids_need_no_table():
    assert guess(0, 1) == (["background", "foreground"], "background", None)
    assert guess(0, 1, 2) == (["class_0", "class_1", "class_2"], None, None)
    assert guess(0, 1, classes=("bg", "cell")) == (["bg", "cell"], "bg", None)
    # a class that no mask holds
    assert guess(0, 2, classes=("a", "b", "c")) == (["a", "b", "c"], None, None)
    assert guess(0, 2, names=["a", "b", "c"]) == (["a", "b", "c"], None, None)


def test_255_beside_ids_is_ignored():
    assert guess(0, 1, 2, 255) == (["class_0", "class_1", "class_2"], None, None)
    assert guess(0, 1, 255, classes=("a", "b")) == (["a", "b"], None, None)
    assert guess(0, 1, 255, classes=("a", "b", "c")) == (
        ["a", "b", "c"],
        None,
        {0: "a", 1: "b", 255: "c"},
    )


def test_another_value_is_ignored_by_the_table():
    assert guess(0, 1, 11, classes=("sky", "road"), ignore=11)[2] == {
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
    assert guess("#00ff00", "#000000", classes=("road", "tree"))[2] == {
        "#000000": "road",
        "#00ff00": "tree",
    }
    assert guess("#00ff00", "#0000ff", "#000000", ignore="#000000")[2] == {
        "#000000": "ignore", "#0000ff": "class_0", "#00ff00": "class_1"}  # fmt: skip


def test_a_file_names_values_and_says_what_is_ignored():
    named = {0: "sky", 1: "road", 2: "ignore", 3: "car"}
    assert guess(0, 1, 2, names=named) == (["sky", "road", "car"], None, named)
    # 255 beside what the file names is ignored
    found = meant(holding(0, 1, 7, 255), {0: "sky", 1: "road", 7: "car"})
    assert found.classes == ["sky", "road", "car"]
    assert set(found.values) == {0, 1, 7}


def test_names_in_an_order_are_of_the_values_in_theirs():
    assert guess(0, 255, names=["wall", "cell"])[2] == {0: "wall", 255: "cell"}
    assert guess(0, 128, 255, names=["a", "b", "c"])[2] == {0: "a", 128: "b", 255: "c"}
    assert guess(7, 9, names={1: "a", 2: "b"})[2] == {7: "a", 9: "b"}
    found = meant(holding(0, 100, 200), ["cat", "dog"])
    assert found.values == {0: "background", 100: "cat", 200: "dog"}
    assert "the first value is the background" in found.notes[0]


@pytest.mark.parametrize(
    "names", [["a", "b", "c", "d", "e"], {17: "a", 18: "b", 19: "c"}, {"#ff0000": "a"}]
)
def test_names_that_have_nothing_to_do_with_the_values_are_passed_by_and_told(names):
    found = meant(holding(0, 255), names)
    assert found.classes == ["background", "foreground"]
    assert len(found.notes) == 1
    assert "classes.txt names" in found.notes[0]
    assert "it is passed by: --classes A,B,.. names them" in found.notes[0]


def test_names_of_most_values_stop_the_import():
    with pytest.raises(MaskmillError) as raised:
        guess(0, 1, 5, names={0: "a", 1: "b"})
    assert (
        "masks hold 5, which the file of class names, cells/classes.txt, lacks; add them, or give "
        "--ignore VALUE or --classes" in str(raised.value)
    )
    assert guess(0, 1, 5, names={0: "a", 1: "b"}, ignore=5)[0] == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "asked", "said"),
    [
        (
            (0, 1, 11),
            {"classes": ("a", "b")},
            "--classes names 2 (a, b); masks hold 3 values: 0 (33.33%), 1 (33.33%), 11",
        ),
        ((0, 1), {"ignore": 7}, "--ignore: no mask holds 7; they hold 0 (50.00%), 1 (50.00%)"),
        (
            (0, 1),
            {"background": "cell"},
            "--background: 'cell' is none of the classes background, foreground, nor `none`",
        ),
        (tuple(range(0, 100, 2)), {}, "masks hold 50 values, 0, 2, 4"),
        (tuple(range(251)), {}, "251 classes; from 2 to 250 can be learnt"),
        ((0, 1, 2), {"classes": ("a", "a", "b")}, "--classes: a, a, b names a class twice"),
        ((0,), {}, "1 classes; from 2 to 250 can be learnt"),
        (
            (0, 1, 2),
            {"values": {0: "a", 1: "b"}},
            "--values: masks hold 2 (100.00%), too; add them, or give --ignore VALUE",
        ),
        (
            (0, 1),
            {"values": {0: "a", 1: "b", 7: "c"}},
            "--values: no mask holds 7; they hold 0 (50.00%), 1 (50.00%)",
        ),
        (
            (0, 1, 2),
            {"threshold": 1, "classes": ("a", "b", "c")},
            "--threshold: divides values in two; --classes names 3: name two",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_what_was_found(values, asked, said):
    with pytest.raises(MaskmillError) as raised:
        guess(*values, **asked)
    assert said in str(raised.value)


def test_a_table_of_ones_own_is_the_meaning():
    table = {0: "sky", 7: "road", 8: "road", 9: "ignore"}
    assert guess(0, 7, 8, 9, values=table, background="sky") == (["sky", "road"], "sky", table)
    assert guess(0, 7, 9, values={0: "sky", 7: "road"}, ignore=9)[2][9] == "ignore"


def test_other_colours_count_as_the_nearest_where_that_is_asked():
    table = {"#ff0000": "a", "#00ff00": "b"}
    found = meant(holding("#ff0000", "#fe0101", "#00ff00"), values=table, nearest=True)
    assert (found.values, found.nearest_colour) == (table, True)
    assert found.notes == ["1 other colours count as the nearest named one"]
    assert not meant(holding("#ff0000", "#00ff00"), values=table, nearest=True).nearest_colour


def test_a_threshold_makes_two_classes():
    for asked, classes, background in (
        ({}, ["background", "foreground"], "background"),
        ({"classes": ("cell",)}, ["background", "cell"], "background"),
        ({"classes": ("wall", "cell")}, ["wall", "cell"], "wall"),
        ({"classes": ("wall", "cell"), "background": "none"}, ["wall", "cell"], None),
    ):
        found = meant(holding(*range(256)), threshold=128, **asked)
        assert (found.classes, found.background, found.threshold, found.values) == (
            classes, background, 128, None,
        )  # fmt: skip


def test_masks_of_0_and_1_beside_masks_of_0_and_255_mean_one_thing():
    found = meant(holding(0, 1, 255, holding=Counter({0: 12, 1: 6, 255: 6})))
    assert found.values == {0: "background", 1: "foreground", 255: "foreground"}
    assert "6 masks hold 0 and 1, 6 hold 0 and 255: two conventions" in found.notes[0]
    # one mask holds both: 255 is void
    both = meant(holding(0, 1, 255, pairs_of_values=Counter({(1, 255): 1})))
    assert (both.classes, both.values, both.notes) == (["background", "foreground"], None, [])
    # what the user says counts, and what a file says
    assert guess(0, 1, 255, ignore=255) == (["background", "foreground"], "background", None)
    assert guess(0, 1, 255, classes=("a", "b", "c"))[0] == ["a", "b", "c"]
    assert guess(0, 1, 255, names={0: "sky", 1: "road", 255: "ignore"})[2] is None
    assert guess(0, 1, 255, names=["sky", "road"])[2] == {0: "sky", 1: "road", 255: "road"}


NUMBERED = {"numbered": Counter({2: 2, 3: 2, 5: 1}), "plain": [f"masks/{i}.png" for i in range(5)]}


def test_a_number_per_object_is_told_and_becomes_one_class():
    found = meant(holding(0, 1, 2, 3, 4, 5, **NUMBERED))
    assert (found.classes, found.background, found.threshold) == (
        ["background", "object"], "background", 1,
    )  # fmt: skip
    assert "a number per object" in found.notes[0]
    two = meant(holding(0, 1, 2, 3, 4, 5, **NUMBERED), ["wall", "cell"])
    assert (two.classes, two.background, two.threshold) == (["wall", "cell"], "wall", 1)
    assert "every number above 0 is `cell`" in two.notes[0]
    named = meant(holding(0, 1, 2, 3, 4, 5, **NUMBERED), list("abcdef"))
    assert (named.classes, named.threshold) == (list("abcdef"), None)
    # masks that all hold the same numbers are of classes
    same = holding(0, 1, 2, 3, numbered=Counter({3: 5}), plain=NUMBERED["plain"])
    assert meant(same).threshold is None


def refusal(found, **asked):
    with pytest.raises(MaskmillError) as raised:
        meant(found, **asked)
    return str(raised.value)


def test_blurred_black_and_white_is_refused_with_the_line_that_helps():
    found = holding(*range(9), *range(247, 256), lossy=["masks/1.jpg"])
    said = refusal(found)
    assert (
        "masks hold 18 values, 100.0% of the pixels near 0 or 255 (1 of them are JPEG or the "
        "like): two classes with blurred edges. --threshold 128" in said
    )
    assert meant(found, threshold=128).threshold == 128


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ((0, 1, 7, 30, 255), set()),  # ids with gaps, and void
        ((0, 60, 120, 255), set()),  # rare classes that fill areas
    ],
)
def test_ids_with_gaps_and_void_are_not_taken_for_blurred_edges(values, edges):
    found = holding(*values, edges=edges)
    found.values[0] = 10_000
    assert len(meant(found).classes) == len(values)


def test_grey_values_on_edges_alone_are_blurred_though_saved_without_loss():
    found = holding(0, 60, 120, 180, 255, solid={0, 255}, edges={60, 120, 180})
    found.values[0] = found.values[255] = 1000
    assert "98.5% of the pixels near 0 or 255: two classes with blurred edges" in refusal(found)


def test_masks_that_were_saved_with_loss_are_refused():
    said = refusal(holding(0, 60, 120, 180, 240, lossy=["masks/1.jpg"]))
    assert (
        "1 masks were saved with loss, which changes ids: masks/1.jpg. Export them as PNG" in said
    )


def test_colours_on_thin_edges_alone_are_refused_and_the_advice_works():
    soft = [f"#{i:02x}0000" for i in (40, 80, 120)]
    found = holding("#000000", "#ff0000", *soft, solid={"#000000", "#ff0000"}, edges={*soft})
    found.values["#000000"] = found.values["#ff0000"] = 1000
    said = refusal(found)
    assert "masks hold 3 colours on thin edges alone beside 2 that fill areas" in said
    table = re.search(r'--values "(.*)" --nearest', said)[1]
    advised = meant(found, values=options.table_of_values(table), nearest=True)
    assert advised.nearest_colour
    assert [*advised.values] == ["#000000", "#ff0000"]
    # rare classes that fill areas somewhere are no edges
    found.solid |= {*soft}
    assert len(meant(found).classes) == 5


def test_values_of_masks_whose_shapes_nobody_looked_at_are_no_edges():
    found = holding(*range(8), solid={0, 1}, edges=set())
    assert len(meant(found).classes) == 8


def test_what_one_class_everywhere_scores():
    found = {0: 25, 255: 75}
    two = meant(holding(0, 255))
    assert meaning.pixels_of_classes(found, two) == {"background": 25, "foreground": 75}
    name, score = meaning.best_constant_class(found, two)
    assert (name, score) == ("foreground", pytest.approx(2 * 75 / 175))
    divided = meant(holding(*range(256)), threshold=128)
    assert meaning.pixels_of_classes({0: 1, 127: 2, 128: 4, 255: 8}, divided) == {
        "background": 3, "foreground": 12,
    }  # fmt: skip
