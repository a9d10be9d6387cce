import pandas as pd
import pytest

from maskmill.config import Splits
from maskmill.data import splits
from maskmill.errors import MaskmillError


def table(sizes):
    """A manifest with `sizes` images in each group."""
    rows = [(f"{g}{i}", f"images/{g}{i}.png", g, f"pixels {g}{i}") for g, n in sizes.items() for i in range(n)]
    return pd.DataFrame(rows, columns=["id", "image", "group", "sha256_pixels"])


def shares(seed=0, val=0.2, test=0.2):
    return Splits(given=False, val=val, test=test, seed=seed, folds=None, fold=0, guard=2, allow_leaks=())


@pytest.fixture
def frozen(tmp_path):
    def write(text):
        path = tmp_path / "splits.csv"
        path.write_text(text)
        return path

    return write


def by_group(assigned):
    groups = assigned.groupby("group")["split"].unique()
    assert all(len(found) == 1 for found in groups), "a group was torn"
    return {group: found[0] for group, found in groups.items()}


def test_a_group_stays_whole_and_the_shares_are_met(tmp_path):
    assigned, new = splits.assign(table({f"g{i:02d}": 5 for i in range(40)}), tmp_path / "none.csv", shares())
    assert len(by_group(assigned)) == len(new) == 40
    assert assigned["split"].value_counts().to_dict() == {"train": 120, "val": 40, "test": 40}


def test_the_seed_decides(tmp_path):
    manifest = table({f"g{i}": 1 for i in range(30)})
    first, again, other = (splits.assign(manifest, tmp_path / "none.csv", shares(seed))[0] for seed in (1, 1, 2))
    assert first["split"].tolist() == again["split"].tolist()
    assert first["split"].tolist() != other["split"].tolist()


def test_frozen_groups_stay_and_only_new_ones_are_assigned(frozen):
    path = frozen("# by hand\ngroup,split\na,test\nb,val\nc,train\ngone,train\n")
    assigned, new = splits.assign(table({"a": 2, "b": 2, "c": 9, "d": 3}), path, shares())
    assert {g: s for g, s in by_group(assigned).items() if g != "d"} == {"a": "test", "b": "val", "c": "train"}
    assert new == ["d"]


def test_more_data_moves_no_frozen_group(frozen, tmp_path):
    before, _ = splits.assign(table({f"g{i}": 2 for i in range(12)}), tmp_path / "none.csv", shares())
    path = frozen(before[["group", "split"]].drop_duplicates().to_csv(index=False))
    after, new = splits.assign(table({f"g{i}": 2 for i in range(20)}), path, shares(seed=9))
    assert len(new) == 8
    assert by_group(before).items() <= by_group(after).items()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patient,split\na,train\n", "columns ['patient', 'split']; needed are group,split"),
        ("group,split\na,train\nb,validation\n", "groups ['b'] have no split of train, val, test"),
        ("group,split\na,train\nb,\n", "groups ['b'] have no split of train, val, test"),
        ("group,split\na,train\na,val\n", "groups ['a'] stand there twice; a group has one split"),
        ("group,split\na,train\nb,val,why\n", ""),
    ],
    ids=["columns", "split name", "no split", "twice", "a cell too many"],
)
def test_a_malformed_file_is_named_with_what_is_wrong(frozen, text, said):
    path = frozen(text)
    with pytest.raises(MaskmillError) as raised:
        splits.assign(table({"a": 1, "b": 1}), path, shares())
    assert str(raised.value).startswith(f"{path}: {said}")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "group,split\n"])
def test_a_file_that_freezes_nothing_is_no_error(frozen, text):
    groups = [f"g{i}" for i in range(10)]
    _, new = splits.assign(table(dict.fromkeys(groups, 1)), frozen(text), shares())
    assert sorted(new) == groups


def test_an_empty_split_says_how_to_fill_it(frozen):
    path = frozen("group,split\na,train\nb,train\nc,test\n")
    with pytest.raises(MaskmillError) as raised:
        splits.assign(table({"a": 1, "b": 1, "c": 1}), path, shares())
    assert str(raised.value) == (
        f"split 'val' is empty (3 images in 3 groups); assign a group to it in {path}, "
        "or change splits.val and splits.test in params.yaml"
    )


def test_an_image_in_two_splits_names_both_files(frozen):
    manifest = table({"a": 2, "b": 2, "c": 2})
    manifest.loc[manifest["id"].isin(["a1", "c0"]), "sha256_pixels"] = "the same"
    path = frozen("group,split\na,train\nb,val\nc,test\n")
    with pytest.raises(MaskmillError) as raised:
        splits.assign(manifest, path, shares())
    text = str(raised.value)
    assert "the same image stands in more than one split: images/a1.png (train), images/c0.png (test)" in text
    assert str(path) in text


def test_copies_within_one_split_do_not_leak(frozen):
    manifest = table({"a": 2, "b": 2, "c": 2}).assign(sha256_pixels=["x", "x", "y", "y", "z", "z"])
    assigned, _ = splits.assign(manifest, frozen("group,split\na,train\nb,val\nc,test\n"), shares())
    assert by_group(assigned) == {"a": "train", "b": "val", "c": "test"}


def test_a_group_called_na_is_a_group(frozen):
    assigned, new = splits.assign(
        table({"NA": 1, "b": 1, "c": 1}), frozen("group,split\nNA,train\nb,val\nc,test\n"), shares()
    )
    assert new == []
    assert by_group(assigned)["NA"] == "train"
