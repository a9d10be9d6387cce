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
    assert found.files == [folder / "list.csv"]


def test_of_several_lists_none_is_chosen(files):
    folder = files("a/1.png", "b/1.png")
    for name in ("list.csv", "again.csv"):
        (folder / name).write_text("image,mask\na/1.png,b/1.png\n")
    with pytest.raises(
        MaskmillError, match=r"several lists of images and masks: again.csv, list.csv; keep one"
    ):
        layout(folder)
    # of folders that are clear without them they are told and passed by
    found = layout(files("images/1.png", "masks/1.png"))
    assert (found.config["kind"], found.config["images"]) == ("folder", "images")
    assert "several lists of images and masks" in found.notes[0]
    assert found.notes[0].endswith("; passed by")


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
        MaskmillError, match=r"a.json, \S*b.json annotate the same images, .*keep one"
    ):
        layout(folder)
    (folder / "b.json").unlink()
    (folder / "images/1.jpg").unlink()
    with pytest.raises(
        MaskmillError, match=r"a.json: COCO; its images \(1.jpg\) are nowhere below .*; put them"
    ):
        layout(folder)


def test_an_empty_folder_and_one_without_pairs_are_no_layout(files):
    with pytest.raises(MaskmillError, match=r"the folder is empty\. Known are: a folder `images`"):
        layout(files())
    folder = files("readme.txt", "photos/1.png", "photos/2.png", "other/3.png")
    with pytest.raises(MaskmillError) as raised:
        layout(folder)
    said = str(raised.value)
    assert "no layout that is known; it holds 3 .png, 1 .txt." in said
    assert "No two of its folders have names that pair: photos: 1.png, 2.png; other: 3.png." in said
    assert "Known are: a folder `images` and a folder `masks`" in said
    assert "--images and --masks name the folders" in said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("images/a.heic", "masks/a.png"), "images holds 1 .heic, which are not read"),
        (("images/a.dcm", "masks/a.png"), "convert them to PNG (dcmj2pnm, or pydicom)"),
        (("a.npz", "b.npz"), "save image and mask as PNG each"),
        (("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"), "save the slices as PNG or TIFF"),
        (("data.zip",), "unpack it, and import the folder that comes out"),
    ],
)
def test_files_that_are_not_read_are_named_with_what_converts_them(files, names, said):
    with pytest.raises(MaskmillError) as raised:
        layout(files(*names))
    assert said in str(raised.value)


def test_an_archive_a_file_and_what_is_not_there_are_no_folder(files):
    folder = files("data.zip", "a.txt")
    for name, said in (
        ("data.zip", "data.zip: an archive; unpack it"),
        ("a.txt", "a.txt: no such folder; name the one that holds the images and masks"),
        ("gone", "gone: no such folder"),
    ):
        with pytest.raises(MaskmillError, match=said):
            layout(folder / name)


def test_two_folders_of_masks_are_never_chosen_between(files):
    folder = files("photos/1.png", "labels/1.png", "gt/1.png")
    with pytest.raises(MaskmillError, match=r"could be gt/{name}, labels/{name}: .* --masks gt"):
        layout(folder)
    assert layout(folder, masks="labels").config["masks"] == "labels"


def test_one_annotated_folder_in_two_formats_is_read_by_the_kind_that_is_named(files):
    folder = files("images/1.jpg", "masks/1.png")
    coco(folder, "a.json", "1.jpg")
    (folder / "list.csv").write_text("image,mask\nimages/1.jpg,masks/1.png\n")
    with pytest.raises(
        MaskmillError, match=r"could be several layouts: coco: .*; table: .*; say which by --kind"
    ):
        layout(folder)
    for kind in ("coco", "table", "folder"):
        assert layout(folder, kind=kind).config["kind"] == kind
    with pytest.raises(MaskmillError, match=r"--kind: 'csv' is not known; known are .*table"):
        layout(folder, kind="csv")


def test_annotations_come_before_files_of_equal_names(files):
    folder = files("images/1.jpg", "masks/1.png")
    coco(folder, "a.json", "1.jpg")
    assert layout(folder).config["kind"] == "coco"
    assert layout(folder, masks="masks").config["kind"] == "folder"
