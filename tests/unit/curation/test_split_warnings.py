"""What the page and the stage say of a division that shows little."""

import pandas as pd

from maskmill.curation.split_warnings import warn_of_splits

CLASSES = ("back", "disc")


def table(*rows):
    """A manifest of (group, split, pixels of disc)."""
    made = pd.DataFrame(list(rows), columns=["group", "split", "px_disc"])
    return made.assign(px_back=100.0)


FULL = [(f"{split}{i}", split, 9.0) for split in ("train", "val", "test") for i in (0, 1)]


def test_nothing_is_said_of_splits_of_several_groups_with_every_class():
    assert warn_of_splits(table(*FULL), CLASSES, given=False) == []


def test_splits_of_one_group_are_named():
    few = [row for row in FULL if row[0] not in ("val1", "test0")]
    (said,) = warn_of_splits(table(*few, ("z", "", 9.0)), CLASSES, given=False)
    assert said.startswith("val holds one group, val0, test holds one group, test1: a score tells")


def test_a_training_of_one_group_is_told_for_itself():
    few = [row for row in FULL if row[0] != "train1"]
    (said,) = warn_of_splits(table(*few), CLASSES, given=False)
    assert said == ("train holds one group, train0: a model learns what is so in that one alone")


def test_a_class_that_a_split_lacks_is_told_with_what_helps():
    lacking = [(group, split, 9.0 * (split != "test")) for group, split, _ in FULL]
    (said,) = warn_of_splits(table(*lacking), CLASSES, given=False)
    assert said == (
        "class disc is not scored in test: only 4 groups (train0, train1, val0, val1) hold it;"
        " data/splits.csv can give each split one of them"
    )
    (said,) = warn_of_splits(table(*lacking), CLASSES, given=True)
    assert said.endswith("splits.given: false in params.yaml gives every split its share")


def test_a_class_of_too_few_groups_asks_for_more_images():
    lacking = [(group, split, 9.0 * (group == "val0")) for group, split, _ in FULL]
    (said,) = warn_of_splits(table(*lacking), CLASSES, given=False)
    assert said == (
        "class disc is not learned in train and not scored in test: only 1 group (val0) holds it;"
        " each split needs a group of its own with it: add images that hold disc"
    )


def test_a_class_that_is_nowhere_is_no_matter_of_the_splits():
    nowhere = [(group, split, 0.0) for group, split, _ in FULL]
    assert warn_of_splits(table(*nowhere), CLASSES, given=False) == []
