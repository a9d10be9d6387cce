import pytest


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
