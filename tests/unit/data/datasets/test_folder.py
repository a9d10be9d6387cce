import numpy as np
import pytest

from maskmill.data import datasets, decode
from maskmill.errors import MaskmillError

GREY = np.full((4, 6), 7, np.uint8)


@pytest.fixture
def source(tmp_path):
    """A function that writes files below a source folder: `images/a.png` -> pixels."""

    def write(files):
        for name, pixels in files.items():
            decode.write_png(tmp_path / name, pixels)
        return tmp_path

    return write


def pairs(folder, data, **options):
    return list(datasets.create({"kind": "folder", **options}, folder, data, "data/source.yaml"))


def test_files_of_one_name_are_a_pair_whatever_their_endings(source, data):
    folder = source({"images/b.png": GREY, "images/a.png": GREY + 1, "masks/a.png": GREY % 2, "masks/b.png": GREY % 3})
    (folder / "images" / "a.png").rename(folder / "images" / "a.TIF")
    found = pairs(folder, data)
    assert [(p.id, p.group, p.order) for p in found] == [("a", "a", 0), ("b", "b", 1)]
    assert np.array_equal(found[0].read_image(), (GREY + 1)[..., None])
    assert np.array_equal(found[0].read_mask(), GREY % 2)


def test_the_group_is_cut_out_of_the_name(source, data):
    names = ["p1_01", "p1_02", "p2_01"]
    folder = source({f"{kind}/{name}.png": GREY for kind in ("images", "masks") for name in names})
    assert [p.group for p in pairs(folder, data, group_until="_")] == ["p1", "p1", "p2"]


def test_a_missing_half_is_none(source, data):
    found = pairs(source({"images/a.png": GREY, "masks/b.png": GREY}), data)
    assert [(p.id, p.read_image is None, p.read_mask is None) for p in found] == [
        ("a", False, True),
        ("b", True, False),
    ]


def test_other_files_are_left_out(source, data):
    folder = source({"images/a.png": GREY, "masks/a.png": GREY})
    (folder / "images" / "Thumbs.db").write_bytes(b"x")
    (folder / "images" / "old.png").mkdir()
    assert [p.id for p in pairs(folder, data)] == ["a"]


def test_stored_values_become_class_ids(source, data):
    meant = data.model_copy(update={"values": {0: "background", 128: "bar", 255: "disc", 9: "ignore"}})
    stored = np.array([[0, 128], [255, 9]], np.uint8)
    (pair,) = pairs(source({"images/a.png": GREY, "masks/a.png": stored}), meant)
    assert pair.read_mask().tolist() == [[0, 3], [1, 255]]
    assert pair.read_mask().dtype == np.uint8


def test_a_stored_value_without_meaning_names_the_file_and_the_values(source, data):
    meant = data.model_copy(update={"values": {0: "background", 255: "disc"}})
    stored = np.array([[0, 128], [129, 255]], np.uint8)
    folder = source({"images/a.png": GREY, "masks/a.png": stored})
    (pair,) = pairs(folder, meant)
    with pytest.raises(decode.DecodeError) as raised:
        pair.read_mask()
    assert str(raised.value) == (
        f"{folder / 'masks' / 'a.png'}: stored values [128, 129] have no meaning; "
        "data.values in params.yaml knows [0, 255]"
    )


@pytest.mark.parametrize("empty", ["images", "masks"])
def test_an_empty_or_missing_folder_says_what_to_put_there(source, data, empty):
    other = {"images": "masks", "masks": "images"}[empty]
    folder = source({f"{other}/a.png": GREY})
    for _ in ("missing", "empty"):
        with pytest.raises(MaskmillError) as raised:
            pairs(folder, data)
        assert str(raised.value).startswith(f"{folder / empty}: no image files; put them there (.png, .jpg")
        assert "or choose another `kind` in data/source.yaml" in str(raised.value)
        (folder / empty).mkdir(exist_ok=True)


def test_two_files_with_one_name_are_both_named(source, data):
    folder = source({"images/a.png": GREY, "images/a.tif": GREY, "masks/a.png": GREY})
    with pytest.raises(MaskmillError) as raised:
        pairs(folder, data)
    images = folder / "images"
    assert str(raised.value).startswith(f"{images / 'a.png'} and {images / 'a.tif'} have one name")


def test_a_source_without_a_kind_lists_the_kinds(tmp_path, data):
    for config in (None, {}, {"kinds": "folder"}, ["folder"]):
        with pytest.raises(MaskmillError, match=r"source.yaml: needs a line `kind: NAME`; known are folder, icbm152"):
            datasets.create(config, tmp_path, data, "data/source.yaml")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"kind": "foldr"}, "data/source.yaml: kind: 'foldr' is not known; did you mean 'folder'?"),
        ({"kind": "folder", "group": "_"}, "kind.group is not an option; did you mean 'group_until'?"),
        ({"kind": "folder", "folder": "x"}, "kind.folder follows from the data and cannot be set; delete it"),
    ],
)
def test_a_mistake_in_the_source_file_is_explained(tmp_path, data, config, said):
    with pytest.raises(MaskmillError) as raised:
        datasets.create(config, tmp_path, data, "data/source.yaml")
    assert said in str(raised.value)
