"""data/splits.csv grows by itself and loses nothing of what somebody has written there."""

import pytest

from maskmill.curation.frozen import freeze_splits, read_frozen_splits
from maskmill.system.errors import MaskmillError

BY_HAND = b"# patients of the pilot test\ngroup,split\nz,test\n# the rest\na,train\ngone,val\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "splits.csv"


def freeze(path, **split_of):
    return freeze_splits(read_frozen_splits(path), split_of)


def test_new_groups_stand_below_what_is_written_by_hand(path):
    path.write_bytes(BY_HAND)
    assert freeze(path, a="train", z="test", c="val", b="train") == ["b", "c"]
    assert path.read_bytes() == BY_HAND + b"b,train\nc,val\n"


def test_a_group_keeps_the_split_that_stands_there(path):
    path.write_bytes(BY_HAND)
    freeze(path, a="val", b="train")
    assert read_frozen_splits(path).split_of["a"] == "train"


def test_without_new_groups_the_file_is_not_touched(path):
    path.write_bytes(BY_HAND)
    before = path.stat()
    assert freeze(path, a="train", z="test") == []
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize(
    "before", [None, b"", b"# nothing yet\n", b"# nothing yet", b"group,split", b"group,split\n"]
)
def test_a_file_that_names_no_group_gets_its_header_once(path, before):
    if before is not None:
        path.write_bytes(before)
    freeze(path, a="train")
    assert path.read_bytes().startswith((before or b"").rstrip(b"\n"))
    assert path.read_bytes().endswith(b"group,split\na,train\n")
    assert path.read_bytes().count(b"group") == 1


def test_a_file_of_a_spreadsheet_stays_one(path):
    path.write_bytes(b"\xef\xbb\xbfgroup,split\r\na,train")
    assert read_frozen_splits(path).split_of == {"a": "train"}
    freeze(path, b="val")
    assert path.read_bytes() == b"\xef\xbb\xbfgroup,split\r\na,train\r\nb,val\r\n"


def test_names_of_any_kind_are_read_back(path):
    names = ["# 1", "a,b", 'say "x"', "NA", "Zürich", " ", "1e5"]
    path.write_bytes(BY_HAND)
    freeze(path, **dict.fromkeys(names, "test"))
    assert {name: read_frozen_splits(path).split_of.get(name) for name in names} == (
        dict.fromkeys(names, "test")
    )


def test_an_edit_that_comes_meanwhile_is_not_overwritten(path):
    path.write_bytes(BY_HAND)
    known = read_frozen_splits(path)
    path.write_bytes(BY_HAND + b"b,test\n")
    with pytest.raises(MaskmillError, match=r"was edited while groups .* \(b\) got their splits"):
        freeze_splits(known, {"b": "train"})
    assert path.read_bytes() == BY_HAND + b"b,test\n"
