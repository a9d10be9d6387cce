import os
import unicodedata

import pytest

from maskmill import sources
from maskmill.system.errors import MaskmillError

PAIRS = [
    f"{kind}/p{patient}_{frame:02d}.png"
    for kind in ("images", "masks")
    for patient in (1, 2)
    for frame in (1, 2)
]


def test_files_of_one_name_are_a_pair_whatever_their_endings(source, read):
    folder = source("images/b.png", "images/a.png", "masks/a.png", "masks/b.png")
    (folder / "images/a.png").rename(folder / "images/a.TIF")
    assert read(kind="folder") == [
        sources.Pair("a", folder / "images/a.TIF", folder / "masks/a.png", "a", 0),
        sources.Pair("b", folder / "images/b.png", folder / "masks/b.png", "b", 1),
    ]


def test_a_missing_half_is_none(source, read):
    source("images/a.png", "masks/b.png")
    assert [(p.id, p.image is None, p.mask is None) for p in read(kind="folder")] == [
        ("a", False, True),
        ("b", True, False),
    ]


def test_other_files_are_left_out(source, read):
    folder = source("images/a.png", "masks/a.png", "images/._a.png")
    (folder / "images/Thumbs.db").write_bytes(b"x")
    (folder / "images/old.png").mkdir()
    assert [p.id for p in read(kind="folder")] == ["a"]


def test_numbers_in_names_count_as_numbers(source, read):
    source(*(f"{kind}/{i}.png" for kind in ("images", "masks") for i in (10, 9, 1)))
    assert [(p.id, p.order) for p in read(kind="folder")] == [("1", 0), ("9", 1), ("10", 2)]


def test_the_group_and_the_place_in_it_are_cut_out_of_the_name(source, read):
    source(*PAIRS)
    found = read(kind="folder", groups=r"(?P<group>p\d)_(?P<order>\d+)")
    assert [(p.group, p.sequence, p.order) for p in found] == [
        ("p1", "", 1),
        ("p1", "", 2),
        ("p2", "", 1),
        ("p2", "", 2),
    ]
    assert [p.order for p in read(kind="folder", groups="(?P<group>[^_]+)_")] == [0, 1, 2, 3]


def test_subfolders_are_part_of_the_name(source, read):
    source("images/p1/a.png", "masks/p1/a.png", "images/p2/a.png", "masks/p2/a.png")
    assert [(p.id, p.group) for p in read(kind="folder", groups="(?P<group>[^/]+)/")] == [
        ("p1__a", "p1"),
        ("p2__a", "p2"),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"groups": "("}, "data/source.yaml: kind: groups: '(' is no regular expression"),
        ({"groups": "p"},
         "groups: 'p' names []; needed is (?P<group>..), allowed besides (?P<order>..)"),
        ({"groups": "(?P<group>p1)"},
         "groups: '(?P<group>p1)' does not match 'p2_01', 'p2_02'; widen the expression"),
        ({"groups": "(?P<group>.)(?P<order>..)"}, "order of 'p1_01' is '1_'; needed are digits"),
        ({"groups": "(?P<group>p)", "blocks": 3}, "`groups` and `blocks` exclude each other"),
        ({"blocks": 5}, "blocks: got 5; allowed are 3 to 4, the number of images"),
        ({"images": "../images"}, "'../images' leads out of"),
        ({"images": "{split}/images"}, "no folder train, val or test there"),
        ({"images": "{split}/images", "masks": "{split}/masks"},
         "no folder train, val or test there"),
        ({"images": "images", "masks": "images"},
         "holds images and masks; say what ends a mask's name"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_explained(source, refusal, options, said):
    source(*PAIRS)
    assert said in refusal(kind="folder", **options)


def test_blocks_cut_a_stack_into_contiguous_groups_of_one_sequence(source, read):
    source(*(f"{kind}/{i}.png" for kind in ("images", "masks") for i in range(11)))
    found = read(kind="folder", blocks=4)
    assert [p.group for p in found] == [f"block{b}" for b in (1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4)]
    assert [p.order for p in found] == list(range(11))
    assert {p.sequence for p in found} == {"stack"}


@pytest.mark.parametrize("nesting", ["{split}/{kind}", "{kind}/{split}"])
def test_folders_of_a_split_give_it(source, read, refusal, nesting):
    source(
        *(
            f"{nesting.format(split=split, kind=kind)}/{name}.png"
            for split, name in (("train", "a"), ("valid", "b"), ("test", "c"))
            for kind in ("images", "masks")
        )
    )
    assert [(p.id, p.split) for p in read(kind="folder")] == [
        ("a", "train"),
        ("b", "val"),
        ("c", "test"),
    ]
    assert "the split is given by folders; delete `blocks`" in refusal(kind="folder", blocks=3)


def test_one_name_in_two_splits_is_two_images_and_one_group_by_its_pattern(source, read):
    source(
        *(f"{split}/{kind}/s_1.png" for split in ("train", "test") for kind in ("images", "masks"))
    )
    assert {(p.id, p.group) for p in read(kind="folder")} == {
        ("train__s_1", "train__s_1"),
        ("test__s_1", "test__s_1"),
    }
    # so that the leak is seen
    assert {p.group for p in read(kind="folder", groups="(?P<group>s)_")} == {"s"}


def test_folders_that_say_one_split_twice_or_stand_beside_it_are_named(source, refusal):
    folder = source("images/train/a.png", "masks/train/a.png", "images/more/b.png")
    assert (
        refusal(kind="folder")
        == f"{folder}/images/more/b.png stands beside train; move it into one of them"
    )
    source("images/training/c.png", "masks/training/c.png")
    assert "train, training are names of one split" in refusal(kind="folder")


def test_suffixes_tell_images_and_masks_apart(source, read):
    source("all/a.png", "all/a_mask.png", "all/b.png", "all/b_mask.png")
    found = read(kind="folder", images="all", masks="all", mask_suffix="_mask")
    assert [(p.id, p.image.name, p.mask.name) for p in found] == [
        ("a", "a.png", "a_mask.png"),
        ("b", "b.png", "b_mask.png"),
    ]
    source("images/1_rgb.png", "masks/1_gt.png")
    assert [p.id for p in read(kind="folder", image_suffix="_rgb", mask_suffix="_gt")] == ["1"]


@pytest.mark.parametrize("empty", ["images", "masks"])
def test_an_empty_or_missing_folder_says_what_to_put_there(source, refusal, empty):
    folder = source(f"{({'images', 'masks'} - {empty}).pop()}/a.png")
    for _ in ("missing", "empty"):
        said = refusal(kind="folder")
        assert said.startswith(f"{folder / empty}: no {empty}; put them there (.png, .jpg")
        assert f"or change `{empty}` or `kind` in data/source.yaml" in said
        (folder / empty).mkdir(exist_ok=True)


def test_two_files_with_one_name_are_both_named(source, refusal):
    folder = source("images/a.png", "masks/a.png")
    (folder / "images/a.tif").write_bytes(b"x")
    assert refusal(kind="folder").startswith(
        f"{folder}/images/a.png and {folder}/images/a.tif have one name"
    )


def test_nfc_and_nfd_of_one_name_are_a_pair_but_not_two_images(source, read, refusal):
    composed, decomposed = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
    folder = source(f"images/{decomposed}.png", f"masks/{composed}.png")
    (pair,) = read(kind="folder")
    assert (pair.id, pair.image.name, pair.mask.name) == (
        composed,
        f"{decomposed}.png",
        f"{composed}.png",
    )
    (folder / f"images/{composed}.tif").write_bytes(b"x")
    assert "('Zu\\u0308rich.png', 'Z\\xfcrich.tif')" in refusal(kind="folder")


def test_names_that_differ_in_case_alone_are_refused(source, refusal):
    source("images/a.png", "masks/a.png", "images/A.png", "masks/A.png")
    said = refusal(kind="folder")
    assert "images/A.png" in said
    assert "images/a.png" in said
    assert (
        "have names that differ in case alone; a checkout on another system keeps one of them:"
        " rename one" in said
    )


@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb", r"a\nb"), ("a\x1bb", r"a\x1bb"), ("a\u2028b", r"a\u2028b")]
)
def test_a_control_character_in_a_name_is_refused_and_shown_escaped(source, refusal, name, shown):
    source(f"images/{name}.png", f"masks/{name}.png")
    said = refusal(kind="folder")
    assert f"images/{shown}.png" in said
    assert "\n" not in said
    assert "rename the file" in said


def test_a_name_that_is_not_utf8_is_refused(source, refusal):
    folder = source("masks/a.png")
    (folder / "images").mkdir()
    with open(os.fsencode(folder / "images") + b"/\xe4.png", "wb"):  # noqa: PTH123
        pass
    assert r"\udce4.png': the name holds bytes that are not UTF-8" in refusal(kind="folder")


def test_long_names_and_leading_dashes_are_kept_and_their_ids_fit_a_file_name(source, read):
    long = "ü" * 125  # 250 bytes, 254 with the ending
    source(
        *(
            f"{kind}/{name}.png"
            for kind in ("images", "masks")
            for name in ("-rf", long, long[:-1] + "u")
        )
    )
    ids = [p.id for p in read(kind="folder")]
    assert ids[0] == "-rf"
    assert len(set(ids)) == 3
    assert max(len(name.encode()) for name in ids) <= 200


@pytest.mark.timeout(20)
@pytest.mark.parametrize("odd", ["pipe", "circle", "nowhere", "folder elsewhere"])
def test_what_is_no_file_is_named_and_never_waited_for(source, refusal, tmp_path_factory, odd):
    folder = source("images/a.png", "masks/a.png")
    path = folder / "images/b.png"
    if odd == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(
            {"circle": path, "nowhere": "gone"}.get(odd, tmp_path_factory.mktemp("elsewhere"))
        )
    what = "no regular file" if odd == "pipe" else "a link that leads to no file"
    what = "a link that leads to a folder" if odd == "folder elsewhere" else what
    assert (
        refusal(kind="folder")
        == f"'{path}': {what}; replace it by the file or folder itself, or delete it"
    )


def test_images_behind_a_link_are_refused_since_dvc_would_not_keep_them(
    source, refusal, tmp_path_factory
):
    folder = source("masks/a.png")
    (folder / "images").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert refusal(kind="folder").startswith(
        f"{folder}/images: a folder that is a link; DVC does not version"
    )


def test_a_source_without_a_kind_lists_the_kinds(tmp_path, data):
    for config in (None, {}, {"kinds": "folder"}, ["folder"]):
        with pytest.raises(
            MaskmillError, match=r"needs a line `kind: NAME`; known are .*coco.*folder.*table"
        ):
            sources.create(config, tmp_path, data, "data/source.yaml")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"kind": "foldr"}, "data/source.yaml: kind: 'foldr' is not known; did you mean 'folder'?"),
        ({"kind": "folder", "group": "_"}, "kind.group is not an option; did you mean 'groups'?"),
        (
            {"kind": "folder", "folder": "x"},
            "kind.folder follows from the data and cannot be set; delete it",
        ),
        ({"kind": "folder", "blocks": "5"}, "kind.blocks: got '5': "),
    ],
)
def test_a_mistake_in_the_source_file_is_explained(refusal, config, said):
    assert said in refusal(**config)
