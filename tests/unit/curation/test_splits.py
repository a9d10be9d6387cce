import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskmill.curation import splits
from maskmill.curation.frozen import read_frozen_splits
from maskmill.settings.config import Splits
from maskmill.system.errors import MaskmillError


def table(sizes):
    """A manifest with `sizes` images in each group."""
    rows = [(f"{g}{i}", g, g, i, "") for g, n in sizes.items() for i in range(n)]
    return pd.DataFrame(rows, columns=["id", "group", "sequence", "order", "given_split"])


def shares(seed=0, **changes):
    values = {
        "given": False,
        "val": 0.2,
        "test": 0.2,
        "seed": seed,
        "folds": None,
        "fold": 0,
        "guard": 2,
    }
    return Splits(**values | {"allow_leaks": ()} | changes)


NO_COPIES = pd.DataFrame(columns=["a", "b"])


def assign(manifest, frozen, settings, copies=NO_COPIES):
    """The table, and the groups that the frozen file does not name."""
    known = read_frozen_splits(frozen)
    division = splits.assign_splits(manifest, copies, known, settings)
    return division.table, sorted(division.names.keys() - known.split_of.keys())


def freeze(manifest, frozen, settings):
    """The text that would keep this division."""
    known = read_frozen_splits(frozen)
    division = splits.assign_splits(manifest, NO_COPIES, known, settings)
    return splits.to_freeze(division.names, known).to_csv(index=False)


@pytest.fixture
def frozen(tmp_path):
    def write(text):
        path = tmp_path / "splits.csv"
        path.write_bytes(text.encode(errors="surrogateescape"))
        return path

    return write


def by_group(assigned):
    groups = assigned.groupby("group")["split"].unique()
    assert all(len(found) == 1 for found in groups), "a group was torn"
    return {group: found[0] for group, found in groups.items()}


def test_a_group_stays_whole_and_the_shares_are_met(tmp_path):
    assigned, new = assign(
        table({f"g{i:02d}": 5 for i in range(40)}), tmp_path / "none.csv", shares()
    )
    assert len(by_group(assigned)) == len(new) == 40
    assert assigned["split"].value_counts().to_dict() == {"train": 120, "val": 40, "test": 40}


def test_the_seed_decides(tmp_path):
    manifest = table({f"g{i}": 1 for i in range(30)})
    first, again, other = (
        assign(manifest, tmp_path / "none.csv", shares(seed))[0] for seed in (1, 1, 2)
    )
    assert first["split"].tolist() == again["split"].tolist()
    assert first["split"].tolist() != other["split"].tolist()


def test_frozen_groups_stay_and_only_new_ones_are_assigned(frozen):
    path = frozen("# by hand\ngroup,split\na,test\nb,val\nc,train\ngone,train\n")
    assigned, new = assign(table({"a": 2, "b": 2, "c": 9, "d": 3}), path, shares())
    assert {g: s for g, s in by_group(assigned).items() if g != "d"} == {
        "a": "test",
        "b": "val",
        "c": "train",
    }
    assert new == ["d"]


def test_more_data_moves_no_frozen_group(frozen, tmp_path):
    before, _ = assign(table({f"g{i}": 2 for i in range(12)}), tmp_path / "none.csv", shares())
    path = frozen(before[["group", "split"]].drop_duplicates().to_csv(index=False))
    after, new = assign(table({f"g{i}": 2 for i in range(20)}), path, shares(seed=9))
    assert len(new) == 8
    assert by_group(before).items() <= by_group(after).items()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patient,split\na,train\n", "columns ['patient', 'split']; needed are group,split"),
        (
            "group,split\na,train\nb,validation\n",
            "groups ['b'] have no split of train, val, test, or fold0, fold1, ..",
        ),
        (
            "group,split\na,train\nb,\n",
            "groups ['b'] have no split of train, val, test, or fold0, fold1, ..",
        ),
        ("group,split\na,train\na,val\n", "groups ['a'] stand there twice; a group has one split"),
        ("group,split\na,train\nb,val,why\n", "b,val,why is not a row of two columns, group,split"),
        ("group,split\na,train\n\udce9,val\n", "not UTF-8 at byte 20; save it as UTF-8"),
    ],
    ids=["columns", "split name", "no split", "twice", "a cell too many", "encoding"],
)
def test_a_malformed_file_is_named_with_what_is_wrong(frozen, text, said):
    path = frozen(text)
    with pytest.raises(MaskmillError) as raised:
        assign(table({"a": 1, "b": 1}), path, shares())
    assert str(raised.value).startswith(f"{path}: {said}")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "group,split\n"])
def test_a_file_that_freezes_nothing_is_no_error(frozen, text):
    groups = [f"g{i}" for i in range(10)]
    _, new = assign(table(dict.fromkeys(groups, 1)), frozen(text), shares())
    assert sorted(new) == groups


def test_an_empty_split_says_how_to_fill_it(frozen):
    path = frozen("group,split\na,train\nb,train\nc,test\n")
    with pytest.raises(MaskmillError) as raised:
        assign(table({"a": 1, "b": 1, "c": 1}), path, shares())
    assert (
        str(raised.value)
        == f"split 'val' is empty (3 images in 3 groups); assign a group to it in {path}, "
        "or change splits.val and splits.test in params.yaml"
    )


def test_a_class_that_few_groups_hold_is_in_every_split():
    manifest = table({f"g{i:02d}": 2 for i in range(40)})
    rare = {"g03": 900, "g17": 40, "g31": 5}
    manifest = manifest.assign(px_common=1000, px_rare=manifest["group"].map(rare).fillna(0))
    for seed in range(10):
        assigned, _ = assign(manifest, Path("none.csv"), shares(seed))
        assert (assigned.groupby("split")["px_rare"].sum() > 0).all()
        assert assigned["split"].value_counts()["val"] in range(14, 19)


def test_new_groups_bring_the_classes_that_the_frozen_ones_lack(frozen):
    path = frozen("group,split\na,train\nb,val\nc,test\n")
    manifest = table({"a": 9, "b": 2, "c": 2, "d": 2, "e": 2, "f": 9})
    manifest = manifest.assign(px_common=9, px_new=manifest["group"].isin(["d", "e", "f"]) * 5)
    assigned, _ = assign(manifest, path, shares())
    assert sorted(by_group(assigned)[group] for group in "def") == ["test", "train", "val"]


def masked(sizes, **masks):
    """A manifest of two classes, whose masks differ but where `masks` names them by their ids."""
    manifest = table(sizes)
    digests = [masks.get(name, f"mask of {name}") for name in manifest["id"]]
    return manifest.assign(px_back=9, px_front=3, ignored_px=0, sha256_mask=digests)


def test_images_that_share_a_mask_are_in_one_split():
    sizes = {f"g{i:02d}": 2 for i in range(20)}
    shared = masked(sizes, g030="one", g110="one", g191="one", g041="other", g050="other")
    for seed in range(10):
        assigned, _ = assign(shared, Path("none.csv"), shares(seed))
        found = by_group(assigned)
        assert found["g03"] == found["g11"] == found["g19"]
        assert found["g04"] == found["g05"]


def test_masks_of_one_value_tie_nothing():
    sizes = {f"g{i:02d}": 1 for i in range(20)}
    empty = masked(sizes, **{f"{group}0": "empty" for group in sizes}).assign(px_front=0)
    assigned, _ = assign(empty, Path("none.csv"), shares())
    assert assigned["split"].value_counts().to_dict() == {"train": 12, "val": 4, "test": 4}


def test_too_few_units_name_the_groups_that_masks_tie():
    tied = masked({"a": 1, "b": 1, "c": 1, "d": 1}, a0="one", b0="one", c0="one")
    with pytest.raises(MaskmillError) as raised:
        assign(tied, Path("none.csv"), shares())
    assert "tie the groups to 2 units (b to a, c to a), and at least 3 are needed" in str(
        raised.value
    )


def test_a_group_called_na_is_a_group(frozen):
    assigned, new = assign(
        table({"NA": 1, "b": 1, "c": 1}), frozen("group,split\nNA,train\nb,val\nc,test\n"), shares()
    )
    assert new == []
    assert by_group(assigned)["NA"] == "train"


def test_copies_of_one_image_go_where_the_frozen_one_is(frozen):
    copies = pd.DataFrame({"a": ["a0", "d1"], "b": ["d0", "e0"]})
    path = frozen("group,split\na,test\nb,val\nc,train\n")
    assigned, new = assign(table({"a": 2, "b": 2, "c": 9, "d": 2, "e": 1}), path, shares(), copies)
    assert new == ["d", "e"]
    assert {g: s for g, s in by_group(assigned).items() if g in "ade"} == {
        "a": "test",
        "d": "test",
        "e": "test",
    }


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=6, max_size=20),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_no_group_and_no_copy_is_torn_whatever_the_data(sizes, seed, data):
    manifest = table({f"g{i:02d}": n for i, n in enumerate(sizes)})
    ids = st.sampled_from(manifest["id"].tolist())
    copies = pd.DataFrame(data.draw(st.lists(st.tuples(ids, ids), max_size=3)), columns=["a", "b"])
    settings = shares(seed)
    assigned, _ = assign(manifest, Path("none.csv"), settings, copies)
    by_group(assigned)
    split_of = dict(zip(assigned["id"], assigned["split"], strict=True))
    assert all(split_of[a] == split_of[b] for a, b in zip(copies["a"], copies["b"], strict=True))
    shuffled, _ = assign(
        manifest.sample(frac=1, random_state=seed), Path("none.csv"), settings, copies
    )
    assert dict(zip(shuffled["id"], shuffled["split"], strict=True)) == split_of


def test_three_groups_fill_three_splits(tmp_path):
    assigned, _ = assign(table({"a": 50, "b": 3, "c": 1}), tmp_path / "none.csv", shares())
    assert set(by_group(assigned).values()) == {"train", "val", "test"}
    assert by_group(assigned)["a"] == "train"


def test_every_split_holds_its_share_of_each_class(tmp_path):
    rng = np.random.default_rng(0)
    manifest = table({f"g{i}": 4 for i in range(60)})
    rare = np.repeat(rng.random(60) < 0.15, 4)
    manifest = manifest.assign(px_common=1000, px_rare=np.where(rare, 50, 0))
    assigned, _ = assign(manifest, tmp_path / "none.csv", shares())
    held = assigned.groupby("split")["px_rare"].sum() / assigned["px_rare"].sum()
    assert held["val"] == pytest.approx(0.2, abs=0.1)
    assert held["test"] == pytest.approx(0.2, abs=0.1)


def test_the_sources_own_split_is_taken_as_it_is(tmp_path):
    manifest = table({"a": 3}).assign(given_split=["train", "val", "test"])
    assigned, new = assign(manifest, tmp_path / "none.csv", shares(given=True))
    assert assigned["split"].tolist() == ["train", "val", "test"]
    assert new == []


def test_a_given_split_that_leaves_images_out_is_an_error(tmp_path):
    manifest = table({"a": 4}).assign(given_split=["train", "val", "", "test"])
    with pytest.raises(MaskmillError) as raised:
        assign(manifest, tmp_path / "none.csv", shares(given=True))
    assert (
        str(raised.value)
        == "params.yaml: splits.given is true, and the source gives 1 of 4 images no split of"
        " train, val, test: a2; put them into one, or set splits.given: false"
    )


def stack(blocks, size=6):
    """One stack of slices, cut into groups."""
    manifest = table({f"block{i}": size for i in range(blocks)})
    return manifest.assign(sequence="stack", order=range(len(manifest)))


def test_neighbours_of_another_split_are_left_out_of_train_first(frozen):
    path = frozen("group,split\nblock0,train\nblock1,val\nblock2,test\nblock3,train\n")
    assigned, _ = assign(stack(4), path, shares(guard=2))
    left_out = assigned[assigned["split"] == ""]["order"].tolist()
    # of train beside val, of val beside test, of train beside test
    assert left_out == [4, 5, 10, 11, 18, 19]
    assert (assigned[assigned["group"] == "block2"]["split"] == "test").all()
    unguarded, _ = assign(stack(4), path, shares(guard=0))
    assert (unguarded["split"] != "").all()


def test_too_few_groups_say_what_a_group_is_and_how_to_make_some(tmp_path):
    with pytest.raises(MaskmillError) as raised:
        assign(table({"a": 5, "b": 5}), tmp_path / "none.csv", shares())
    assert str(raised.value).startswith(
        "split 'test' is empty (10 images in 2 groups); at least 3 groups are needed: "
    )
    assert "`blocks: 5` cuts a stack" in str(raised.value)


def folds(k, fold, frozen, manifest=None):
    return assign(table({f"g{i}": 2 for i in range(20)}) if manifest is None else manifest, frozen,
                  shares(folds=k, fold=fold))  # fmt: skip


def test_each_fold_validates_once_and_test_is_in_none(tmp_path):
    seen = []
    for k in range(4):
        assigned, _ = folds(4, k, tmp_path / "none.csv")
        by_group(assigned)
        seen += assigned[assigned["split"] == "val"]["id"].tolist()
        tested = assigned[assigned["split"] == "test"]
        assert (tested["fold"] == -1).all()
        assert (assigned[assigned["split"] == "val"]["fold"] == k).all()
    assert sorted([*seen, *tested["id"]]) == sorted(assigned["id"])


def test_folds_of_a_given_split_are_of_all_but_its_test_images(frozen):
    manifest = table({f"g{i}": 2 for i in range(10)} | {"torn": 2})
    given = ["train"] * 14 + ["val"] * 4 + ["test"] * 2 + ["train", "test"]
    path = frozen("group,split\ng0,test\ng9,train\n")  # has no say where the source gives the split
    copies = pd.DataFrame({"a": ["g00"], "b": ["g80"]})
    seen = []
    for fold in range(3):
        settings = shares(given=True, folds=3, fold=fold, guard=0)
        assigned, new = assign(manifest.assign(given_split=given), path, settings, copies)
        assert assigned[assigned["split"] == "test"]["id"].tolist() == ["g90", "g91", "torn1"]
        rest = by_group(assigned[assigned["split"] != "test"])
        assert rest["g0"] == rest["g8"]
        seen += assigned[assigned["split"] == "val"]["id"].tolist()
    assert sorted([*seen, "g90", "g91", "torn1"]) == sorted(manifest["id"])
    assert new == []


def test_between_folds_of_a_given_split_neighbours_are_left_out(tmp_path):
    manifest = stack(6).assign(given_split=["train"] * 24 + ["val"] * 6 + ["test"] * 6)
    assigned, _ = assign(
        manifest, tmp_path / "none.csv", shares(given=True, folds=5, fold=2, guard=2)
    )
    places = {split: rows["order"].to_numpy() for split, rows in assigned.groupby("split")}
    assert places["test"].tolist() == list(range(30, 36))
    assert abs(places["train"][:, None] - places["val"]).min() > 2
    assert len(places["val"]) >= 4


def test_frozen_folds_stay_when_groups_come(frozen, tmp_path):
    first, _ = folds(4, 0, tmp_path / "none.csv")
    path = frozen(
        freeze(table({f"g{i}": 2 for i in range(20)}), tmp_path / "none.csv", shares(folds=4))
    )
    more, new = folds(4, 0, path, table({f"g{i}": 2 for i in range(24)}))
    assert sorted(new) == ["g20", "g21", "g22", "g23"]
    before, after = (dict(zip(t["group"], t["fold"], strict=True)) for t in (first, more))
    assert before.items() <= after.items()


def test_with_folds_the_splits_without_folds_are_frozen():
    manifest = table({f"g{i}": 2 for i in range(20)})
    known = read_frozen_splits(Path("none.csv"))
    plain, folded = (
        splits.assign_splits(manifest, NO_COPIES, known, shares(folds=count)) for count in (None, 4)
    )
    assert folded.frozen_names == plain.frozen_names == plain.names
    assert {name for name in folded.names.values() if name.startswith("fold")}


def test_new_groups_beside_frozen_folds_get_folds(frozen):
    path = frozen("group,split\ng0,fold0\ng1,fold1\ng2,test\n")
    manifest = table({f"g{i}": 2 for i in range(5)})
    division = splits.assign_splits(manifest, NO_COPIES, read_frozen_splits(path), shares(folds=2))
    assert {division.frozen_names[group] for group in ("g3", "g4")} <= {"fold0", "fold1", "test"}


def test_a_rare_class_is_spread_over_the_folds(tmp_path):
    manifest = table({f"g{i:02d}": 2 for i in range(40)})
    rare = [int(group[1:]) % 5 == 0 for group in manifest["group"]]
    manifest = manifest.assign(px_common=100, px_rare=np.where(rare, 9, 0))
    assigned, _ = folds(4, 0, tmp_path / "none.csv", manifest)
    held = assigned[assigned["fold"] >= 0].groupby("fold")["px_rare"].sum()
    assert (held > 0).all()


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        (
            "group,split\ng0,fold1\n",
            shares(),
            "group g0 is frozen in fold1, and splits.folds in params.yaml is null",
        ),
        (
            "group,split\ng0,fold7\n",
            shares(folds=4),
            "groups ['g0'] are frozen in a fold above fold3",
        ),
        (
            "",
            shares(folds=19),
            "splits.folds: 19 folds of 16 groups; at most as many folds as groups that do not test",
        ),
    ],
)
def test_folds_that_cannot_be_say_why(frozen, text, settings, said):
    with pytest.raises(MaskmillError, match=re.escape(said)):
        assign(table({f"g{i}": 2 for i in range(20)}), frozen(text), settings)


def test_with_folds_a_frozen_test_group_stays_and_its_copy_does_not_move_it(frozen):
    path = frozen("group,split\ng0,test\ng5,fold2\n")
    copies = pd.DataFrame({"a": ["g00"], "b": ["g50"]})
    assigned, _ = assign(
        table({f"g{i}": 2 for i in range(20)}), path, shares(folds=4, fold=2), copies
    )
    assert by_group(assigned)["g0"] == "test"  # the leakage gate tells of the copy
    assert by_group(assigned)["g5"] == "val"


def test_a_frozen_division_comes_out_again_though_the_guard_left_groups_out(frozen, tmp_path):
    manifest = table({f"g{i:02d}": 1 for i in range(60)}).assign(sequence="video", order=range(60))
    first, _ = assign(manifest, tmp_path / "none.csv", shares(guard=2))
    assert (first["split"] == "").any()
    again, new = assign(
        manifest, frozen(freeze(manifest, tmp_path / "none.csv", shares(guard=2))), shares(guard=2)
    )
    assert again["split"].tolist() == first["split"].tolist()
    assert new == []
