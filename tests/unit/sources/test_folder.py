import os
import unicodedata

import numpy as np
import pytest
import tifffile

from maskmill import sources
from maskmill.images import decode
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


def test_paths_with_places_say_patient_class_and_object(source, read, data):
    source(
        *(f"{p}/scan/{i}_t1.png" for p in ("ann", "ben") for i in (1, 2)),
        *(
            f"{p}/truth/{c}/{i}.png"
            for p in ("ann", "ben")
            for i in (1, 2)
            for c in ("disc", "bar")
        ),
        "ann/truth/square/1.png",
    )
    options = {"images": "{folder}/scan/{name}_t1", "masks": "{folder}/truth/{class}/{name}"}
    found = read(kind="folder", **options)
    assert [pair.id for pair in found] == ["ann__1", "ann__2", "ben__1", "ben__2"]
    assert [len(pair.mask.files) for pair in found] == [3, 2, 2, 2]
    # of masks that overlap the later counts: bar, disc, square
    assert np.unique(found[0].mask()).tolist() == [data.classes.index("square")]
    assert np.unique(found[1].mask()).tolist() == [data.classes.index("disc")]


def test_a_class_that_params_yaml_has_not_is_named(source, read):
    source("images/1.png", "masks/cat/1.png")
    (pair,) = read(kind="folder", images="images/{name}", masks="masks/{class}/{name}")
    with pytest.raises(MaskmillError, match=r"class 'cat' is none of data.classes in params.yaml"):
        pair.mask()


def test_masks_of_objects_are_one_class_wherever_they_are_not_0(tmp_path, read, data):
    def write(name, pixels):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(decode.png_bytes(np.asarray(pixels, np.uint8)))

    two = data.model_copy(update={"classes": ("background", "object"), "values": None})
    write("images/1.png", [[9, 9, 9]])
    write("masks/1_a.png", [[255, 0, 0]])
    write("masks/1_b.png", [[0, 7, 0]])
    options = {"kind": "folder", "images": "images/{name}", "masks": "masks/{name}_{object}"}
    (pair,) = read(two, **options)
    assert pair.mask().tolist() == [[1, 1, 0]]
    (divided,) = read(two.model_copy(update={"threshold": 128}), **options)
    assert divided.mask().tolist() == [[1, 0, 0]]
    write("masks/1_b.png", [[0, 7]])
    with pytest.raises(MaskmillError, match=r"1_b.png: 2 x 1 px; the other masks .* have 3 x 1"):
        pair.mask()


@pytest.mark.parametrize(
    ("unpaired", "found"),
    [
        ("refuse", [("a", True, False), ("b", True, True), ("c", False, True)]),
        ("leave_out", [("b", True, True)]),
        ("background", [("a", True, True), ("b", True, True), ("c", False, True)]),
    ],
)
def test_what_becomes_of_an_image_without_a_mask_is_said(source, read, unpaired, found):
    source("images/a.png", "images/b.png", "masks/b.png", "masks/c.png")
    assert [
        (pair.id, pair.image is not None, pair.mask is not None)
        for pair in read(kind="folder", unpaired=unpaired)
    ] == found


def test_zeros_before_numbers_can_be_dropped(source, read, refusal):
    source("images/1.png", "masks/01.png")
    (pair,) = read(kind="folder", pairing="numbers")
    assert (pair.image.name, pair.mask.name) == ("1.png", "01.png")
    assert len(read(kind="folder")) == 2
    source("images/001.png")
    assert "images/1.png" in refusal(kind="folder", pairing="numbers")


@pytest.fixture
def stacks(tmp_path):
    """A function: names -> images and masks of three pages, page i filled with i."""

    def write(*names):
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
            for name in names:
                pages = np.arange(3, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(6, 2)
                tifffile.imwrite(tmp_path / kind / name, pages, photometric="minisblack")

    return write


def test_each_page_of_a_stack_is_an_image_and_the_stack_their_group(stacks, read):
    stacks("a.tif", "b.tif")
    found = read(kind="folder", pages=True)
    assert [(pair.id, pair.group, pair.order) for pair in found[:4]] == [
        ("a__0001", "a", 0), ("a__0002", "a", 1), ("a__0003", "a", 2), ("b__0001", "b", 0),
    ]  # fmt: skip
    assert [int(pair.mask()[0, 0]) for pair in found] == [0, 1, 2, 0, 1, 2]
    assert found[2].image()[..., 0].tolist() == np.full((4, 6), 2).tolist()


def test_one_stack_is_cut_into_blocks(stacks, read):
    stacks("a.tif")
    found = read(kind="folder", pages=True, blocks=3)
    assert [pair.group for pair in found] == ["block1", "block2", "block3"]
