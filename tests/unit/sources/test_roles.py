"""What names of folders say."""

import pytest

from maskmill.sources import _roles


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("images", "image"),
        ("JPEGImages", "image"),
        ("leftImg8bit", "image"),
        ("image_2", "image"),
        ("2_Ortho_RGB", "image"),
        ("Fotos", "image"),
        ("masks", "mask"),
        ("SegmentationClass", "mask"),
        ("gtFine", "mask"),
        ("imagesTr_labels", "mask"),  # masks of images
        ("ground-truth", "mask"),
        ("1st_manual", "mask"),
        ("p12", ""),
        ("benign", ""),
        ("unlabelling", ""),
        ("x", "image"),
        ("x1", ""),
        ("2L", ""),
    ],
)
def test_a_folder_says_images_masks_or_nothing(name, role):
    assert _roles.role_of(name) == role


@pytest.mark.parametrize(
    ("name", "derived"),
    [
        ("SegmentationObject", True),
        ("a_gtFine_color", True),
        ("a_gtFine_instanceIds", True),
        ("overlay", True),
        ("a_gtFine_labelIds", False),
        ("SegmentationClass", False),
    ],
)
def test_renderings_and_numbers_of_objects_are_told_from_classes(name, derived):
    assert _roles.is_derived(name) == derived


@pytest.mark.parametrize(
    ("name", "template", "word"),
    [
        ("train", "{split}", "train"),
        ("Validation", "{split}", "Validation"),
        ("trainannot", "{split}annot", "train"),
        ("train_labels", "{split}_labels", "train"),
        ("stage1_train", "stage1_{split}", "train"),
        ("val2017", "{split}2017", "val"),
        ("trains", "trains", ""),
        ("contest", "contest", ""),
        ("images", "images", ""),
    ],
)
def test_the_word_of_a_split_is_cut_out_of_a_name(name, template, word):
    assert _roles.split_words(name) == (template, word)
