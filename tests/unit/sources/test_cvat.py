import pytest

from maskmill.system.errors import MaskmillError
from tests.unit.sources.examples import DRAWN, cvat, put

BOX = '<box label="disc" xtl="0" ytl="0" xbr="6" ybr="4" z_order="{}"/>'


def test_every_kind_of_shape_is_drawn_in_the_order_of_z(tmp_path, draw):
    cvat(
        tmp_path,
        '<mask label="bar" rle="1, 1, 2" left="4" top="2" width="2" height="2" z_order="3"/>',
        '<ellipse label="square" cx="3" cy="2" rx="1" ry="1" z_order="2"/>',
        BOX.format(-1),
    )
    # the classes in order of name: background, bar, disc, square
    assert draw("cvat")["a"].tolist() == [
        [2, 2, 2, 2, 2, 2],
        [2, 2, 3, 3, 2, 2],
        [2, 2, 3, 3, 2, 1],
        [2, 2, 2, 2, 2, 2],
    ]


def test_boxes_alone_are_drawn_and_doubted(tmp_path, recognise):
    cvat(tmp_path, BOX.format(0))
    assert recognise("cvat").notes == [
        "all shapes are rectangles, and drawn as such: 3; if they are boxes around objects, they "
        "are no outlines"
    ]


def test_a_box_may_be_turned(tmp_path, draw):
    cvat(tmp_path, '<box label="disc" xtl="1" ytl="1" xbr="5" ybr="3" rotation="90"/>')
    assert draw("cvat")["a"].tolist() == [[0, 0, 1, 1, 0, 0]] * 4


def test_attributes_are_passed_by_and_lines_counted(tmp_path, recognise, draw):
    cvat(
        tmp_path,
        '<polygon label="disc" points="1,1;4,1;4,3;1,3"><attribute name="q"/></polygon>',
        '<polyline label="disc" points="1,1;2,2"/>',
        '<tag label="day"/>',
    )
    found = recognise("cvat")
    assert [note.split(" (")[0] for note in found.notes] == [
        "polylines are not drawn: 3", "tags say nothing of pixels: 3",
    ]  # fmt: skip
    assert "annotations.xml: image 0: polyline 2" in found.notes[0]
    assert draw("cvat")["c"].tolist() == DRAWN


def test_classes_come_in_the_order_of_the_task_without_those_of_points(tmp_path, recognise):
    cvat(tmp_path)
    path = tmp_path / "annotations.xml"
    labels = "".join(
        f"<label><name>{name}</name><type>{kind}</type><attributes><attribute><name>q</name>"
        "</attribute></attributes></label>"
        for name, kind in (("zebra", "polygon"), ("eye", "points"), ("disc", "any"))
    )
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    path.write_text(path.read_text().replace("</version>", f"</version>{meta}"))
    assert recognise("cvat").classes == ["background", "zebra", "disc"]


def test_the_subset_tells_images_of_one_name_apart_and_is_the_split(
    tmp_path, recognise, read, data
):
    images = ""
    for subset in ("Train", "Validation", "Test"):
        put(tmp_path, f"images/{subset}/a.png")
        images += (
            f'<image id="{subset}" name="a.png" subset="{subset}">'
            '<polygon label="disc" points="1,1;4,1;4,3;1,3"/></image>'
        )
    put(tmp_path, "annotations.xml", f"<annotations>{images}</annotations>")
    pairs = read(data, **recognise("cvat").config)
    assert {p.split: p.image.parent.name for p in pairs} == {
        "train": "Train", "val": "Validation", "test": "Test",
    }  # fmt: skip


def test_images_without_a_shape_are_background_and_others_are_not_used(tmp_path, recognise, draw):
    cvat(tmp_path)
    path = tmp_path / "annotations.xml"
    empty = '<image id="3" name="d.png" width="6" height="4"/></annotations>'
    path.write_text(path.read_text().replace("</annotations>", empty))
    for name in "de":
        put(tmp_path, f"images/{name}.png")
    found = recognise("cvat")
    assert found.notes == ["images without a shape are background as a whole: 1"]
    assert found.unused == {"images that no annotations name": [tmp_path / "images/e.png"]}
    assert not draw("cvat")["d"].any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!DOCTYPE annotations><annotations/>", "holds a document type or entities"),
        (
            '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotations>&d;</annotations>',
            "holds a document type or entities",
        ),
        ("<annotations>", "not readable as XML"),
        ("<other><annotations/></other>", "its outermost element is 'other', not 'annotations'"),
        ("<annotations><track/></annotations>", "CVAT for video; export the task as `CVAT for im"),
        ("<annotations/>", "names no image"),
        ("<annotations>" + "<a>" * 99, "elements more than 32 deep"),
    ],
)
def test_what_is_no_file_of_cvat_for_images_is_refused(tmp_path, not_recognised, text, said):
    put(tmp_path, "annotations.xml", text)
    assert said in not_recognised("cvat")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ('<polygon label="disc" points="1,1;2,2"/>', "polygon 1: a polygon needs three or more"),
        ('<polygon label="disc" points="1,1;2,2;3,1e9"/>', "within 12 px"),
        ('<polygon label="disc" points="1,1;2;3,1,4"/>', "a polygon needs three or more"),
        (
            '<polygon label="disc" points="1,1;2,x"/>',
            "its numbers cannot be read: could not convert",
        ),
        ('<polygon label="disc"/>', "its numbers cannot be read: it has no 'points'"),
        ('<polygon points="1,1;2,2;1,2"/>', "a shape needs a label"),
        ('<box label="disc" xtl="0" ytl="0" xbr="inf" ybr="1"/>', "a box needs two corners"),
        (BOX.format(0).replace("z_order", "rotation").replace('"0"/', '"inf"/'), "rotation inf"),
        ('<ellipse label="disc" cx="1" cy="1" rx="0" ry="1"/>', "two radii above 0; got 0 and 1"),
        (
            '<mask label="disc" rle="1, 2" left="0" top="0" width="2" height="2"/>',
            "run lengths that do not fill 2 x 2 px",
        ),
        (
            '<mask label="disc" rle="4" left="5" top="0" width="2" height="2"/>',
            "a mask of 2 x 2 px at 5, 0 leaves the image",
        ),
    ],
)
def test_a_bad_shape_is_refused_by_its_place(tmp_path, not_recognised, shape, said):
    cvat(tmp_path, shape)
    told = not_recognised("cvat")
    assert said in told
    assert "annotations.xml: image 0: " in told


def test_sizes_are_held_against_the_image(tmp_path, draw, not_recognised):
    cvat(tmp_path, width="7")
    with pytest.raises(MaskmillError, match=r"annotates an image of 7 x 4 px; .*a\.png has 6 x 4"):
        draw("cvat")
    cvat(tmp_path, width="-7")
    assert "height '4', width '-7'; needed are whole numbers" in not_recognised("cvat")


def test_the_reader_needs_a_file_inside_of_the_folder(tmp_path, refusal):
    cvat(tmp_path)
    assert "got []; needed is one FILE.xml at least" in refusal(kind="cvat", annotations=[])
    assert "'../x.xml' is not a path below" in refusal(kind="cvat", annotations=["../x.xml"])
