"""What reaches over splits is found, named, allowed by name, and kept out of the clean part."""

from pathlib import Path

import pandas as pd
import pytest

from maskmill.config import Splits
from maskmill.data import leakage
from maskmill.errors import MaskmillError

NO_PAIRS = pd.DataFrame(columns=["a", "b", "kind", "score"])


def table(*rows, **columns):
    """Rows (id, split, group, order), each of its own group unless told; each sequence is the group's."""
    filled = [(*row, row[0], i)[:4] if len(row) == 2 else (*row, i)[:4] for i, row in enumerate(rows)]
    frame = pd.DataFrame(filled, columns=["id", "split", "group", "order"])
    frame = frame.assign(sequence=frame["group"], sha256_mask=frame["id"], px_a=5, px_b=5, ignored_px=0)
    return frame.assign(**columns)


def copies(*pairs):
    return pd.DataFrame([(*pair, "copy", 0.99) for pair in pairs], columns=["a", "b", "kind", "score"])


def settings(*allowed, guard=2):
    return Splits(given=True, val=0.2, test=0.2, seed=0, folds=None, fold=0, guard=guard, allow_leaks=allowed)


def told(leaks):
    return [(leak.kind, leak.name, leak.splits, leak.pairs) for leak in leaks]


def unclean(frame, leaks):
    return frame["id"][~leakage.clean(frame, leaks)].tolist()


def test_a_split_without_leaks_is_clean():
    frame = table(("a", "train", "g"), ("b", "train", "g"), ("c", "val"), ("d", "test"))
    leaks = leakage.find(frame, copies(("a", "b")), settings())
    assert leaks == []
    assert leakage.clean(frame, leaks).all()
    leakage.stop(leaks, True, Path("splits.csv"))


def test_a_copy_in_a_later_split_leaks():
    frame = table(("a", "test"), ("b", "train"), ("c", "val"), ("d", "train"))
    leaks = leakage.find(frame, copies(("a", "b")), settings())
    assert told(leaks) == [("copy", "a", ("train", "test"), [("b", "a")])]
    assert leaks[0].message == "copies of a: 1 in train, 1 in test: b and a"
    assert unclean(frame, leaks) == ["a"]


def test_a_copy_of_a_copy_leaks_from_the_first_split():
    """c in val is tied to a in train only through d in test."""
    frame = table(("a", "train"), ("c", "val"), ("d", "test"))
    leaks = leakage.find(frame, copies(("a", "d"), ("c", "d")), settings())
    assert told(leaks) == [("copy", "a", ("train", "val", "test"), [("a", "d"), ("c", "d"), ("a", "c")])]
    assert unclean(frame, leaks) == ["c", "d"]


def test_a_copy_without_a_split_ties_the_others_no_more_than_it_leaks():
    frame = table(("a", "train"), ("b", ""), ("c", "test"))
    leaks = leakage.find(frame, copies(("a", "b")), settings())
    assert leaks == []


def test_a_group_in_two_splits_leaks_into_the_later_one():
    frame = table(("a", "train", "g", 10), ("b", "train", "g", 20), ("c", "val", "g", 19), ("d", "test", "g", 11))
    leaks = leakage.find(frame, NO_PAIRS, settings())
    assert told(leaks) == [("group", "g", ("train", "val", "test"), [("b", "c"), ("a", "d")])]
    assert unclean(frame, leaks) == ["c", "d"]


def test_rows_without_a_group_are_no_group():
    frame = table(("a", "train", ""), ("b", "test", ""))
    assert leakage.find(frame, NO_PAIRS, settings()) == []


@pytest.mark.parametrize(("guard", "pairs"), [(0, []), (1, []), (2, [("a", "b")]), (3, [("a", "b"), ("a", "c")])])
def test_neighbours_in_a_sequence_leak_within_the_guard(guard, pairs):
    frame = table(("a", "train", "g", 10), ("b", "val", "h", 12), ("c", "val", "h", 13), sequence="stack")
    leaks = leakage.find(frame, NO_PAIRS, settings(guard=guard))
    assert [leak.pairs for leak in leaks] == [pairs] * bool(pairs)
    assert unclean(frame, leaks) == [later for _, later in pairs]
    if pairs:
        assert leaks[0].message.startswith(f"neighbours in sequence stack (at most {guard} places apart, splits.guard)")


def test_a_group_is_told_once_and_not_as_neighbours():
    frame = table(("a", "train", "g", 1), ("b", "test", "g", 2))
    assert [leak.kind for leak in leakage.find(frame, NO_PAIRS, settings())] == ["group"]


def test_one_mask_over_different_images_leaks():
    frame = table(("a", "train"), ("b", "val"), ("c", "test"), sha256_mask=["same", "other", "same"])
    leaks = leakage.find(frame, NO_PAIRS, settings())
    assert told(leaks) == [("mask", "a", ("train", "test"), [("a", "c")])]
    assert leaks[0].message.startswith("the mask of a over different images: 1 in train, 1 in test")
    assert unclean(frame, leaks) == ["c"]


def test_masks_of_one_value_and_masks_of_copies_are_no_leak_of_masks():
    frame = table(("a", "train"), ("b", "test"), sha256_mask="same")
    assert leakage.find(frame.assign(px_b=0), NO_PAIRS, settings()) == []
    assert [leak.kind for leak in leakage.find(frame, copies(("a", "b")), settings())] == ["copy"]
    assert leakage.find(frame.assign(sha256_mask=None), NO_PAIRS, settings()) == []


def leaking():
    """A copy (a, b), a torn group g, and one mask (e, f)."""
    frame = table(
        ("a", "train", "p"), ("b", "test", "q"), ("c", "train", "g"), ("d", "val", "g"), ("e", "train"), ("f", "val")
    )
    return frame.assign(sha256_mask=["1", "2", "3", "4", "5", "5"]), copies(("a", "b"))


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ([], []), (["a"], ["copy"]), (["b"], ["copy"]), (["q"], ["copy"]), (["g"], ["group"]), (["f"], ["mask"]),
        (["p", "g", "e"], ["copy", "group", "mask"]),
    ],
)  # fmt: skip
def test_a_leak_is_allowed_by_its_name_an_id_or_a_group(names, allowed):
    frame, pairs = leaking()
    leaks = leakage.find(frame, pairs, settings(*names))
    assert [leak.kind for leak in leaks if leak.allowed] == allowed
    assert unclean(frame, leaks) == ["b", "d", "f"], "allowed or not, they are not clean"


def test_every_pair_of_a_leak_must_be_allowed():
    frame, pairs = table(("a", "train"), ("b", "test"), ("c", "test")), copies(("a", "b"), ("a", "c"))
    assert [leak.allowed for leak in leakage.find(frame, pairs, settings("b"))] == [False]
    assert [leak.allowed for leak in leakage.find(frame, pairs, settings("b", "c"))] == [True]


@pytest.mark.parametrize("name", ["typo", "d"])
def test_a_name_that_allows_nothing_is_an_error(name):
    frame, pairs = leaking()
    with pytest.raises(MaskmillError) as raised:
        leakage.find(frame, pairs, settings("g", name))
    assert str(raised.value) == (
        f"params.yaml: splits.allow_leaks: ['{name}'] allow no leak; named there are groups, sequences and ids that "
        "leak (a, e, g); take the others out"
    )


def test_names_where_nothing_leaks_say_so():
    with pytest.raises(MaskmillError, match=r"\['g'\] allow no leak; .* \(nothing does\)"):
        leakage.find(table(("a", "train"), ("b", "test")), NO_PAIRS, settings("g"))


@pytest.mark.parametrize("given", [True, False])
def test_the_line_stops_with_counts_names_and_ways_out(given):
    frame, pairs = leaking()
    leaks = leakage.find(frame, pairs, settings("g"))
    with pytest.raises(MaskmillError) as raised:
        leakage.stop(leaks, given, Path("data/splits.csv"))
    way = (
        "mend the source's split, or take maskmill's own (splits.given: false in params.yaml)"
        if given
        else "put what belongs together into one split in data/splits.csv, or take its lines out to have it assigned"
    )
    assert str(raised.value) == (
        "the split leaks (2 not allowed): scores on val and test would not tell how a model does on new images\n"
        "- copies of a: 1 in train, 1 in test: a and b\n"
        "- the mask of e over different images: 1 in train, 1 in val: e and f\n"
        f"{way}; or delete the copies; or allow leaks by name in params.yaml, splits.allow_leaks: [a, e]: "
        "scores are then given over all images and over the clean ones"
    )


def test_leaks_that_are_all_allowed_do_not_stop():
    frame, pairs = leaking()
    leakage.stop(leakage.find(frame, pairs, settings("a", "e", "g")), True, Path("data/splits.csv"))


def test_many_leaks_are_counted_not_listed():
    rows = [(f"{side}{i}", split) for i in range(9) for side, split in (("a", "train"), ("b", "val"))]
    frame, pairs = table(*rows), copies(*((f"a{i}", f"b{i}") for i in range(9)))
    with pytest.raises(MaskmillError) as raised:
        leakage.stop(leakage.find(frame, pairs, settings()), True, Path("data/splits.csv"))
    assert str(raised.value).count("\n- copies of a") == 5
    assert "\n- copies of one image: 4 more\n" in str(raised.value)
    assert "splits.allow_leaks: [a0, a1, a2, a3, a4 and 4 more]" in str(raised.value)


def camvid():
    """CamVid's own split by the names of its frames: sequence, number, split."""
    parts = [
        ("0001TP", 62, "train"), ("0001TP", 62, "test"), ("0006R0", 101, "train"), ("0016E5", 204, "train"),
        ("0016E5", 101, "val"), ("Seq05VD", 171, "test"),
    ]  # fmt: skip
    place = dict.fromkeys((group for group, _, _ in parts), 0)
    rows = []
    for group, count, split in parts:
        for _ in range(count):
            place[group] += 30
            rows.append((f"{group}_{place[group]:06d}", split, group, place[group]))
    return table(*rows)


def test_the_split_of_camvid_leaks_and_one_sequence_of_its_test_is_clean():
    frame = camvid()
    leaks = leakage.find(frame, NO_PAIRS, settings())
    assert [(leak.kind, leak.name, leak.splits) for leak in leaks] == [
        ("group", "0001TP", ("train", "test")), ("group", "0016E5", ("train", "val")),
    ]  # fmt: skip
    clean = frame[leakage.clean(frame, leaks)]
    assert clean["split"].value_counts().to_dict() == {"train": 367, "test": 171}
    assert set(clean.loc[clean["split"] == "test", "group"]) == {"Seq05VD"}
    with pytest.raises(MaskmillError) as raised:
        leakage.stop(leaks, True, Path("data/splits.csv"))
    assert "- group 0001TP: 62 in train, 62 in test: " in str(raised.value)
    assert "- group 0016E5: 204 in train, 101 in val: " in str(raised.value)
    allowed = leakage.find(frame, NO_PAIRS, settings("0001TP", "0016E5"))
    assert all(leak.allowed for leak in allowed)
