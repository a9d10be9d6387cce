"""What an import guesses from the files of all pairs, and what it warns of."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskmill.images import decode, labels
from maskmill.importing import describe, file_facts, propose
from maskmill.importing.plan import Plan, Wishes
from maskmill.settings import config, configure
from maskmill.system.errors import MaskmillError

SHIPPED = Path(__file__).parents[3] / "params.yaml"
Draw = Callable[[Path, np.ndarray], Any]


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the settings alone."""
    shutil.copy(SHIPPED, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(folder: Path = Path("cells"), **wishes: Any) -> Plan:
    return propose.make_plan(folder, Wishes(**wishes), config.load())


def draw(
    sides: list[int], bands: int = 1, write: Draw = decode.write_png, suffix: str = "png"
) -> Path:
    """Images of these sides as `write` saves them, each with a mask of 0 and, a fifth of it, 1."""
    rng = np.random.default_rng(0)
    Path("cells/images").mkdir(parents=True)
    for place, side in enumerate(sides):
        write(
            Path(f"cells/images/{place}.{suffix}"),
            rng.integers(0, 255, (side, side, bands), np.uint8),
        )
        decode.write_png(
            Path(f"cells/masks/{place}.png"), (rng.random((side, side)) < 0.2).astype(np.uint8)
        )
    return Path("cells")


def tiff(photometric: str, *extra: str) -> Draw:
    return lambda path, pixels: tifffile.imwrite(
        path, pixels, photometric=photometric, extrasamples=extra or None, planarconfig="contig"
    )


def cmyk(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels, "CMYK").save(path)


def npy(path: Path, pixels: np.ndarray) -> None:
    np.save(path, pixels[..., 0])


@pytest.mark.parametrize(
    ("bands", "write", "channels", "chosen"),
    [
        (4, tiff("rgb", "unspecified"), 4, [1, 2, 3, 4]),
        (3, tiff("minisblack", "unspecified", "unspecified"), 3, [1, 2, 3]),
        (3, tiff("rgb"), 3, None),
        (1, lambda path, pixels: tifffile.imwrite(path, pixels[..., 0]), 1, None),
    ],
)
def test_channels_are_those_that_the_headers_tell_and_the_decoder_takes(
    bands: int, write: Draw, channels: int, chosen: list[int] | None
):
    plan = make(draw([40] * 3, bands, write, "tif"))
    assert (plan.settings["data.in_channels"], plan.settings["data.decoding.bands"]) == (
        channels,
        chosen,
    )
    assert describe.plan_warnings(plan) == []
    assert any("images have" in note for note in plan.notes) == (chosen is not None)
    image = Path("cells/images/0.tif")
    assert decode.image(image, channels, plan.decoding).shape == (40, 40, channels)


@pytest.mark.parametrize(
    ("bands", "write", "suffix", "said", "settings", "wishes"),
    [
        (
            4,
            tiff("rgb", "unassalpha"),
            "tif",
            "3 images are not opaque: cells/images/0.tif, cells/images/1.tif and 1 more. Their",
            {"data.decoding.alpha": "drop"},
            {},
        ),
        (
            4,
            tiff("rgb", "unassalpha"),
            "tif",
            "--bands 1,2,3,4 takes it for a band like the others",
            {},
            {"bands": (1, 2, 3, 4)},
        ),
        (
            4,
            cmyk,
            "tif",
            "a CMYK image of uint8; CMYK is refused; allowed is convert",
            {"data.decoding.cmyk": "convert"},
            {},
        ),
        (
            4,
            cmyk,
            "jpg",
            "a CMYK image of uint8; CMYK is refused; allowed is convert",
            {"data.decoding.cmyk": "convert"},
            {},
        ),
    ],
)
def test_images_that_would_all_be_refused_stop_the_import_and_the_advice_works(
    bands: int,
    write: Draw,
    suffix: str,
    said: str,
    settings: dict[str, Any],
    wishes: dict[str, Any],
):
    draw([40] * 3, bands, write, suffix)
    with pytest.raises(MaskmillError) as raised:
        make()
    assert said in str(raised.value).replace(", cells/images/2.tif", " and 1 more")
    configure.change(settings)
    plan = make(**wishes)
    image = Path(f"cells/images/0.{suffix}")
    assert decode.image(image, plan.settings["data.in_channels"], plan.decoding).shape[:2] == (
        40, 40,
    )  # fmt: skip


def test_arrays_for_images_stop_the_import():
    draw([40] * 3, 1, npy, "npy")
    with pytest.raises(MaskmillError) as raised:
        make()
    assert "no pair can be read, so nothing is written:" in str(raised.value)
    assert (
        "cells/images/0.npy: an image as NPY; read are PNG, JPEG, TIFF, BMP, WEBP, GIF; save it as"
        in str(raised.value)
    )


def test_some_images_that_will_be_refused_are_told():
    draw([40] * 3, 3)
    cmyk(Path("cells/images/3.jpg"), np.zeros((40, 40, 4), np.uint8))
    decode.write_png(Path("cells/masks/3.png"), np.zeros((40, 40), np.uint8))
    (told,) = describe.plan_warnings(make())
    assert told.startswith("1 images will be refused: cells/images/3.jpg: a CMYK image")


def deep(low: float, high: float, kind: Any = np.uint16) -> Draw:
    def write(path: Path, pixels: np.ndarray) -> None:
        grey = pixels[..., 0].astype(np.float64)
        span = (grey - grey.min()) / np.ptp(grey)
        tifffile.imwrite(path, (low + span * (high - low)).astype(kind), photometric="minisblack")

    return write


@pytest.mark.parametrize(
    ("write", "span"),
    [
        (deep(200, 4000), [200, 4000]),
        (deep(-1000, 3000, np.int16), [-1000, 3000]),
        (deep(0, 1, np.float32), [0, 1]),
    ],
)
def test_images_of_more_than_8_bits_get_the_range_that_was_found(write: Draw, span: list[float]):
    plan = make(draw([40] * 3, 1, write, "tif"))
    assert plan.settings["data.decoding.value_range"] == span
    assert any("images of more than 8 bits" in note and "--range" in note for note in plan.notes)
    pixels = decode.image(Path("cells/images/0.tif"), 1, plan.decoding)
    assert (pixels.min(), pixels.max()) == (0, 255)
    asked = make(value_range=(0.0, 10.0))
    assert asked.settings["data.decoding.value_range"] == [0, 10]


def test_images_with_nan_are_named():
    def holes(path: Path, pixels: np.ndarray) -> None:
        tifffile.imwrite(path, np.where(pixels[..., 0] < 9, np.nan, 1).astype(np.float32))

    with pytest.raises(
        MaskmillError, match=r"3 images hold NaN, which is no number: cells/images/0"
    ):
        make(draw([40] * 3, 1, holes, "tif"))


def test_one_small_image_does_not_set_the_crop_of_all_and_is_told():
    plan = make(draw([600] * 11 + [20]))
    assert plan.settings["augmentation.crop_px"] == [256, 256]
    assert describe.plan_warnings(plan) == [
        "1 images are padded to a crop of 256 x 256 px (augmentation.crop_px), far larger:"
        " cells/images/11.png"
    ]


@pytest.mark.parametrize(
    ("sides", "crop"),
    [([40, 40], None), ([90, 100, 110], [96, 96]), ([10, 12], [32, 32]), ([500, 500], [256, 256])],
)
def test_a_crop_fits_into_half_of_the_images(sides: list[int], crop: list[int] | None):
    assert make(draw(sides)).settings["augmentation.crop_px"] == crop


def cells(share: int) -> Path:
    """Masks of 0 and 255, of which the share of 255 is so many per cent."""
    folder = draw([100] * 3)
    for mask in folder.glob("masks/*"):
        decode.write_png(
            mask, np.tile(np.where(np.arange(100) < share, 255, 0).astype(np.uint8), (100, 1))
        )
    return folder


def test_the_gate_starts_above_what_one_class_everywhere_scores_and_that_is_told():
    plan = make(cells(78))
    assert plan.settings["gate.minimum"] == {"dice_foreground": 0.89}  # 2 * 0.78 / 1.78 = 0.876
    assert describe.plan_warnings(plan) == [
        "foreground for every pixel would score 0.88 already (gate.minimum is 0.89); if background"
        " is what you look for, import again with --classes NAME,rest --background rest"
    ]
    settle(plan)
    again = make(classes=("wall", "rest"), background="rest")
    assert (again.settings["gate.minimum"], describe.plan_warnings(again)) == (
        {"dice_foreground": 0.5},
        [],
    )


def test_a_gate_that_was_set_by_hand_stays_when_classes_get_names():
    settle(make(cells(78)))
    configure.change({"gate.minimum": {"dice_foreground": 0.95}})
    assert make(classes=("wall", "rest"), background="rest").settings["gate.minimum"] == {
        "dice_foreground": 0.95
    }


def test_classes_that_only_have_numbers_are_told_with_the_way_to_name_them():
    draw([40] * 3)
    said: list[str] = []
    describe.describe_plan(make(), said.append)
    assert (
        "names       none were found: --classes A,B,.. gives them in this order, --ignore VALUE"
        " leaves one out" in said
    )
    said.clear()
    describe.describe_plan(make(classes=("wall", "cell")), said.append)
    assert not any(line.startswith("names") for line in said)


def test_a_rare_foreground_gets_the_gate_of_before_and_no_word():
    plan = make(cells(10))
    assert (plan.settings["gate.minimum"], describe.plan_warnings(plan)) == (
        {"dice_foreground": 0.5},
        [],
    )


def test_photographs_among_the_masks_are_named_at_the_first():
    draw([80] * 3)
    rng = np.random.default_rng(0)
    decode.write_png(Path("cells/masks/1.png"), rng.integers(0, 255, (80, 80, 3), np.uint8))
    with pytest.raises(MaskmillError) as raised:
        make()
    assert "cells/masks/1.png: a mask of 6,400 different values; at most" in str(raised.value)
    assert (
        "different values; at most 4,096 are taken for classes. Photographs, smoothed edges"
        in str(raised.value)
    )
    assert "others need one value or colour per class, as PNG, without smoothing" in str(
        raised.value
    )


def test_masks_that_hold_too_many_values_together_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_facts, "MAX_VALUES", 3)
    draw([8] * 3)
    for place in range(3):
        decode.write_png(
            Path(f"cells/masks/{place}.png"),
            np.full((8, 8), 2 * place, np.uint8) + np.eye(8, dtype="u1"),
        )
    with pytest.raises(
        MaskmillError, match=r"masks/1.png: up to this mask there are 4 different values; at most 3"
    ):
        make()


def settle(plan: Plan) -> None:
    """As if it had been imported: the settings and the source are written."""
    Path("params.yaml").write_text(plan.params_yaml)
    Path("data").mkdir(exist_ok=True)
    Path("data/source.yaml").write_text(
        "\n".join(f"{key}: {value}" for key, value in plan.layout.config.items())
    )


def test_a_file_of_class_names_that_is_new_names_the_classes_and_keeps_the_gate():
    draw([40, 48, 50])
    settle(make())
    configure.change({"gate.minimum": {"dice_foreground": 0.9}})
    Path("cells/classes.txt").write_text("wall\nlumen\n")
    plan = make()
    assert plan.again
    assert plan.changes == [
        "data.classes: [background, foreground] -> [wall, lumen]",
        "data.background: background -> null",
        (
            "data.colours: {background: '#000000', foreground: '#0072B2'} -> {wall: '#0072B2',"
            " lumen: '#E69F00'}"
        ),
    ]


def test_other_stored_values_or_another_layout_are_guessed_anew():
    draw([40, 48, 50])
    settle(make(name="mine"))
    assert (make().again, make().settings["tracking.model"]) == (True, "mine")
    decode.write_png(Path("cells/masks/0.png"), np.full((40, 40), 2, np.uint8))
    assert (make().again, make().settings["data.classes"]) == (
        False,
        ["class_0", "class_1", "class_2"],
    )
    Path("cells/masks").rename("cells/labels")
    assert not make().again


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Données été", "donnees-ete"),
        ("Straße 7", "strasse-7"),
        ("細胞", "model"),
        ("..mine--", "mine"),
        ("a b(c)", "a-b-c"),
    ],
)
def test_the_models_name_is_the_title_without_what_a_registry_refuses(title: str, name: str):
    draw([40, 48, 50])
    assert make(title=title).settings["tracking.model"] == name


def test_groups_that_were_changed_by_hand_stay_unless_others_are_asked_for():
    draw([40, 48, 50])
    settle(make())
    with Path("data/source.yaml").open("a") as file:
        file.write("\ngroups: '(?P<group>.).*'\n")
    assert make().layout.config["groups"] == "(?P<group>.).*"
    assert make(groups="(?P<group>.*)").layout.config["groups"] == "(?P<group>.*)"


def test_images_of_several_sizes_are_told_where_the_kept_settings_train_on_whole_images():
    draw([40, 40, 40])
    settle(make())
    decode.write_png(Path("cells/images/3.png"), np.zeros((60, 60), np.uint8))
    decode.write_png(Path("cells/masks/3.png"), np.zeros((60, 60), np.uint8))
    said = "images have 2 sizes and augmentation.crop_px is null: set [height, width] there"
    assert describe.plan_warnings(make()) == [said]


def test_masks_whose_palettes_differ_are_read_by_their_colours():
    draw([40] * 3)
    red, green = (200, 0, 0), (0, 200, 0)
    for place, palette in enumerate(([0, 0, 0, *red, *green], [0, 0, 0, *green, *red])):
        ids = np.zeros((40, 40), np.uint8)
        ids[:, 10:20], ids[:, 20:30] = (1, 2) if place == 0 else (2, 1)
        indexed = Image.fromarray(ids, "P")
        indexed.putpalette(palette)
        indexed.save(f"cells/masks/{place}.png")
        if place:
            indexed.save("cells/masks/2.png")
    plan = make(values={"#000000": "background", "#c80000": "red", "#00c800": "green"})
    assert plan.notes[0].startswith(
        "2 masks have another palette than the first, so masks are read"
    )
    for place in range(3):
        stored = labels.stored_values(Path(f"cells/masks/{place}.png"), plan.data)
        ids = labels.class_ids(stored, plan.data, "a").pixels
        assert [ids[0, 15], ids[0, 25]] == [1, 2]


def test_images_without_a_mask_are_left_out_and_said_or_kept_as_background():
    draw([40] * 4)
    Path("cells/masks/3.png").unlink()
    plan = make()
    assert [pair.id for pair in plan.pairs] == ["0", "1", "2"]
    assert [path.name for path in next(iter(plan.unused.values()))] == ["3.png"]
    said: list[str] = []
    describe.describe_plan(plan, said.append)
    assert "not used    1: images without a mask; `maskmill predict` is for them: 3.png" in said
    assert any("--keep-unlabelled takes them for background alone" in line for line in said)
    kept = make(keep_unlabelled=True)
    assert kept.layout.config["unpaired"] == "background"
    assert len(kept.pairs) == 4
    assert kept.unused == {}
    assert kept.contents.values[0] > plan.contents.values[0]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"groups": "patient"}, "--groups: got 'patient'; allowed are a regular expression with"),
        ({"groups": "(?P<group>x)"}, "does not match '0', '1', '2'"),
        ({"split": "given"}, "--split given: the source gives no train, val and test"),
        ({"kind": "coco"}, "no layout that is known"),
        ({"masks": "truth"}, "--masks truth: no pictures are there; there are in images, masks"),
        ({"values": {0: "a"}}, "--values: masks hold 1 (100.00%), too; add them"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(wishes: dict[str, Any], said: str):
    draw([40] * 3)
    with pytest.raises(MaskmillError) as raised:
        make(**wishes)
    assert said in str(raised.value)


def test_options_that_a_source_has_no_place_for_are_refused():
    draw([40] * 3)
    Path("cells/list.csv").write_text(
        "image,mask,who,eye\n" + "".join(f"images/{i}.png,masks/{i}.png,p{i},l\n" for i in range(3))
    )
    plan = make(groups="who")
    assert plan.layout.config["columns"] == {"group": "who"}
    assert [pair.group for pair in plan.pairs] == ["p0", "p1", "p2"]
    with pytest.raises(
        MaskmillError, match=r"--keep-unlabelled: is for images and masks in folder"
    ):
        make(keep_unlabelled=True)
    for i in range(3):
        Path(f"cells/masks/cat/{i}.png").parent.mkdir(exist_ok=True)
        shutil.copy(f"cells/masks/{i}.png", f"cells/masks/cat/{i}.png")
        Path(f"cells/masks/dog/{i}.png").parent.mkdir(exist_ok=True)
        Path(f"cells/masks/{i}.png").rename(f"cells/masks/dog/{i}.png")
    Path("cells/list.csv").unlink()
    assert make().settings["data.classes"] == ["background", "cat", "dog"]
    with pytest.raises(MaskmillError, match=r"--classes, --values, --ignore: the source, .* draws"):
        make(classes=("a", "b"))


def test_the_folder_is_the_group_where_that_is_asked():
    for patient in "abc":
        for i in range(2):
            for kind in ("images", "masks"):
                decode.write_png(
                    Path(f"cells/{patient}/{kind}/{i}.png"), np.full((40, 40), i, np.uint8)
                )
    assert {pair.group for pair in make(groups="folder").pairs} == {"a", "b", "c"}
    assert len({pair.group for pair in make(groups="none").pairs}) == 6


def test_no_group_is_guessed_that_would_stop_the_line():
    draw([40] * 6)
    for kind in ("images", "masks"):
        for i in range(6):
            name = f"{'ab'[i % 2]}_{i}"
            Path(f"cells/{kind}/{i}.png").rename(f"cells/{kind}/{name}.png")
    plan = make()
    assert len({pair.group for pair in plan.pairs}) == 6
    assert any("taken for kinds, so every image stands alone" in note for note in plan.notes)
    assert describe.plan_warnings(plan) == []


def test_a_stack_is_cut_into_blocks_and_each_page_is_an_image():
    rng = np.random.default_rng(0)
    for kind, pixels in (("images", 255), ("masks", 2)):
        Path(f"cells/{kind}").mkdir(parents=True)
        tifffile.imwrite(
            f"cells/{kind}/vol.tif",
            rng.integers(0, pixels, (12, 32, 40), np.uint8),
            photometric="minisblack",
        )
    plan = make()
    assert plan.layout.config["pages"]
    assert [pair.id for pair in plan.pairs] == [f"vol__{page:04d}" for page in range(1, 13)]
    assert {pair.group for pair in plan.pairs} == {f"block{i}" for i in range(1, 6)}
    assert [path.name for path in plan.files] == ["vol.tif", "vol.tif"]
    with Path("cells/masks/vol.tif").open("wb") as file:
        tifffile.imwrite(file, np.zeros((11, 32, 40), np.uint8), photometric="minisblack")
    with pytest.raises(MaskmillError, match=r"vol.tif has 12 pages, .*vol.tif 11; a page of one"):
        make()


def test_a_file_of_names_can_name_classes_that_no_mask_holds_and_one_of_paths_is_passed_by():
    draw([40] * 3)
    Path("cells/classes.txt").write_text("a\nb\nc\nd\ne\nf\n")
    plan = make()
    assert plan.settings["data.classes"] == ["a", "b", "c", "d", "e", "f"]
    Path("cells/classes.txt").write_text("train/1.png\n")
    assert make().settings["data.classes"] == ["background", "foreground"]
    assert "holds paths, not names of classes; passed by" in make().notes[0]
