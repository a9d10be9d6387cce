import json

import pytest

from maskmill import sources
from maskmill.importing import recognise
from maskmill.system.errors import MaskmillError


def layout(folder, **wishes):
    found, _ = recognise.recognise(folder, **wishes)
    return found


@pytest.fixture
def files(tmp_path):
    """A function that makes empty files and gives their folder; a layout needs no pictures."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("images", "masks", "options"),
    [
        ("images/{}.jpg", "masks/{}.png", {"images": "images", "masks": "masks"}),
        (
            "JPEGImages/{}.jpg",
            "SegmentationClass/{}.png",
            {"images": "JPEGImages", "masks": "SegmentationClass"},
        ),
        ("data/imgs/{}.jpg", "data/gt/{}.png", {"images": "data/imgs", "masks": "data/gt"}),
        (
            "images/{}.jpg",
            "labels/{}_seg.png",
            {"images": "images", "masks": "labels", "mask_suffix": "_seg"},
        ),
        (
            "images/{}.jpg",
            "masks/{}-L.png",
            {"images": "images", "masks": "masks", "mask_suffix": "-L"},
        ),
        (
            "images/{}_training.tif",
            "1st_manual_masks/{}_manual1.gif",
            {
                "images": "images",
                "masks": "1st_manual_masks",
                "image_suffix": "_training",
                "mask_suffix": "_manual1",
            },
        ),
        ("{}.png", "{}_mask.png", {"images": ".", "masks": ".", "mask_suffix": "_mask"}),
        (
            "all/{}.png",
            "all/{}.label.png",
            {"images": "all", "masks": "all", "mask_suffix": ".label"},
        ),
        ("images/p1/{}.png", "masks/p1/{}.png", {"images": "images", "masks": "masks"}),
        ("photos/{}.png", "photos/masks/{}.png", {"images": "photos", "masks": "photos/masks"}),
    ],
)
def test_folders_of_images_and_masks_are_recognised_and_read(files, data, images, masks, options):
    folder = files(*(name.format(i) for i in (1, 2, 10) for name in (images, masks)))
    found = layout(folder)
    assert found.config == {"kind": "folder", **options}
    pairs = sources.create(found.config, folder, data, "data/source.yaml")
    assert [pair.id.removeprefix("p1__") for pair in pairs] == ["1", "2", "10"]
    assert all(pair.image and pair.mask for pair in pairs)


@pytest.mark.parametrize(
    ("image", "mask", "patterns"),
    [
        ("{}/images/{}.png", "{}/masks/{}.png", ("{split}/images", "{split}/masks")),
        ("images/{}/{}.png", "masks/{}/{}.png", ("images/{split}", "masks/{split}")),
        ("{}/{}.png", "{}annot/{}.png", ("{split}", "{split}annot")),
        ("{}_images/{}.png", "{}_labels/{}.png", ("{split}_images", "{split}_labels")),
        ("imgs_{}/{}.png", "masks_{}/{}.png", ("imgs_{split}", "masks_{split}")),
        ("{}/{}.png", "{}/{}_mask.png", ("{split}", "{split}")),
    ],
)
def test_folders_of_a_given_split_are_recognised_and_read(files, data, image, mask, patterns):
    folder = files(
        *(
            name.format(split, split[0])
            for split in ("train", "val", "test")
            for name in (image, mask)
        )
    )
    config = layout(folder).config
    assert (config["images"], config["masks"]) == patterns
    pairs = sources.create(config, folder, data, "data/source.yaml")
    assert {(pair.id, pair.split) for pair in pairs} == {
        ("test__t", "test"),
        ("train__t", "train"),
        ("val__v", "val"),
    }


def test_a_list_is_recognised_by_its_columns(files):
    folder = files("x/1.png", "y/1.png")
    (folder / "notes.csv").write_text("a,b\n1,2\n")
    (folder / "list.csv").write_text("image;mask;camera_model\nx/1.png;y/1.png;c\n")
    found = layout(folder)
    assert found.config == {"kind": "table", "file": "list.csv"}
    assert found.told == "a list, list.csv, with the columns image, mask; not used: camera_model"
    (folder / "again.csv").write_text("image,mask\n")
    with pytest.raises(
        MaskmillError, match=r"several lists of images and masks: again.csv, list.csv; keep one"
    ):
        layout(folder)


def coco(folder, name, image):
    content = {
        "images": [{"id": 1, "file_name": image, "height": 2, "width": 2}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1]]}
        ],
    }
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("{}/_annotations.coco.json", "{}"),
        ("{}.json", "images/{}"),
    ],
)
def test_coco_is_recognised_with_the_folder_of_its_images(files, annotations, images):
    folder = files(
        *(f"{images.format(split)}/1.jpg" for split in ("train", "val")), "settings.json"
    )
    for split in ("train", "val"):
        coco(folder, annotations.format(split), "1.jpg")
    config = layout(folder).config
    assert config["annotations"] == {
        annotations.format(s): images.format(s) for s in ("train", "val")
    }


def test_coco_without_its_images_or_with_images_twice_is_refused(files):
    folder = files("images/1.jpg")
    coco(folder, "a.json", "1.jpg")
    coco(folder, "b.json", "1.jpg")
    with pytest.raises(
        MaskmillError, match=r"a.json, b.json annotate the images of one folder, images; keep one"
    ):
        layout(folder)
    (folder / "b.json").unlink()
    (folder / "images/1.jpg").unlink()
    with pytest.raises(MaskmillError, match=r"a.json: its images \(1.jpg, ..\) are nowhere below"):
        layout(folder)


def test_what_cannot_be_told_is_said(files):
    folder = files("readme.txt")
    for names in ((), ("photos/1.png",)):
        with pytest.raises(
            MaskmillError,
            match=r"no layout that is known. Known are: a folder `images` and a folder",
        ):
            layout(files(*names))
    with pytest.raises(
        MaskmillError,
        match=r"masks could be in gt, labels; keep one and move the others out, or name it",
    ):
        layout(files("labels/1.png", "gt/1.png"))
    for name in ("gt/1.png", "labels/1.png"):
        (folder / name).unlink()
    with pytest.raises(
        MaskmillError,
        match=r"images are in photos, masks in masks/\{split\}: only one of them is split",
    ):
        layout(files("masks/train/1.png"))
