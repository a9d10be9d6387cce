"""Folders that people have, and how data/source.yaml says what they are."""

import numpy as np
import pytest

from maskmill.images import decode
from maskmill.sources import _files, folder
from maskmill.system.errors import MaskmillError


@pytest.fixture
def recognised(tmp_path):
    """A function: the user's choice -> the layout of the source folder."""

    def recognised(images="", masks=""):
        return folder.recognise(tmp_path, list(_files.regular_files(tmp_path)), images, masks)

    return recognised


def spread(*names, count=4):
    """Each name with a number for each `{}`."""
    return [name.replace("#", str(i)) for name in names for i in range(1, count + 1)]


CASES = {
    "a folder for each patient": (
        spread("p#/images/1.png", "p#/images/2.png", "p#/masks/1.png", "p#/masks/2.png"),
        {"images": "{folder}/images/{name}", "masks": "{folder}/masks/{name}"},
        {"p1__1", "p4__2"},
        None,
    ),
    "splits and a folder for each city": (
        [
            f"{kind.format(split)}/{city}/{city}_{i}_{end}.png"
            for split, city in (("train", "ulm"), ("train", "jena"), ("val", "bonn"))
            for kind, end in (("left/{}", "left"), ("gt/{}", "gt_labelIds"), ("gt/{}", "gt_color"))
            for i in (1, 2)
        ],
        {
            "images": "left/{split}",
            "masks": "gt/{split}",
            "image_suffix": "_left",
            "mask_suffix": "_gt_labelIds",
        },
        {"ulm__ulm_1", "bonn__bonn_2"},
        None,
    ),
    "a folder for each image, and in it a mask for each object": (
        spread("x#/images/x#.png", "x#/masks/aa#.png", "x#/masks/bb#.png"),
        {"images": "{folder}/images/{name}", "masks": "{folder}/masks/{object}"},
        {"x1", "x4"},
        ["background", "object"],
    ),
    "a folder for each class": (
        [*spread("images/#.png", "masks/cat/#.png"), "masks/dog/1.png"],
        {"images": "images/{name}", "masks": "masks/{class}/{name}"},
        {"1", "4"},
        ["background", "cat", "dog"],
    ),
    "masks beside their images, several of some": (
        [
            *spread("benign/b (#).png", "benign/b (#)_mask.png"),
            *spread("normal/n (#).png", "normal/n (#)_mask.png"),
            "benign/b (1)_mask_1.png",
        ],
        {"images": "{name}", "masks": "{name}_mask{object}"},
        {"benign__b (1)", "normal__n (4)"},
        ["background", "object"],
    ),
    "prefixes": (
        spread("images/image_#.png", "masks/mask_#.png"),
        {"images": "images/image_{name}", "masks": "masks/mask_{name}"},
        {"1", "4"},
        None,
    ),
    "nnU-Net": (
        spread("imagesTr/c_00#_0000.png", "labelsTr/c_00#.png"),
        {"images": "imagesTr", "masks": "labelsTr", "image_suffix": "_0000"},
        {"c_001", "c_004"},
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_layout_is_recognised_and_the_source_reads_it(name, source, recognised, read):
    files, options, ids, classes = CASES[name]
    source(*files)
    found = recognised()
    assert {key: found.config[key] for key in options} == options
    assert found.classes == classes
    pairs = read(**found.config)
    assert ids <= {pair.id for pair in pairs}
    assert all(pair.image and pair.mask for pair in pairs)


def test_lists_of_names_give_the_split(source, recognised, read):
    top = source(*spread("JPEGImages/#.png", "SegmentationClass/#.png", "SegmentationObject/#.png"))
    (top / "sets").mkdir()
    for name, text in {"train": "1\n2\n", "val": "3\n", "trainval": "1\n2\n3\n"}.items():
        (top / f"sets/{name}.txt").write_text(text)
    found = recognised()
    assert found.config["lists"] == {"train": "sets/train.txt", "val": "sets/val.txt"}
    assert found.config["masks"] == "SegmentationClass"
    assert found.files == [top / "sets/train.txt", top / "sets/val.txt"]
    assert [(pair.id, pair.split) for pair in read(**found.config)] == [
        ("1", "train"), ("2", "train"), ("3", "val"),
    ]  # fmt: skip
    unused = {why: [path.name for path in paths] for why, paths in found.unused.items()}
    assert unused["images that no list names"] == ["4.png", "4.png"]
    (top / "sets/train.txt").write_text("1 1\nwhat\n")
    assert "lists" not in recognised().config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({"train": "1\n9\n"}, "train.txt, line 2: no image is called '9'"),
        ({"train": "1\n", "val": "1\n"}, "val.txt, line 1: 1 is in train already; name it once"),
        ({"dev": "1\n"}, "kind.lists: 'dev' is no split; allowed are train, val, test"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_with_its_line(source, refusal, text, said):
    top = source("images/1.png", "masks/1.png")
    for split, names in text.items():
        (top / f"{split}.txt").write_text(names)
    assert said in refusal(kind="folder", lists={split: f"{split}.txt" for split in text})


def test_images_without_a_mask_are_left_out_and_told(source, recognised, read):
    source(*spread("images/#.png"), "masks/1.png", "masks/2.png", "masks/old.png", "notes.md")
    found = recognised()
    assert found.config["unpaired"] == "leave_out"
    assert [pair.id for pair in read(**found.config)] == ["1", "2"]
    unused = {why: [path.name for path in paths] for why, paths in found.unused.items()}
    assert unused == {
        "images without a mask; `maskmill predict` is for them": ["3.png", "4.png"],
        "masks without an image": ["old.png"],
        "other files (.md)": ["notes.md"],
    }


def test_a_split_without_masks_is_left_out_whole(source, recognised, read):
    source(*spread("train/images/#.png", "train/masks/#.png", "test/images/9#.png"))
    found = recognised()
    assert (found.config["images"], found.config["masks"]) == ("train/images", "train/masks")
    assert [pair.split for pair in read(**found.config)] == [""] * 4
    (left_out,) = found.unused.values()
    assert [path.name for path in left_out] == [f"9{i}.png" for i in range(1, 5)]


def test_an_image_without_a_mask_can_be_background_alone(source, read, data):
    source(*spread("images/#.png"), "masks/1.png")
    first, second, *_ = read(kind="folder", unpaired="background")
    assert first.mask.name == "1.png"
    mask = second.mask()
    assert (mask.shape, np.unique(mask).tolist()) == ((4, 6), [data.classes.index(data.background)])


def test_folders_that_could_both_be_the_truth_are_never_chosen_between(source, recognised):
    source(*spread("images/#.png", "manual/#.png", "mask/#_mask.png"))
    with pytest.raises(MaskmillError) as raised:
        recognised()
    assert str(raised.value).endswith(
        ": masks could be manual/{name}, mask/{name}_mask: each pairs with the images; say which "
        "by --masks manual"
    )
    # the advice is followed
    assert recognised(masks="manual").config == {
        "kind": "folder", "images": "images", "masks": "manual",
    }  # fmt: skip
    found = recognised(masks="mask")
    assert found.config["mask_suffix"] == "_mask"
    assert [len(paths) for why, paths in found.unused.items() if "manual" in why] == [4]


def test_two_folders_of_images_are_never_chosen_between(source, recognised):
    source(*spread("images_t1/#.png", "images_t2/#.png", "masks/#.png"))
    with pytest.raises(MaskmillError, match=r"images could be images_t1/{name}, images_t2/{name}"):
        recognised()
    assert recognised(images="images_t2").config["images"] == "images_t2"


@pytest.fixture
def told_by_pixels(tmp_path):
    """Photographs in `eins`, masks in `zwei`: names that say nothing."""
    rng = np.random.default_rng(0)
    for i in range(3):
        decode.write_png(tmp_path / f"eins/{i}.png", rng.integers(0, 255, (30, 30), np.uint8))
        decode.write_png(tmp_path / f"zwei/{i}.png", rng.integers(0, 3, (30, 30), np.uint8))
    return {"kind": "folder", "images": "eins", "masks": "zwei"}


def test_of_folders_whose_names_say_nothing_that_of_few_values_holds_the_masks(
    told_by_pixels, recognised
):
    assert recognised().config == told_by_pixels
    assert recognised(masks="eins").config == told_by_pixels | {"images": "zwei", "masks": "eins"}
    assert recognised(masks="zwei/").config == told_by_pixels


def test_paths_of_ones_own_are_taken(told_by_pixels, recognised):
    assert recognised("eins/{name}", "zwei/{name}").config == told_by_pixels
    for images, masks, said in (
        ("eins/{name}", "zwei", "--masks: got 'zwei'; needed is a path with {name} in it"),
        ("{eins}/{name}", "zwei/{name}", "--images: '{eins}/{name}' holds {eins}; allowed are"),
        ("drei", "", "--images drei: no pictures are there; there are in eins, zwei"),
    ):
        with pytest.raises(MaskmillError) as raised:
            recognised(images, masks)
        assert said in str(raised.value)


@pytest.mark.parametrize(
    ("names", "pairing"),
    [
        (["images/1.png", "images/2.png", "masks/001.png", "masks/002.png"], "numbers"),
        (["images/IMG_a.png", "images/IMG_b.png", "masks/img_a.png", "masks/img_b.png"], "case"),
    ],
)
def test_names_that_are_equal_but_for_zeros_or_capitals_pair_and_that_is_told(
    names, pairing, source, recognised, read
):
    source(*names)
    found = recognised()
    assert found.config["pairing"] == pairing
    assert len(found.notes) == 1
    pairs = read(**found.config)
    assert [pair.mask.name[-5:] for pair in pairs] == [pair.image.name[-5:] for pair in pairs]


def test_pictures_that_do_not_pair_are_no_layout(source, recognised):
    source("photos/a.png", "photos/b.png")
    assert recognised() is None


def test_six_hundred_folders_are_told_in_a_few_words(source, recognised):
    source(*spread("x#/images/x#.png", "x#/masks/aa#.png", count=600))
    assert len(recognised().told) < 200


def test_the_source_file_of_a_layout_reads_what_comes_later(source, recognised, read):
    """A new patient needs no new settings."""
    source(*spread("p#/images/1.png", "p#/masks/1.png", count=3))
    config = recognised().config
    source("p9/images/1.png", "p9/masks/1.png")
    assert "p9__1" in {pair.id for pair in read(**config)}
