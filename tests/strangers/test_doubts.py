"""What a glance would take for granted, and what is asked or read with care instead."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill.importing.plan import Wishes
from maskmill.importing.propose import make_plan
from maskmill.settings import config
from maskmill.system.errors import MaskmillError

ROOT = Path(__file__).parents[2]


def draw(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def ids(number: int) -> np.ndarray:
    mask = np.zeros((24, 32), np.uint8)
    mask[4 + number % 5 : 16, 6:20] = 1
    return mask


def image(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)


def plan(folder: Path, **wishes):
    return make_plan(folder, Wishes(**wishes), config.load(ROOT / "params.yaml"))


def test_masks_under_names_that_pair_with_nothing_are_asked_for(tmp_path: Path):
    for split, first in (("training", 0), ("test", 20)):
        for number in range(first, first + 4):
            draw(tmp_path / f"{split}/images/{number:02d}_{split}.png", image(number))
            draw(tmp_path / f"{split}/1st_manual/{number:02d}_manual1.png", ids(number) * 255)
            draw(tmp_path / f"{split}/mask/{number:02d}_{split}_mask.png", 255 - ids(number) * 255)
    with pytest.raises(MaskmillError, match=r"{split}/1st_manual, which holds 8 files"):
        plan(tmp_path)
    made = plan(
        tmp_path,
        images="training/images/{name}_training",
        masks="training/1st_manual/{name}_manual1",
    )
    assert len(made.pairs) == 4


@pytest.mark.parametrize("few", [0, 1])
def test_a_few_masks_of_another_convention_are_asked_about(tmp_path: Path, few: int):
    for number in range(15):
        draw(tmp_path / f"images/{number}.png", image(number))
        scale = 255 if (number == 0) == bool(few) else 1
        draw(tmp_path / f"masks/{number}.png", ids(number) * np.uint8(scale))
    with pytest.raises(MaskmillError, match="two conventions for one thing, or pixels of no class"):
        plan(tmp_path)
    table = {0: "background", 1: "foreground", 255: "foreground"}
    assert plan(tmp_path, values=table).meaning.values == table
    assert plan(tmp_path, ignore=255).meaning.values is None


def test_names_by_black_and_white_are_those_of_0_and_255(tmp_path: Path):
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nroad,255,255,255\nbackground,0,0,0\n")
    for number in range(8):
        draw(tmp_path / f"images/{number}.png", image(number))
        draw(tmp_path / f"masks/{number}.png", ids(number) * 255)
    made = plan(tmp_path)
    assert made.meaning.values == {255: "road", 0: "background"}
    assert made.meaning.background == "background"


def test_palettes_of_black_and_white_in_either_order_are_read_by_their_colours(tmp_path: Path):
    for number in range(8):
        draw(tmp_path / f"images/{number}.png", image(number))
        indices = ids(number) if number % 2 else 1 - ids(number)
        picture = Image.fromarray(indices).convert("P")
        picture.putdata(indices.ravel().tolist())
        picture.putpalette([0, 0, 0, 255, 255, 255] if number % 2 else [255, 255, 255, 0, 0, 0])
        (tmp_path / "masks").mkdir(exist_ok=True)
        picture.save(tmp_path / f"masks/{number}.png")
    made = plan(tmp_path)
    assert made.meaning.values == {"#000000": "background", "#ffffff": "foreground"}
