import numpy as np
import pytest

from maskmill.importing import grouping

CAMVID = [
    "0001TP_006690",
    "0001TP_006720",
    "0016E5_00390",
    "0016E5_00420",
    "Seq05VD_f01110",
    "Seq05VD_f01140",
]


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (CAMVID, grouping.PATTERNS[2]),
        (["p1/slice_1", "p1/slice_2", "p2/slice_1", "p2/slice_2"], grouping.PATTERNS[0]),
        (["p1/left", "p1/right", "p2/left", "p2/right"], grouping.PATTERNS[1]),
        (["img_1", "img_2", "img_3"], None),  # one prefix
        (["a_1", "b_2", "c_3"], None),  # every prefix once
        (["a_1", "a_2", "b"], None),  # not all
        (["0", "1", "2"], None),
    ],
)
def test_prefix_and_frame_number_make_groups(names, pattern):
    assert grouping.guess_pattern(names) == pattern


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
