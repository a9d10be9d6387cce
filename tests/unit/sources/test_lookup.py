import pytest

from maskmill.sources._lookup import ImageFiles, portable
from maskmill.system.errors import MaskmillError


@pytest.fixture
def known(tmp_path):
    names = ("train/1.png", "val/1.png", "val/2.png", "deep/images/3.png", "note.txt")
    return ImageFiles(tmp_path, [tmp_path / name for name in names])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("train/1.png", "train/1.png"),
        ("C:\\data\\train\\1.png", "train/1.png"),
        ("../val/1.png", "val/1.png"),
        ("2", "val/2.png"),
        ("/data/upload/7/3.png", "deep/images/3.png"),
    ],
)
def test_folders_and_missing_endings_tell_which_image_is_meant(known, name, found):
    assert known.one(name, "here") == known.folder / found


def test_a_folder_that_is_there_is_meant(known):
    assert known.named("train/2.png") == []  # though val/2.png is there
    with pytest.raises(MaskmillError, match=r"here: image 'train/2\.png' is nowhere below"):
        known.one("train/2.png", "here")


def test_several_are_named_unless_one_lies_beside(known):
    with pytest.raises(MaskmillError, match=r"could be .*train/1\.png, .*val/1\.png"):
        known.one("1.png", "here")
    assert known.one("1.png", "here", known.folder / "val").parent.name == "val"


def test_a_name_with_a_backslash_is_a_path_of_windows():
    assert portable("C:\\a\\b.png") == "/a/b.png"
    assert portable("c:b.png") == "c:b.png"
