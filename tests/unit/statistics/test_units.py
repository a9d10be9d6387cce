import numpy as np
import pandas as pd
import pytest

from maskmill.settings.config import Intervals
from maskmill.statistics import units


def settings(unit="auto", block=5):
    return Intervals(confidence=0.95, resamples=200, unit=unit, block=block, seed=0)


def table(*rows):
    """A manifest of (group, sequence, orders), in that order."""
    listed = [
        {
            "id": f"{group}-{sequence}-{place:04d}",
            "group": group,
            "sequence": sequence or group,
            "order": order,
        }
        for group, sequence, orders in rows
        for place, order in enumerate(orders)
    ]
    return pd.DataFrame(listed)


def sets(manifest, **choices):
    """The units as lists of ids."""
    ids = manifest["id"].tolist()
    made = units.units_of_images(ids, manifest, settings(**choices))
    return [sorted(part) for _, part in pd.Series(ids).groupby(made)]


def words(manifest, rows=slice(None), **choices):
    ids, chosen = manifest["id"].tolist(), settings(**choices)
    return units.caveat_of_units(
        units.units_of_images(ids, manifest, chosen)[rows], ids[rows], manifest, chosen
    )


def test_a_group_is_one_unit():
    manifest = table(("a", "", range(3)), ("b", "", range(2)))
    assert [len(unit) for unit in sets(manifest, unit="group")] == [3, 2]


def test_a_block_holds_images_that_follow_each_other():
    manifest = table(("a", "", range(10)), ("b", "", range(10)))
    for unit in sets(manifest, unit="block"):
        places = [int(name[-4:]) for name in unit]
        assert places == list(range(places[0], places[0] + 5))
        assert len({name[0] for name in unit}) == 1


def test_blocks_go_by_rank_so_that_frames_numbered_30_apart_are_neighbours():
    assert [len(unit) for unit in sets(table(("a", "", range(0, 300, 30))), unit="block")] == [5, 5]


def test_blocks_go_by_order_and_not_by_name():
    manifest = table(("a", "", [9, 0, 8, 1, 7, 2, 6, 3, 5, 4]))
    first = sets(manifest, unit="block")[0]
    assert sorted(manifest[manifest["id"].isin(first)]["order"]) == [0, 1, 2, 3, 4]


def test_a_block_is_never_smaller_than_asked_for_unless_the_group_is():
    assert [
        len(unit) for unit in sets(table(("a", "", range(14)), ("b", "", range(3))), unit="block")
    ] == [7, 7, 3]


def test_a_block_does_not_reach_over_sequences():
    manifest = table(("patient", "left", range(5)), ("patient", "right", range(5)))
    assert all(
        len({name.split("-")[1] for name in unit}) == 1 for unit in sets(manifest, unit="block")
    )


@pytest.mark.parametrize(
    "orders", [[0] * 10, [np.nan] * 10, [*range(9), 8]], ids=["equal", "missing", "one twice"]
)
def test_a_group_without_an_order_stays_whole(orders):
    assert [
        len(unit) for unit in sets(table(("a", "", orders), ("b", "", range(10))), unit="block")
    ] == [10, 5, 5]


def test_auto_takes_groups_where_there_are_five_else_blocks():
    assert len(sets(table(*((f"g{i:02d}", "", range(10)) for i in range(5))))) == 5
    assert len(sets(table(*((f"g{i:02d}", "", range(10)) for i in range(4))))) == 8


def test_units_are_independent_where_none_is_a_part_of_a_group():
    manifest = table(("a", "", range(10)), ("b", "", range(3)))
    ids = manifest["id"].tolist()
    found = {
        unit: units.are_independent(
            units.units_of_images(ids, manifest, settings(unit=unit)), ids, manifest
        )
        for unit in ("group", "block", "image")
    }
    assert found == {"group": True, "block": False, "image": False}
    single = table(*((f"g{i}", "", [0]) for i in range(3)))
    ids = single["id"].tolist()
    assert units.are_independent(
        units.units_of_images(ids, single, settings(unit="image")), ids, single
    )


def test_the_shipped_test_slab_is_five_blocks():
    assert [len(unit) for unit in sets(table(("z076-100", "icbm152", range(76, 101))))] == [5] * 5


def test_units_do_not_depend_on_the_order_of_the_images():
    manifest = table(("a", "", range(12)), ("b", "", range(7)))
    ids = manifest["id"].tolist()
    made = dict(zip(ids, units.units_of_images(ids, manifest, settings()), strict=True))
    again = dict(
        zip(ids[::-1], units.units_of_images(ids[::-1], manifest[::-1], settings()), strict=True)
    )
    assert made == again


def test_names_that_look_like_those_of_blocks_are_no_trap():
    assert (
        len(
            sets(
                table(("a", "", range(10)), ("a 1", "", range(5)), ("a", "a 1", range(5))),
                unit="block",
            )
        )
        == 4
    )


def test_too_few_units_are_said():
    assert (
        words(table(("z076-100", "", range(25))))
        == "5 blocks of 5 contiguous images in 1 group: too few independent units (n < 20) for a"
        " claim; blocks of one group say nothing about other groups, and their intervals are too"
        " narrow where neighbours are alike"
    )
    assert (
        words(table(("a", "", [0] * 9), ("b", "", [0] * 3)), unit="group")
        == "2 groups: too few independent units (n < 20) for a claim"
    )


def test_enough_groups_need_no_words():
    assert words(table(*((f"g{i:02d}", "", range(3)) for i in range(20)))) == ""
    assert words(table(*((f"g{i:02d}", "", range(1)) for i in range(20))), unit="image") == ""


def test_many_blocks_of_few_groups_are_said_to_speak_of_those_groups():
    assert (
        words(table(("a", "", range(101)), ("b", "", range(50))))
        == "30 blocks of 5 to 6 contiguous images in 2 groups: blocks of one group say nothing"
        " about other groups, and their intervals are too narrow where neighbours are alike"
    )


def test_images_of_groups_that_are_resampled_one_by_one_are_said():
    assert (
        words(table(("a", "", range(40)), ("b", "", range(2))), unit="image")
        == "42 images of 2 groups: images of one group are alike, so the intervals are too narrow"
        " (intervals.unit)"
    )


def test_groups_that_are_parts_of_one_sequence_are_said():
    assert (
        words(table(*((f"slab{i:02d}", "volume", range(3 * i, 3 * i + 3)) for i in range(20))))
        == "20 groups of 1 sequence: parts of one sequence say nothing about other sequences"
    )


def test_words_for_a_part_of_the_images_count_that_part():
    manifest = table(*((f"g{i:02d}", "", range(2)) for i in range(20)))
    assert (
        words(manifest, slice(0, 10)) == "5 groups: too few independent units (n < 20) for a claim"
    )
