"""Names of images and of their masks."""

import pytest

from maskmill.sources import _pairing


def pair(images, masks, *, one_folder=False):
    return [
        (found.image, found.mask, found.matched, found.pairing)
        for found in _pairing.pair_names(images, masks, one_folder=one_folder)
    ]


@pytest.mark.parametrize(
    ("images", "masks", "found"),
    [
        (["a", "b"], ["b", "a"], [("{name}", "{name}", 2, "exact")]),
        # half of the images have no mask yet
        (["a", "b", "c", "d"], ["b", "a"], [("{name}", "{name}", 2, "exact")]),
        (["a", "b"], ["a_mask", "b_mask"], [("{name}", "{name}_mask", 2, "exact")]),
        (["1_rgb", "2_rgb"], ["1_gt", "2_gt"], [("{name}_rgb", "{name}_gt", 2, "exact")]),
        (
            ["image_1", "image_22"],
            ["mask_1", "mask_22"],
            [("image_{name}", "mask_{name}", 2, "exact")],
        ),
        (["c_1_0000", "c_2_0000"], ["c_1", "c_2"], [("{name}_0000", "{name}", 2, "exact")]),
        (["1", "12"], ["0001", "0012"], [("{name}", "{name}", 2, "numbers")]),
        (["Img_1", "IMG_2"], ["img_1", "img_2"], [("{name}", "{name}", 2, "case")]),
        (
            ["1", "2"],
            ["cat/1", "dog/1", "dog/2"],
            [("{name}", "{class}/{name}", 2, "exact")],
        ),
        (
            ["a", "b"],
            ["a_mask", "a_mask_1", "b_mask"],
            [("{name}", "{name}_mask{object}", 2, "exact")],
        ),
        (["a", "b"], ["c", "d"], []),
    ],
)
def test_names_of_two_folders_pair(images, masks, found):
    assert pair(images, masks) == found


def test_two_masks_of_each_image_are_both_told():
    masks = ["1_gt_colour", "1_gt_ids", "2_gt_colour", "2_gt_ids"]
    assert {found[1] for found in pair(["1_left", "2_left"], masks)} == {
        "{name}_gt_colour",
        "{name}_gt_ids",
    }


def test_a_longer_name_takes_the_mask_that_begins_with_two():
    images = ["a", "a_2"]
    assert pair(images, ["a_mask", "a_2_mask"]) == [("{name}", "{name}_mask", 2, "exact")]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a", "a_mask", "b", "b_mask"], [("{name}", "{name}_mask", 2, "exact")]),
        (
            ["a_image", "a_label", "b_image", "b_label"],
            [("{name}_image", "{name}_label", 2, "exact")],
        ),
        (["a", "a_mask", "a_mask_1"], [("{name}", "{name}_mask{object}", 1, "exact")]),
        (["a_1", "a_2", "b_1"], []),
        (["a", "b"], []),
    ],
)
def test_names_of_one_folder_pair(names, found):
    assert pair(names, names, one_folder=True) == found


def test_numbers_that_would_be_one_are_not_taken_for_each_other():
    assert pair(["1", "01"], ["001"]) == []
