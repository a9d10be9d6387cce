import numpy as np
import pytest

from maskmill.images import decode
from maskmill.system.errors import MaskmillError
from tests.unit.sources.examples import DRAWN, SQUARE, base64_png, labelme, labelme_shape, put


def test_every_kind_of_shape_is_drawn_and_the_later_wins(tmp_path, draw):
    labelme(
        tmp_path,
        labelme_shape("rectangle", [6, 4, 0, 0], "square"),
        labelme_shape("circle", [3, 2, 4, 2], "disc"),
        labelme_shape("mask", [4, 2, 5, 3], "bar", mask=base64_png([[255, 0], [1, 1]])),
    )
    # the classes in order of name: background, bar, disc, square
    assert draw("labelme")["a"].tolist() == [
        [3, 3, 3, 3, 3, 3],
        [3, 3, 2, 2, 3, 3],
        [3, 3, 2, 2, 1, 3],
        [3, 3, 3, 3, 1, 1],
    ]


def test_a_shape_of_no_type_is_a_polygon_as_in_version_3(tmp_path, draw):
    shape = labelme_shape()
    del shape["shape_type"]
    labelme(tmp_path, shape)
    assert draw("labelme")["b"].tolist() == DRAWN


def test_ignore_and_background_are_labels_of_their_own(tmp_path, recognise, draw):
    labelme(
        tmp_path,
        labelme_shape("rectangle", [0, 0, 6, 4]),
        labelme_shape("rectangle", [0, 0, 1, 4], "__ignore__"),
        labelme_shape("rectangle", [5, 0, 6, 4], "_background_"),
    )
    assert recognise("labelme").classes == ["background", "disc"]
    assert draw("labelme")["a"].tolist() == [[255, 1, 1, 1, 1, 0]] * 4


def test_the_list_of_labels_gives_the_order_of_the_classes(tmp_path, recognise):
    labelme(tmp_path, labelme_shape(), labelme_shape(label="bar"), labelme_shape(label="new"))
    put(tmp_path, "labels.txt", "__ignore__\n_background_\nrare\ndisc\nbar\n")
    found = recognise("labelme")
    assert found.classes == ["background", "rare", "disc", "bar", "new"]
    assert tmp_path / "labels.txt" in found.files


def test_lines_and_points_are_counted_and_not_drawn(tmp_path, recognise):
    labelme(tmp_path, labelme_shape(), labelme_shape("linestrip"), labelme_shape("point", [1, 1]))
    put(tmp_path, "d.png")
    found = recognise("labelme")
    assert found.notes[0].startswith("linestrips are not drawn: 3 (")
    assert "a.json: shape 1, " in found.notes[0]
    assert found.notes[1].startswith("points are not drawn: 3 (")
    assert found.unused == {"images without a JSON file": [tmp_path / "d.png"]}


def test_points_alone_are_refused(tmp_path, not_recognised):
    labelme(tmp_path, labelme_shape("point", [1, 1]))
    assert not_recognised("labelme").startswith("LabelMe without outlines: points are not drawn: 3")


def test_images_without_a_shape_are_background_and_said(tmp_path, recognise, draw):
    labelme(tmp_path)
    put(tmp_path, "d.png")
    put(tmp_path, "d.json", {"shapes": [], "imagePath": "d.png"})
    assert recognise("labelme").notes == ["images without a shape are background as a whole: 1"]
    assert not draw("labelme")["d"].any()


def test_images_are_found_where_imagepath_leads_and_by_the_name_of_the_json(tmp_path, recognise):
    labelme(tmp_path, imagePath="..\\images\\elsewhere.jpg")
    put(tmp_path, "deep/images/e.png")
    put(
        tmp_path,
        "deep/labels/e.json",
        {"shapes": [labelme_shape()], "imagePath": "..\\images\\e.png"},
    )
    assert recognise("labelme").told == "LabelMe: 4 JSON files with their images"


def test_folders_of_splits_give_the_split(tmp_path, recognise, read, data):
    for split in ("train", "val", "test"):
        labelme(tmp_path / split)
    pairs = read(data, **recognise("labelme").config)
    assert {(p.id, p.split) for p in pairs[:3]} == {
        (f"{split}__a", split) for split in ("train", "val", "test")
    }


def test_an_image_that_is_missing_is_named(tmp_path, not_recognised):
    labelme(tmp_path)
    (tmp_path / "b.png").unlink()
    assert "b.json: its image 'b.png' is nowhere below" in not_recognised("labelme")


def test_one_bad_shape_is_told_and_more_than_5_percent_are_refused(
    tmp_path, recognise, not_recognised
):
    bad = labelme_shape("polygon", [1, 1, 2, 2])
    labelme(tmp_path, *[labelme_shape()] * 20)
    put(tmp_path, "d.png")
    put(tmp_path, "d.json", {"shapes": [bad], "imagePath": "d.png"})
    told = recognise("labelme").notes[0]
    assert told.startswith("annotations that cannot be drawn are left out: 1 of 61: ")
    assert told.endswith(
        "d.json: shape 0: a polygon needs three or more points x, y, within 12 px; got [1, 1, 2, 2]"
    )
    labelme(tmp_path, labelme_shape(), bad)
    assert "4 of 7 annotations cannot be drawn, and at most 5% are left out" in not_recognised(
        "labelme"
    )


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (labelme_shape("polygon", [0, 0, 1, 1, 1, 1e9]), "within 12 px"),
        (labelme_shape("polygon", [0, 0, 1, 1, 1, float("inf")]), "a polygon needs"),
        (labelme_shape() | {"points": "text"}, "a polygon needs three or more points"),
        (labelme_shape("rectangle", [1, 1]), "a polygon needs three or more points"),
        (labelme_shape("circle", [1, 1]), "a circle needs its centre and a point"),
        (labelme_shape("mask", [0, 0, 1, 1]), "a mask needs its pixels, a PNG in base64"),
        (labelme_shape(label=""), "shape 0: a shape needs a label"),
        ("text", "a shape needs a label"),
    ],
)
def test_a_bad_shape_is_refused_by_its_place(tmp_path, not_recognised, shape, said):
    labelme(tmp_path, shape)
    assert said in not_recognised("labelme")


@pytest.mark.parametrize(
    ("encoded", "said"),
    [
        ("%%", "shape 0: its pixels are not base64"),
        ("AAAA", "shape 0: its pixels: not an image by its first bytes"),
        (base64_png(np.ones((9, 9))), "its pixels are of shape (9, 9); the image is (4, 6)"),
    ],
)
def test_bad_pixels_of_a_mask_are_refused_when_it_is_drawn(tmp_path, draw, encoded, said):
    labelme(tmp_path, labelme_shape("mask", [0, 0, 1, 1], mask=encoded))
    with pytest.raises(MaskmillError, match=r"a\.json") as raised:
        draw("labelme")
    assert said in str(raised.value)


def test_a_size_that_is_not_that_of_the_image_is_refused(tmp_path, draw, not_recognised):
    labelme(tmp_path, imageWidth=5)
    with pytest.raises(MaskmillError, match=r"annotates an image of 5 x 4 px; .*a\.png has 6 x 4"):
        draw("labelme")
    labelme(tmp_path, imageWidth="5")
    assert "imageHeight 4, imageWidth '5'; needed are whole numbers" in not_recognised("labelme")


def test_without_a_size_it_is_that_of_the_image(tmp_path, draw):
    labelme(tmp_path, imageWidth=None, imageHeight=None)
    assert draw("labelme")["a"].tolist() == DRAWN


@pytest.mark.parametrize(
    "text", ['{"shapes": [], "imagePath": ', '["shapes", "imagePath", ' * 9999]
)
def test_a_json_that_is_cut_off_is_refused(tmp_path, not_recognised, text):
    labelme(tmp_path)
    put(tmp_path, "b.json", text)
    assert "b.json: not readable as JSON" in not_recognised("labelme")


def test_two_json_files_for_one_image_are_refused(tmp_path, recognise, read, data):
    labelme(tmp_path)
    put(tmp_path, "other.json", {"shapes": [labelme_shape()], "imagePath": "a.png"})
    with pytest.raises(MaskmillError, match=r"a\.png: is annotated by .*; keep one"):
        read(data, **recognise("labelme").config)


def test_a_turned_photograph_is_annotated_as_it_is_shown(tmp_path, recognise, read, data):
    from PIL import Image

    labelme(tmp_path, labelme_shape(flat=SQUARE))
    for name in "abc":
        exif = Image.Exif()
        exif[0x0112] = 6  # a quarter turn: stored as 4 wide and 6 high, shown as 6 x 4
        Image.fromarray(np.full((6, 4), 7, np.uint8)).save(tmp_path / f"{name}.png", exif=exif)
    (first, *_) = read(data, **recognise("labelme").config)
    assert decode.image(first.image, 1, data.decoding).shape[:2] == first.mask().shape
