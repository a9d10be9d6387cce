"""Lists are read as other programs write them."""

from pathlib import Path

import pytest

from tests.strangers import lists
from tests.strangers.outcome import Build, Outcome, check_outcome, import_plan

CASES: dict[Build, Outcome] = {
    lists.semicolons_and_bom: Outcome(
        groups={"foto__0": "p0", "foto__2": "p0", "foto__11": "p3"},
        notes=("the column patient is taken for the group",),
    ),
    lists.windows_paths: Outcome(),
    lists.columns_of_paths: Outcome(),
    lists.bare_names: Outcome(
        splits={"train": 6, "val": 3, "test": 3},
        notes=("column image are found in images/", "column mask are found in masks/"),
    ),
    lists.a_list_per_split: Outcome(splits={"train": 8, "val": 2, "test": 2}),
    lists.utf_16: Outcome(),
}


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_a_list_is_read_as_it_was_written(folder: Path, build: Build):
    check_outcome(folder, build(folder), CASES[build])


def test_a_column_that_is_no_part_of_the_import_is_named(folder: Path):
    lists.columns_of_paths(folder)
    assert "not used: fold" in import_plan(folder).layout.told


def test_the_file_that_a_list_names_and_that_is_nowhere_is_named(folder: Path):
    lists.bare_names(folder)
    (folder / "images/7.jpg").unlink()
    (note,) = [note for note in import_plan(folder).notes if "split.csv" in note]
    assert "7.jpg is nowhere in" in note
