import re
from itertools import combinations, product
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from maskmill.curation import leakage
from maskmill.settings.config import Splits
from maskmill.system.errors import MaskmillError

FROZEN = Path("data/splits.csv")
NO_PAIRS = pd.DataFrame(columns=["a", "b"])
RANK = {"train": 0, "val": 1, "test": 2}


def settings(*allow, guard=2):
    return Splits(
        given=True, val=0.2, test=0.2, seed=0, folds=None, fold=0, guard=guard, allow_leaks=allow
    )


def table(*rows):
    """Rows of (id, split) and named columns; by default each its own group, sequence, mask."""
    every = []
    for place, (name, split, *more) in enumerate(rows):
        own = {
            "group": name,
            "sequence": name,
            "order": place,
            "sha256_mask": f"mask of {name}",
            "ignored_px": 0,
        }
        every.append(
            {
                "id": name,
                "split": split,
                **own,
                "px_road": 5,
                "px_car": 5,
                **(more[0] if more else {}),
            }
        )
    return pd.DataFrame(every)


def pairs(*ids):
    return pd.DataFrame(ids, columns=["a", "b"])


def camvid():
    """CamVid's own split, by the names of its frames: sequence -> frames in train, val, test."""
    counts = {
        "0001TP": (62, 0, 62),
        "0006R0": (101, 0, 0),
        "0016E5": (204, 101, 0),
        "Seq05VD": (0, 0, 171),
    }
    rows = []
    for group, held in counts.items():
        splits = [split for split, count in zip(RANK, held, strict=True) for _ in range(count)]
        rows += [
            (f"{group}_{i:03d}", s, {"group": group, "sequence": group, "order": i})
            for i, s in enumerate(splits)
        ]
    return table(*rows)


def test_on_camvids_own_split_only_seq05vd_is_clean():
    frames = camvid()
    leaks = leakage.find_leaks(frames, NO_PAIRS, settings())
    assert [(leak.kind, leak.name, leak.splits, leak.allowed) for leak in leaks] == [
        ("group", "0001TP", ("train", "test"), False),
        ("group", "0016E5", ("train", "val"), False),
    ]
    clean = frames[leakage.mark_clean_rows(frames, leaks)]
    assert clean["split"].value_counts().to_dict() == {"train": 367, "test": 171}
    assert set(clean[clean["split"] == "test"]["group"]) == {"Seq05VD"}


def test_what_leaks_stops_with_counts_names_pairs_and_the_ways_out():
    with pytest.raises(MaskmillError) as raised:
        leakage.refuse_leaks(leakage.find_leaks(camvid(), NO_PAIRS, settings()), True, FROZEN)
    assert (
        str(raised.value)
        == "the split leaks: 163 images of val and test are tied to a split before theirs, so that"
        " scores would not tell how a model does on new ones\n- group 0001TP: 62 in train, 62 in"
        " test: 0001TP_061 and 0001TP_062, 0001TP_061 and 0001TP_063, 0001TP_061 and 0001TP_064,"
        " 0001TP_061 and 0001TP_065, 0001TP_061 and 0001TP_066 and 57 more pairs\n- group"
        " 0016E5: 204 in train, 101 in val: 0016E5_203 and 0016E5_204, 0016E5_203 and"
        " 0016E5_205, 0016E5_203 and 0016E5_206, 0016E5_203 and 0016E5_207, 0016E5_203 and"
        " 0016E5_208 and 96 more pairs\nmend the source's split, or take maskmill's own"
        " (splits.given: false in params.yaml); or delete the copies; or allow leaks by name in"
        ' params.yaml, splits.allow_leaks: ["0001TP", "0016E5"]: scores are then given over all'
        " images and over the clean ones"
    )


def test_the_line_that_allows_leaks_is_yaml_of_the_names_though_they_look_like_numbers():
    with pytest.raises(MaskmillError) as raised:
        leakage.refuse_leaks(leakage.find_leaks(camvid(), NO_PAIRS, settings()), True, FROZEN)
    said = re.search(r"allow_leaks: (\[.*\]):", str(raised.value))
    assert said
    assert YAML(typ="safe", pure=True).load(said[1]) == ["0001TP", "0016E5"]


def test_the_nearest_frames_of_a_torn_group_are_named_first():
    placed = [(1, "test"), (9, "train"), (8, "test"), (6, "test")]
    frames = table(
        *((f"f{i}", split, {"group": "g", "sequence": "g", "order": i}) for i, split in placed)
    )
    (leak,) = (
        leak
        for leak in leakage.find_leaks(frames, NO_PAIRS, settings(guard=0))
        if leak.kind == "group"
    )
    assert leak.pairs == [("f9", "f8"), ("f9", "f6"), ("f9", "f1")]


def test_where_maskmill_assigns_the_way_out_is_the_frozen_file():
    leaks = leakage.find_leaks(table(("a", "train"), ("b", "test")), pairs(("a", "b")), settings())
    with pytest.raises(
        MaskmillError, match=r"put what belongs together into one split in data/splits\.csv"
    ) as raised:
        leakage.refuse_leaks(leaks, False, FROZEN)
    assert "splits.given" not in str(raised.value)


def test_named_leaks_do_not_stop_but_are_not_clean():
    frames = camvid()
    leaks = leakage.find_leaks(frames, NO_PAIRS, settings("0001TP", "0016E5"))
    leakage.refuse_leaks(leaks, True, FROZEN)
    assert [leak.allowed for leak in leaks] == [True, True]
    assert (~leakage.mark_clean_rows(frames, leaks)).sum() == 163


def test_a_leak_that_is_not_named_still_stops():
    with pytest.raises(MaskmillError, match="group 0016E5") as raised:
        leakage.refuse_leaks(
            leakage.find_leaks(camvid(), NO_PAIRS, settings("0001TP")), True, FROZEN
        )
    assert "0001TP" not in str(raised.value)


def test_a_name_that_allows_nothing_is_an_error():
    with pytest.raises(MaskmillError) as raised:
        leakage.find_leaks(camvid(), NO_PAIRS, settings("0001TP", "0006R0", "0016E5"))
    assert (
        str(raised.value)
        == "params.yaml: splits.allow_leaks: ['0006R0'] allow no leak; named there are groups,"
        " sequences and ids that leak (0001TP, 0016E5); take the others out"
    )


def test_in_a_division_into_folds_a_name_may_allow_nothing():
    named = settings("0001TP", "0006R0", "0016E5").model_copy(update={"folds": 5})
    assert [leak.allowed for leak in leakage.find_leaks(camvid(), NO_PAIRS, named)] == [True, True]


@pytest.mark.parametrize("named", ["a", "b", "group of a", "group of b"])
def test_copies_are_allowed_by_either_id_or_group(named):
    rows = table(("a", "train", {"group": "group of a"}), ("b", "test", {"group": "group of b"}))
    (leak,) = leakage.find_leaks(rows, pairs(("a", "b")), settings(named))
    assert (leak.kind, leak.pairs, leak.allowed) == ("copy", [("a", "b")], True)


def test_copies_are_found_through_one_that_is_left_out():
    rows = table(("a", ""), ("b", "train"), ("c", "test"))
    (leak,) = leakage.find_leaks(rows, pairs(("a", "b"), ("a", "c")), settings())
    assert (leak.ids, leak.pairs) == (["b", "c"], [("b", "c")])


def test_what_is_left_out_leaks_nothing():
    rows = table(("a", "train", {"group": "g"}), ("b", "", {"group": "g"}), ("c", "val"))
    assert leakage.find_leaks(rows, pairs(("b", "c")), settings()) == []


def test_neighbours_in_two_groups_of_a_sequence_leak():
    def frame(name, split, group, order):
        return name, split, {"group": group, "sequence": "s", "order": order}

    rows = table(frame("a", "train", "g", 1), frame("b", "val", "h", 3), frame("c", "test", "i", 6))
    (leak,) = leakage.find_leaks(rows, NO_PAIRS, settings(guard=2))
    assert (leak.kind, leak.name, leak.pairs) == ("neighbours", "s", [("a", "b")])
    assert leakage.mark_clean_rows(rows, [leak]).tolist() == [True, False, True]
    assert (
        leakage.find_leaks(rows, NO_PAIRS, settings(guard=1))
        == leakage.find_leaks(rows, NO_PAIRS, settings(guard=0))
        == []
    )


@given(st.data())
def test_neighbours_reach_the_rows_that_every_pair_would_reach(data):
    count = data.draw(st.integers(1, 12))
    rows = pd.DataFrame({
        "id": [f"p{i:02d}" for i in range(count)],
        "split": [data.draw(st.sampled_from(["train", "val", "test"])) for _ in range(count)],
        "group": [data.draw(st.sampled_from(["", "g", "h"])) for _ in range(count)],
        "order": [data.draw(st.integers(0, 8)) for _ in range(count)],
    })  # fmt: skip
    for within in (True, False):
        near = [
            (a, b)
            for a, b in product(rows.itertuples(), repeat=2)
            if RANK[a.split] < RANK[b.split] and abs(a.order - b.order) <= 2
            and (within or not a.group or a.group != b.group)
        ]  # fmt: skip
        found = leakage.neighbour_pairs(rows, 2, within_groups=within)
        assert {a for a, _ in found} == {a.Index for a, _ in near}
        assert {b for _, b in found} == {b.Index for _, b in near}
        assert set(found) <= {(a.Index, b.Index) for a, b in near}


def test_frames_that_all_stand_at_one_place_give_few_pairs():
    rows = pd.DataFrame({
        "id": [f"p{i}" for i in range(6000)], "split": ["train", "val", "test"] * 2000,
        "group": "", "order": 1,
    })  # fmt: skip
    found = leakage.neighbour_pairs(rows, 2)
    assert len(found) <= 4 * len(rows)
    assert {i for pair in found for i in pair} == set(rows.index)


def test_images_of_no_group_are_no_group_but_may_be_neighbours():
    none = {"group": "", "sequence": "s"}
    rows = table(("a", "train", none), ("b", "val", none), ("c", "train", none | {"sequence": "t"}))
    assert [(leak.kind, leak.pairs) for leak in leakage.find_leaks(rows, NO_PAIRS, settings())] == [
        ("neighbours", [("a", "b")])
    ]


def test_one_mask_over_different_images_leaks_unless_it_says_nothing():
    same = {"sha256_mask": "same"}
    rows = table(("a", "train", same), ("b", "test", same))
    (leak,) = leakage.find_leaks(rows, NO_PAIRS, settings())
    assert (leak.kind, leak.name, leak.pairs) == ("mask", "a", [("a", "b")])
    assert leakage.find_leaks(rows.assign(px_car=0), NO_PAIRS, settings()) == []
    assert [leak.kind for leak in leakage.find_leaks(rows, pairs(("a", "b")), settings())] == [
        "copy"
    ]


@given(st.data())
def test_exactly_what_is_tied_to_an_earlier_split_is_not_clean(data):
    names = [f"p{i}" for i in range(data.draw(st.integers(1, 9)))]

    def one(*values):
        return st.sampled_from(values)

    rows = table(*(
        (name, data.draw(one("train", "val", "test", "")), {
            "group": data.draw(one(f"{name} alone", "g", "h")),
            "sequence": data.draw(one("s", "t")), "order": data.draw(st.integers(0, 12)),
            "sha256_mask": data.draw(one(name, "x")),
        })
        for name in names
    ))  # fmt: skip
    ties = data.draw(st.lists(one(*combinations(names, 2)), max_size=4)) if len(names) > 1 else []
    shuffled = rows.sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    leaks = leakage.find_leaks(shuffled, pairs(*ties), settings(guard=1))

    copies = {(a, b) for a, b in ties} | {(b, a) for a, b in ties} | {(a, a) for a in names}
    for via, a, b in product(names, repeat=3):  # Warshall
        if (a, via) in copies and (via, b) in copies:
            copies.add((a, b))

    def tied(a, b):
        near = a.sequence == b.sequence and abs(a.order - b.order) <= 1
        return (
            (a.id, b.id) in copies or a.group == b.group or a.sha256_mask == b.sha256_mask or near
        )

    used = [row for row in rows.itertuples() if row.split]
    dirty = {
        b.id for a, b in product(used, repeat=2) if RANK[a.split] < RANK[b.split] and tied(a, b)
    }
    assert set(shuffled[~leakage.mark_clean_rows(shuffled, leaks)]["id"]) == dirty
    split_of = dict(zip(rows["id"], rows["split"], strict=True))
    assert all(RANK[split_of[a]] < RANK[split_of[b]] for leak in leaks for a, b in leak.pairs)
    assert leaks == leakage.find_leaks(rows, pairs(*ties), settings(guard=1))


def test_every_pair_of_a_leak_must_be_allowed():
    frame, copies = (
        table(("a", "train"), ("b", "test"), ("c", "test")),
        pairs(("a", "b"), ("a", "c")),
    )
    assert [leak.allowed for leak in leakage.find_leaks(frame, copies, settings("b"))] == [False]
    assert [leak.allowed for leak in leakage.find_leaks(frame, copies, settings("b", "c"))] == [
        True
    ]
