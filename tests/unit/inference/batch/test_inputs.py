"""Files, folders, patterns, lists and stacks become one list of images."""

import numpy as np
import pytest
import tifffile

from maskmill.images import decode
from maskmill.inference.batch.inputs import find_inputs
from maskmill.system.errors import MaskmillError


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A function that makes small images below the folder that tests run in."""
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            decode.write_png(tmp_path / name, np.zeros((4, 4), np.uint8))
        return tmp_path

    return make


def found(tmp_path, *named, lists=()):
    inputs = find_inputs(named, lists, tmp_path / "out")
    return [(i.path.as_posix(), i.folder.as_posix(), i.stem) for i in inputs]


def test_a_folder_is_searched_as_a_whole_but_for_results_and_hidden_names(files):
    root = files("in/b.png", "in/a.tif", "in/deep/er/c.JPG", "in/.hidden.png", "in/.d/e.png")
    files("in/out/a_mask.png")
    (root / "in/notes.txt").write_text("no image")
    inputs = find_inputs(["in"], [], root / "in/out")
    assert [(i.path.as_posix(), i.folder.as_posix()) for i in inputs] == [
        ("in/a.tif", "."), ("in/b.png", "."), ("in/deep/er/c.JPG", "deep/er"),
    ]  # fmt: skip


def test_patterns_lists_and_files_give_each_image_once(files):
    root = files("a.png", "b.png", "c.png", "[odd].png")
    (root / "names.txt").write_text("b.png\n\n  c.png \n")
    inputs = found(root, "[ab].png", "./a.png", lists=[root / "names.txt"])
    assert [name for name, *_ in inputs] == ["a.png", "b.png", "c.png"]
    assert found(root, "[odd].png") == [("[odd].png", ".", "[odd]")]  # a file, not a pattern


def test_the_pages_of_a_stack_are_images(files):
    root = files()
    tifffile.imwrite(root / "s.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    inputs = find_inputs(["s.tif"], [], root / "out")
    assert [(i.page, i.stem) for i in inputs] == [(0, "s_p0001"), (1, "s_p0002"), (2, "s_p0003")]
    assert inputs[1].key == f"{root / 's.tif'}#page=2"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("empty", r"empty: a folder without images; files are looked for that end in \.png"),
        ("*.gif", r"\*\.gif: no file matches this pattern"),
        ("out", r"--out .*out: is the folder of the images; results need one of their own"),
    ],
)
def test_what_holds_no_image_is_named(files, named, said):
    root = files("out/a.png")
    (root / "empty").mkdir()
    with pytest.raises(MaskmillError, match=said):
        find_inputs([named], [], root / "out")


def test_a_list_that_is_none_is_named(files):
    root = files()
    (root / "x.bin").write_bytes(b"\xff\xfe\x00")
    for name, reason in {"x.bin": "not text in UTF-8", "none.txt": "No such file"}.items():
        with pytest.raises(MaskmillError, match=f"--list .*{name}: {reason}"):
            find_inputs([], [root / name], root / "out")
