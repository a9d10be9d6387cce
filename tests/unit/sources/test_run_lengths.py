import numpy as np
import pytest

from maskmill.system.errors import MaskmillError
from tests.unit.sources.examples import DRAWN, put, run_lengths


def test_pixels_are_counted_from_1_down_the_columns_or_along_the_rows(
    tmp_path, recognise, read, data
):
    run_lengths(tmp_path, "2 3 24 1")
    settings = data.model_copy(update={"classes": ("background", "class_1")})
    down, along = (
        read(settings, **recognise("run_lengths").config, order=order)[0].mask()
        for order in ("columns", "rows")
    )
    assert np.flatnonzero(down.T).tolist() == [1, 2, 3, 23]
    assert np.flatnonzero(along).tolist() == [1, 2, 3, 23]


@pytest.mark.parametrize(
    ("header", "image", "classes"),
    [
        ("ImageId,ClassId,EncodedPixels", "{}.png", ["background", "class_1"]),
        ("ImageId,EncodedPixels", "{}", ["background", "foreground"]),
        ("ImageId_ClassId,EncodedPixels", "{}.png_4", ["background", "class_4"]),
        ("Image_Label,EncodedPixels", "{}.png_big fish", ["background", "big fish"]),
        ("img,rle_mask", "train_images/{}.png", ["background", "foreground"]),
        ("image_id;rle", "{}.png", ["background", "foreground"]),
    ],
)
def test_columns_are_those_of_competitions(tmp_path, recognise, draw, header, image, classes):
    run_lengths(tmp_path, header=header, image=image)
    if ";" in header:
        path = tmp_path / "train.csv"
        path.write_text("\ufeff" + path.read_text().replace(",", ";"))
    assert recognise("run_lengths").classes == classes
    assert draw("run_lengths")["a"].tolist() == DRAWN


def test_numbers_of_classes_get_names(tmp_path, read, data):
    run_lengths(tmp_path)
    assert read(data, kind="run_lengths", names={1: "bar"})[0].mask().max() == 3


def test_lines_of_one_image_add_up_and_empty_ones_are_background(tmp_path, recognise, draw):
    run_lengths(tmp_path)
    path = tmp_path / "train.csv"
    path.write_text(path.read_text() + "d.png,1,\nd.png,2,-1\na.png,2,1 1\n")
    put(tmp_path, "train_images/d.png")
    masks = draw("run_lengths")
    assert masks["a"][0, 0] == 2
    assert masks["a"][1, 1] == 1
    assert not masks["d"].any()


def test_what_is_assumed_is_told(tmp_path, recognise, draw):
    run_lengths(tmp_path)
    put(tmp_path, "train_images/none.png")
    put(tmp_path, "test_images/t.png")
    put(tmp_path, "sample_submission.csv", "ImageId,EncodedPixels\nt.png,1 1\n")
    found = recognise("run_lengths")
    assert [note.split(":")[0] for note in found.notes] == [
        "run lengths are read down the columns, from pixel 1, as Kaggle's; `order",
        "images without a line are taken for background as a whole",
        "classes have numbers alone (class_1)",
    ]
    assert found.unused == {
        "a form for predictions, no truth": [tmp_path / "sample_submission.csv"],
        "images in a folder of which no line names one": [tmp_path / "test_images/t.png"],
    }
    assert not draw("run_lengths")["none"].any()


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (
            "1 2 3",
            "line 2: run lengths are pairs of a first pixel, from 1, and how many; got '1 2 3",
        ),
        ("0 2", "pairs of a first pixel, from 1"),
        ("1 0", "pairs of a first pixel, from 1"),
        ("1 " + "9" * 30, "pairs of a first pixel, from 1"),
        ("1 2.5", "line 2: run lengths are whole numbers; got '1 2.5'"),
    ],
)
def test_bad_runs_are_refused_by_their_line(tmp_path, not_recognised, runs, said):
    run_lengths(tmp_path, runs)
    assert said in not_recognised("run_lengths")


@pytest.mark.parametrize(("runs", "pixel"), [("25 1", 25), ("24 2", 25), ("999999 1", 999_999)])
def test_runs_that_leave_the_image_are_refused_when_it_is_drawn(tmp_path, draw, runs, pixel):
    run_lengths(tmp_path, runs)
    with pytest.raises(MaskmillError) as raised:
        draw("run_lengths")
    assert f"line 2: pixel {pixel:,} is outside of the image of 6 x 4 px" in str(raised.value)


def test_a_list_that_cannot_be_used_is_refused(tmp_path, not_recognised, refusal):
    run_lengths(tmp_path)
    run_lengths(tmp_path / "again")
    assert "several lists of run lengths" in not_recognised("run_lengths")
    put(tmp_path, "other.csv", "a,b\n1,2\n")
    assert "columns a, b; needed are ImageId and EncodedPixels" in refusal(
        kind="run_lengths", file="other.csv"
    )


def test_images_that_are_missing_or_doubtful_are_named(tmp_path, not_recognised):
    run_lengths(tmp_path)
    put(tmp_path, "masks/b.png")
    told = not_recognised("run_lengths")
    assert "train.csv, line 3: image 'b.png' could be " in told
    for path in tmp_path.rglob("b.png"):
        path.unlink()
    assert "train.csv, line 3: image 'b.png' is nowhere below" in not_recognised("run_lengths")


def test_boxes_of_no_run_are_refused(tmp_path, not_recognised):
    run_lengths(tmp_path, "")
    assert "run lengths without outlines: there is no annotation at all" in not_recognised(
        "run_lengths"
    )
