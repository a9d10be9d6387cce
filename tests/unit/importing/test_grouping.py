import itertools
import re

import numpy as np
import pytest

from maskmill.importing import grouping
from maskmill.sources import _names

CAMVID = [
    "0001TP_006690",
    "0001TP_006720",
    "0016E5_00390",
    "0016E5_00420",
    "Seq05VD_f01110",
    "Seq05VD_f01140",
]


def groups(names):
    """Group and order that the guessed pattern cuts out of each name; None without a guess."""
    pattern = grouping.guess_groups(names).pattern
    if pattern is None:
        return None
    return [(group, order) for group, _, order in _names.group_names(names, pattern, None, "here")]


def every(text, *choices):
    """The names with each choice in each place."""
    return [text.format(*chosen) for chosen in itertools.product(*choices)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # a film and its frames
        (CAMVID, {"0001TP", "0016E5", "Seq05VD"}),
        # patient before side before slice
        (every("p{}_{}_{:02d}", (1, 2, 3), ("left", "right"), (1, 2)), {"p1", "p2", "p3"}),
        (every("p{}/{}", (1, 2, 3), ("left", "right")), {"p1", "p2", "p3"}),
        (every("p{}/slice_{}", (1, 2, 3), (1, 2)), {"p1", "p2", "p3"}),
        # scene before row before column
        (every("scene{}_{}_{}", (1, 2, 3), (0, 1), (0, 1)), {"scene1", "scene2", "scene3"}),
        (every("tile_{}_{}_{}", (7, 8, 9), (0, 1), (0, 1)), {"tile_7", "tile_8", "tile_9"}),
        # no separator
        (every("p{:02d}s{:03d}", (1, 2, 3), (1, 2)), {"p01", "p02", "p03"}),
        # many words are places
        (every("{}_{}", "abcdefghijkl", (1, 2)), {*"abcdefghijkl"}),
    ],
)
def test_the_part_of_the_name_that_repeats_over_the_others_is_the_group(names, expected):
    assert {group for group, _ in groups(names)} == expected


@pytest.mark.parametrize(
    "names",
    [
        ["img_1", "img_2", "img_3"],  # one beginning
        ["a_1", "b_2", "c_3"],  # every beginning once
        ["0", "1", "2"],
        ["a_1", "a_2", "b"],  # not all
        every("{}_{}", (1, 2), (1, 2, 3)),  # two groups cannot fill three splits
        every("{}_{}", ("cat", "dog", "cow"), (1, 2, 3)),  # kinds
        every("{}_{}", ("train", "val", "test"), (1, 2, 3)),  # splits
        every("{}-{:02d}-{:02d}", (2019, 2020, 2021), (1, 2), (1, 2)),  # dates
        [],
    ],
)
def test_no_group_is_guessed_that_would_starve_a_split_or_is_none(names):
    assert groups(names) is None


def test_the_place_in_a_group_is_the_one_number_that_follows():
    assert groups(["v1_f9", "v1_f10", "v2_f1", "v2_f2", "v3_f1", "v3_f2"]) == [
        ("v1", 9), ("v1", 10), ("v2", 1), ("v2", 2), ("v3", 1), ("v3", 2),
    ]  # fmt: skip


def test_kinds_are_told_with_the_pattern_that_takes_them_for_groups():
    names = every("{}_{}", ("cat", "cow", "dog"), (1, 2, 3))
    guess = grouping.guess_groups(names)
    assert guess.note.startswith("names begin with cat, cow, dog: taken for kinds")
    advised = re.search(r"--groups '(.*)' keeps", guess.note)[1]
    found = _names.group_names(names, advised, None, "here")
    assert {group for group, *_ in found} == {"cat", "cow", "dog"}


def walk(count, size=16):
    """Pictures of which neighbours share three quarters, and others nothing."""
    noise = np.random.default_rng(1).normal(0, 1, (count + 3, size, size))
    return sum(noise[i : i + count] for i in range(4))


def test_slices_whose_neighbours_are_alike_are_a_stack():
    pictures = walk(30)
    assert grouping.is_stack([f"slice{i}" for i in range(30)], lambda place: pictures[place])


@pytest.mark.parametrize("kind", ["unlike", "all alike", "few", "no numbers", "two prefixes"])
def test_other_images_are_none(kind):
    rng = np.random.default_rng(0)
    pictures = walk(30)
    names = [f"slice{i}" for i in range(30)]
    if kind == "unlike":
        pictures = rng.normal(0, 1, pictures.shape)
    if kind == "all alike":
        pictures = rng.normal(0, 0.1, pictures.shape) + np.arange(16)
    if kind == "few":
        names = names[:9]
    if kind == "no numbers":
        names = [chr(97 + i) for i in range(30)]
    if kind == "two prefixes":
        names[0] = "other0"
    assert not grouping.is_stack(names, lambda place: pictures[place])
