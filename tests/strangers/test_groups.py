"""What belongs together is one group; kinds and cameras are none, and that is said."""

from pathlib import Path

import pytest

from tests.strangers import groups
from tests.strangers.outcome import (
    Build,
    Outcome,
    advised,
    check_outcome,
    import_plan,
)

KINDS = "taken for kinds, so every image stands alone"
CASES: dict[Build, Outcome] = {
    groups.tiles_of_scenes: Outcome(
        ("class_0", "class_1", "class_2"),
        None,
        groups={"scene0_0_0": "scene0", "scene0_2_3": "scene0", "scene5_1_0": "scene5"},
    ),
    groups.both_sides_of_patients: Outcome(
        groups={"P00_L_000": "P00", "P00_R_002": "P00", "P05_L_001": "P05"}
    ),
    groups.kinds_of_damage: Outcome(notes=(KINDS,)),
    groups.two_cameras: Outcome(notes=(KINDS,)),
    groups.augmented_copies: Outcome(
        groups={
            "im0_jpg.rf.00000000": "im0",
            "im0_jpg.rf.00033232": "im0",
            "im7_jpg.rf.0000d889": "im7",
        }
    ),
    groups.patients_without_separator: Outcome(groups={"p00s000": "p00", "p05s003": "p05"}),
    groups.two_seasons: Outcome(),
}


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_a_group_is_a_patient_or_a_scene_and_no_kind(folder: Path, build: Build):
    check_outcome(folder, build(folder), CASES[build])


@pytest.mark.parametrize("build", [groups.kinds_of_damage, groups.two_cameras])
def test_kinds_are_groups_by_the_advised_pattern(folder: Path, build: Build):
    names = build(folder)
    (note,) = import_plan(folder).notes
    (wishes,) = advised(note)
    plan = import_plan(folder, **wishes)
    assert {pair.id: pair.group for pair in plan.pairs} == {
        name: name.partition("_")[0] for name in names
    }
