"""What an import guesses from the files of all pairs, and what it warns of."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskmill.images import decode
from maskmill.importing import command, contents
from maskmill.importing import plan as planning
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
    return planning.make_plan(folder, Wishes(**wishes), config.load())


def draw(
    sides: list[int], bands: int = 1, write: Draw = decode.write_png, suffix: str = "png"
) -> Path:
    """Images of these sides as `write` saves them, each with a mask of 0 and 1."""
    rng = np.random.default_rng(0)
    Path("cells/images").mkdir(parents=True)
    for place, side in enumerate(sides):
        write(
            Path(f"cells/images/{place}.{suffix}"),
            rng.integers(0, 255, (side, side, bands), np.uint8),
        )
        decode.write_png(
            Path(f"cells/masks/{place}.png"), rng.integers(0, 2, (side, side), np.uint8)
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
    ("bands", "write", "suffix", "channels", "chosen", "warned"),
    [
        (4, tiff("rgb", "unspecified"), "tif", 4, [1, 2, 3, 4], ""),
        (3, tiff("minisblack", "unspecified", "unspecified"), "tif", 3, [1, 2, 3], ""),
        (
            4,
            tiff("rgb", "unassalpha"),
            "tif",
            3,
            None,
            "an RGB image of uint8 with alpha; alpha is refused",
        ),
        (4, cmyk, "tif", 3, None, "a CMYK image of uint8; CMYK is refused; allowed is convert"),
        (4, cmyk, "jpg", 3, None, "a CMYK image of uint8; CMYK is refused; allowed is convert"),
        (
            1,
            npy,
            "npy",
            1,
            None,
            "an image as NPY; read are PNG, JPEG, TIFF, BMP, WEBP, GIF; save it as one of them",
        ),
    ],
)
def test_channels_are_those_that_the_headers_tell_and_the_decoder_takes(
    bands: int, write: Draw, suffix: str, channels: int, chosen: list[int] | None, warned: str
):
    plan = make(draw([40] * 3, bands, write, suffix))
    assert (plan.settings["data.in_channels"], plan.settings["data.decoding.bands"]) == (
        channels,
        chosen,
    )
    said = command.plan_warnings(plan)
    assert (warned in said[0]) if warned else said == []
    image = Path(f"cells/images/0.{suffix}")
    if warned:
        with pytest.raises(decode.DecodeError, match=r"alpha is refused|CMYK is refused|NPY"):
            decode.image(image, channels, plan.decoding)
    else:
        assert decode.image(image, channels, plan.decoding).shape == (40, 40, channels)


def test_one_small_image_does_not_set_the_crop_of_all_and_is_told():
    plan = make(draw([600] * 11 + [20]))
    assert plan.settings["augmentation.crop_px"] == [256, 256]
    assert command.plan_warnings(plan) == [
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
    assert command.plan_warnings(plan) == [
        "foreground for every pixel would score 0.88 already (gate.minimum is 0.89); if background"
        " is what you look for, import again with --classes NAME,rest --background rest"
    ]
    settle(plan)
    again = make(classes=("wall", "rest"), background="rest")
    assert (again.settings["gate.minimum"], command.plan_warnings(again)) == (
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
    command.describe_plan(make(), said.append)
    assert (
        "names       none were found: --classes A,B,.. gives them in this order, --ignore VALUE"
        " leaves one out" in said
    )
    said.clear()
    command.describe_plan(make(classes=("wall", "cell")), said.append)
    assert not any(line.startswith("names") for line in said)


def test_a_rare_foreground_gets_the_gate_of_before_and_no_word():
    plan = make(cells(10))
    assert (plan.settings["gate.minimum"], command.plan_warnings(plan)) == (
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
    assert "save masks with one value or colour per class, as PNG, without smoothing" in str(
        raised.value
    )


def test_masks_that_hold_too_many_values_together_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contents, "MAX_VALUES", 3)
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
        "data.classes: [class_0, class_1] -> [wall, lumen]",
        (
            "data.colours: {class_0: '#0072B2', class_1: '#E69F00'} -> {wall: '#0072B2', lumen:"
            " '#E69F00'}"
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
    assert command.plan_warnings(make()) == [said]
