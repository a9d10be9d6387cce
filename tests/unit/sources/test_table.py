import pytest

from maskmill.sources import _files, table
from maskmill.system.errors import MaskmillError


@pytest.fixture
def listed(source):
    """A function that writes the list, beside three pictures of each kind."""

    def write(text, name="pairs.csv", encoding="utf-8"):
        folder = source(*(f"{kind}/{i}.png" for kind in ("x", "y") for i in (1, 2, 10)))
        (folder / name).write_bytes(text.encode(encoding))
        return folder

    return write


def test_a_row_is_a_pair_with_the_paths_relative_to_the_source(listed, read):
    folder = listed("image,mask\nx/10.png,y/10.png\nx/2.png,y/1.png\n")
    found = read(kind="table")
    assert [(p.id, p.image, p.mask, p.group, p.order) for p in found] == [
        ("x__2", folder / "x/2.png", folder / "y/1.png", "x__2", 0),
        ("x__10", folder / "x/10.png", folder / "y/10.png", "x__10", 1),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_other_columns_say_id_group_sequence_order_and_split(listed, read, separator):
    text = (
        "Image,mask,id,group,sequence,order,split\n"
        "x/1.png,y/1.png,NA,p1,v1,7,Validation\n"
        "x/2.png,,b,p1,,,\n"
    )
    listed("\ufeff" + text.replace(",", separator), "list.csv")
    first, second = read(kind="table", file="list.csv")
    assert (first.id, first.group, first.sequence, first.order, first.split) == (
        "NA",
        "p1",
        "v1",
        7,
        "val",
    )
    assert (second.id, second.mask, second.sequence, second.split) == ("b", None, "", "")


def test_a_pattern_on_the_path_stands_for_the_column(listed, read, refusal):
    listed("image,mask\nx/10.png,y/10.png\nx/2.png,y/1.png\n")
    assert {p.group for p in read(kind="table", groups="(?P<group>[^/]+)/")} == {"x"}
    listed("image,mask,group\nx/10.png,y/10.png,a\n")
    assert "has a column `group`; delete it, or" in refusal(
        kind="table", groups="(?P<group>[^/]+)/"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a table with the columns image,mask"),
        (
            "image,label\n",
            "no column mask, got image, label; needed are these, allowed besides id, group",
        ),
        ("image,mask,grp\nx/1.png,y/1.png,a\n", "column 'grp' is not known; did you mean 'group'?"),
        (
            "image,mask\nx/1.png,y/9.png\n",
            "line 2, mask: {folder}/y/9.png is not there, or no regular file",
        ),
        ("image,mask\nx/1.png,../y.png\n", "line 2, mask: '../y.png' is not a path below {folder}"),
        (
            "image,mask\n/etc/passwd,y/1.png\n",
            "line 2, image: '/etc/passwd' is not a path below {folder}",
        ),
        (
            "image,mask\nout/1.png,y/1.png\n",
            "line 2, image: 'out/1.png' leads out of {folder} through a link",
        ),
        ("image,mask\nx/1.png,y/1.png\n,\n", "line 3: names no image and no mask; delete the line"),
        (
            "image,mask,split\nx/1.png,y/1.png,dev\n",
            "line 2: split 'dev'; allowed are train, val, test and nothing",
        ),
        (
            "image,mask,order\nx/1.png,y/1.png,one\n",
            "line 2: order 'one'; needed is a whole number",
        ),
        ("image,mask\nx/1.png,y/1.png\nx/1.png,y/2.png\n", "have one id"),
        ("image,mask\n", "the source holds no pairs"),
    ],
)
def test_a_bad_list_is_refused_with_its_line(listed, refusal, tmp_path_factory, text, said):
    folder = listed(text)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "1.png").write_bytes(b"x")
    (folder / "out").symlink_to(elsewhere)
    assert said.format(folder=folder) in refusal(kind="table")


def test_a_list_that_is_not_there_or_not_utf8_is_named(listed, refusal):
    folder = listed("image,mask\nü.png,y/1.png\n", encoding="latin-1")
    assert f"{folder}/pairs.csv: not UTF-8" in refusal(kind="table")
    assert "kind.file: " in refusal(kind="table", file="other.csv")


def test_columns_that_nobody_asks_for_do_no_harm(listed, read):
    listed("image,mask,camera_model\nx/1.png,y/1.png,c\n")
    assert len(read(kind="table")) == 1


def test_columns_can_have_names_of_their_own(listed, read, refusal):
    listed("photo,image,truth\nx/1.png,n/a,y/1.png\n")
    (pair,) = read(kind="table", columns={"image": "photo", "mask": "truth"})
    assert (pair.image.name, pair.mask.parent.name) == ("1.png", "y")
    assert "no column image, mask" in refusal(kind="table", columns={"image": "a", "mask": "b"})


def test_a_list_for_each_split_gives_it(listed, read, refusal):
    for split, i in (("train", 1), ("val", 2), ("test", 10)):
        listed(f"image,mask\nx/{i}.png,y/{i}.png\n", f"{split}.csv")
    files = {split: f"{split}.csv" for split in ("train", "val", "test")}
    assert {(pair.id, pair.split) for pair in read(kind="table", files=files)} == {
        ("x__1", "train"), ("x__2", "val"), ("x__10", "test"),
    }  # fmt: skip
    assert "kind.files: 'dev' is no split" in refusal(kind="table", files={"dev": "val.csv"})


def test_names_alone_are_found_in_the_folders_that_are_named(listed, read):
    folder = listed("image,mask\n1.png,10.png\n")
    (pair,) = read(kind="table", image_folder="x", mask_folder="y")
    assert (pair.id, pair.image, pair.mask) == ("1", folder / "x/1.png", folder / "y/10.png")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_paths_as_windows_writes_them_and_its_encodings_are_read(listed, read, encoding):
    folder = listed("image;mask\r\nx\\1.png;y\\1.png\r\n", encoding=encoding)
    (pair,) = read(kind="table")
    assert (pair.id, pair.image, pair.mask) == ("x__1", folder / "x/1.png", folder / "y/1.png")


@pytest.fixture
def recognised(tmp_path):
    """A function: the layout of the source folder as a list."""
    return lambda: table.recognise(tmp_path, list(_files.regular_files(tmp_path)))


ROWS = "".join(f"x/{i}.png,y/{i}.png,{who},{eye}\n" for i, who, eye in
               ((1, "p1", "l"), (2, "p2", "r"), (10, "p3", "l")))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "config", "note"),
    [
        ("image,mask\nx/1.png,y/1.png\n", {"file": "list.csv"}, ""),
        (
            "ID;Image_Path;Mask_Path\na;x/1.png;y/1.png\n",
            {"file": "list.csv", "columns": {"image": "image_path", "mask": "mask_path"}},
            "",
        ),
        (
            f"image,mask,patient_id,eye\n{ROWS}x/1.png,y/2.png,p1,r\n",
            {"file": "list.csv", "columns": {"group": "patient_id"}},
            "the column patient_id is taken for the group",
        ),
        # one patient for each image, or one for all, divides nothing
        (f"image,mask,patient,eye\n{ROWS}", {"file": "list.csv"}, ""),
        (
            "image,mask\n1.png,2.png\n",
            None,
            "",
        ),
    ],
)
def test_a_list_is_recognised_by_what_its_columns_are_called(
    listed, recognised, text, config, note
):
    folder = listed(text, "list.csv")
    if config is None:  # 1.png is in x and in y
        with pytest.raises(MaskmillError, match=r"list.csv: 1.png is in .*/x, .*/y; write the"):
            recognised()
        return
    found = recognised()
    assert found.config == {"kind": "table", **config}
    assert found.files == [folder / "list.csv"]
    assert [note] == [kept[: len(note)] for kept in found.notes] or not (note or found.notes)


def test_names_alone_are_found_in_their_folders_and_one_that_is_nowhere_is_named(
    source, recognised, read
):
    folder = source("photos/a.png", "truth/a_gt.png")
    (folder / "list.csv").write_text("image,mask\na.png,a_gt.png\n")
    found = recognised()
    assert found.config == {
        "kind": "table", "file": "list.csv", "image_folder": "photos", "mask_folder": "truth",
    }  # fmt: skip
    assert [pair.id for pair in read(**found.config)] == ["a"]
    (folder / "list.csv").write_text("image,mask\na.png,a_gt.png\nb.png,a_gt.png\n")
    with pytest.raises(MaskmillError, match=r"list.csv: b.png is nowhere in"):
        recognised()


def test_a_table_of_something_else_is_no_list(listed, recognised):
    listed("name,age\nA,31\n", "patients.csv")
    assert recognised() is None
