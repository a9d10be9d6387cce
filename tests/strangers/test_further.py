"""More of the same kinds: other names, endings, folders and conventions."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill.importing import grouping
from maskmill.system.errors import MaskmillError
from tests.strangers.outcome import Outcome, check_outcome, import_plan
from tests.strangers.pictures import (
    Drawn,
    Scene,
    in_colours,
    in_grey_rgb,
    pairs,
    save,
    save_indexed,
    scene,
    times_255,
    write,
)

BLACK_AND_WHITE: dict[int | str, str] = {0: "background", 255: "foreground"}
SPLITS = {"train": 6, "val": 3, "test": 3}


@pytest.mark.parametrize(
    ("images", "masks", "name"),
    [
        ("my images/{}.jpg", "my masks/{} mask.png", "scan {}"),
        ("images/{}.JPG", "masks/{}.PNG", "{:03d}"),
        ("images/{}.webp", "masks/{}.bmp", "{:03d}"),
        ("图像/{}.png", "标签/{}.png", "{:03d}"),
        ("imágenes/{}.png", "máscaras/{}.png", "{:03d}"),
        ("X/{}.png", "Y/{}.png", "{}"),
        ("input/{}.png", "target/{}.png", "{}"),
        ("images/{}.png", "images/masks/{}.png", "{}"),
        ("{}_sat.jpg", "{}_mask.png", "{}"),
        ("ds0/img/{}.jpg", "ds0/masks_machine/{}.png", "{}"),
        ("Training_Input/{}.jpg", "Training_GroundTruth/{}_segmentation.png", "ISIC_{:07d}"),
    ],
)
def test_places_of_other_names_are_images_and_masks(
    folder: Path, images: str, masks: str, name: str
):
    check_outcome(folder, pairs(folder, images=images, masks=masks, name=name), Outcome())


@pytest.mark.parametrize(
    ("images", "masks", "words"),
    [
        ("{split}/{}.png", "{split}annot/{}.png", ("train", "val", "test")),
        ("images/{split}/{}.png", "labels/{split}/{}.png", ("Training", "Validation", "Testing")),
        ("d/{split}/images/a/{}.png", "d/{split}/masks/a/{}.png", ("train", "valid", "test")),
    ],
)  # fmt: skip
def test_splits_are_those_of_the_folders(
    folder: Path, images: str, masks: str, words: tuple[str, ...]
):
    for place, (word, count) in enumerate(zip(words, SPLITS.values(), strict=True)):
        sides = (side.replace("{split}", word) for side in (images, masks))
        pairs(folder, count, images=next(sides), masks=next(sides), first=10 * place)
    plan = import_plan(folder)
    assert {split: sum(pair.split == split for pair in plan.pairs) for split in SPLITS} == SPLITS
    assert plan.settings["splits.given"]


def test_classes_can_be_called_by_numbers(folder: Path):
    drawn: Drawn = {}
    for seed in range(12):
        made, name = scene(seed, 3), f"{seed:03d}"
        save(folder / f"images/{name}.jpg", made.image)
        for number in (1, 2):
            mask = times_255((made.ids == number).astype(np.uint8))
            save(folder / f"masks/{number}/{name}.png", mask)
        drawn[name] = made
    note = "of the class its folder names"
    check_outcome(folder, drawn, Outcome(("background", "1", "2"), notes=(note,)))


def test_what_systems_leave_behind_is_no_part_of_the_data(folder: Path):
    drawn = pairs(folder)
    write(folder / "__MACOSX/images/._img000.jpg", b"\0\5\x16\7xx")
    write(folder / "Thumbs.db", "x")
    save(folder / "images/.ipynb_checkpoints/img000-checkpoint.jpg", drawn["img000"].image)
    for name, made in drawn.items():
        save(folder / f"overlays/{name}.png", in_grey_rgb(times_255(made.ids)))
    check_outcome(folder, drawn, Outcome(unused={"overlays": 12, "other files (.db)": 1}))


def test_patients_of_a_published_set_are_groups(folder: Path):
    drawn: Drawn = {}
    for patient in range(4):
        name = f"TCGA_CS_{4941 + patient}_19960909"
        made = pairs(
            folder / "kaggle_3m" / name, 3, images=f"{name}_{{}}.tif",
            masks=f"{name}_{{}}_mask.tif", name="{}", form=times_255, first=10 * patient,
        )  # fmt: skip
        drawn |= {f"{name}__{name}_{cut}": each for cut, each in made.items()}
    groups = {name: "_".join(name.split("_")[:3]) for name in drawn}
    check_outcome(folder, drawn, Outcome(values=BLACK_AND_WHITE, groups=groups))


def _rimmed(ids: np.ndarray) -> np.ndarray:
    found = ids.copy()
    found[:3] = 255
    return found


def _one_bit(path: Path, ids: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(times_255(ids)).convert("1").save(path)


@pytest.mark.parametrize(
    ("first", "second", "rimmed", "wanted"),
    [
        (save, save_indexed, False, Outcome()),
        (save, lambda path, ids: save(path, _rimmed(ids)), True, Outcome()),
        (
            lambda path, ids: save(path, times_255(ids)),
            _one_bit,
            False,
            Outcome(
                values={0: "background", 1: "foreground", 255: "foreground"},
                notes=("two conventions for one thing",),
            ),
        ),
    ],
    ids=["with_and_without_a_palette", "void_in_some", "of_8_bits_and_of_one"],
)
def test_masks_of_two_conventions_mean_one_thing(
    folder: Path,
    first: Callable[[Path, np.ndarray], None],
    second: Callable[[Path, np.ndarray], None],
    rimmed: bool,
    wanted: Outcome,
):
    drawn: Drawn = {}
    for seed in range(12):
        made, name = scene(seed), f"{seed:03d}"
        save(folder / f"images/{name}.jpg", made.image)
        (second if seed % 2 else first)(folder / f"masks/{name}.png", made.ids)
        drawn[name] = Scene(made.image, _rimmed(made.ids) if rimmed and seed % 2 else made.ids)
    check_outcome(folder, drawn, wanted)


def test_a_colour_that_the_table_of_names_lacks_is_named(folder: Path):
    write(folder / "class_dict.csv", "name,r,g,b\nbackground,0,0,0\nroad,0,128,0\n")
    pairs(folder, classes=3, form=in_colours)
    with pytest.raises(MaskmillError, match=r"#800000.*class_dict.csv.*lacks"):
        import_plan(folder)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("{0}{1:02d}_x{2}_y{3}", "D03"),  # tiles by their places
        ("site{1}_{2}_{3}_{2}5_{3}5", "site3"),
        ("scan_{1:03d}_slice_{2}{3}", "scan_003"),  # the patient in the middle
        ("video{1}_frame{2:03d}{3:03d}", "video3"),
        ("vid{1}frame{2}{3}", "vid3"),
        ("IMG_2021060{1}_{2:02d}{3:02d}00", "IMG_20210603"),  # a day's flight
        ("2021-0{1}-{2}{3}", "2021-03"),
        ("S2A_T3{1}TLT_{2:02d}_{3:02d}", "S2A_T33TLT"),
        ("1.2.840.{1}.{2}{3}", "1.2.840.3"),
        ("IMG_{1}_jpg.rf.{2}f{3}e", "IMG_3"),
        ("{1:04d}_{2}{3}", "0003"),
    ],
)
def test_groups_are_found_in_names_of_many_kinds(name: str, group: str):
    names = [
        name.format("ABCD"[first], first, second, third)
        for first in range(4)
        for second in range(2)
        for third in range(2)
    ]
    pattern = grouping.guess_groups(names).pattern
    assert pattern is not None
    found = [match["group"] for each in names if (match := re.match(pattern, each))]
    assert (len(found), found[-1], len(set(found))) == (16, group, 4)


@pytest.mark.parametrize(
    "names",
    [
        [f"IMG_{4000 + 3 * place}" for place in range(14)],
        [f"wound ({place})" for place in range(14)],
        [f"{place * 0x9E3779B97F4A7C15 % 2**64:016x}" for place in range(14)],
        [f"{split}_{place:03d}" for split in ("train", "val", "test") for place in range(5)],
        [f"{year}_{place:04d}" for year in (2019, 2020, 2021) for place in range(5)],
    ],
    ids=["camera", "brackets", "digests", "splits", "years"],
)
def test_names_that_share_nothing_but_a_number_are_no_groups(names: list[str]):
    assert grouping.guess_groups(names).pattern is None
