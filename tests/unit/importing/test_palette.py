import re
from itertools import combinations

from maskmill.importing import palette


def test_the_background_is_black_and_every_class_has_its_colour():
    made = palette.choose_colours(["cell", "background", "wall"], "background")
    assert list(made) == ["cell", "background", "wall"]
    assert made["background"] == "#000000"
    assert "#000000" not in palette.choose_colours(["cell", "wall"], None).values()


def test_colours_stay_apart_for_colour_blind_readers():
    made = palette.choose_colours([f"c{i}" for i in range(20)], None)
    # 2.3 is just noticeable
    assert min(palette.colour_distance(a, b) for a, b in combinations(made.values(), 2)) > 10
    # green and brown
    assert (
        palette.colour_distance("#008000", "#B06000")
        < palette.colour_distance("#008000", "#0000FF") / 4
    )


def test_there_are_colours_for_as_many_classes_as_can_be_learnt():
    made = palette.choose_colours([f"c{i}" for i in range(250)], "c0")
    assert len(set(made.values())) == 250
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in made.values())
