"""Every option that is advised with a value works when it is given."""

from pathlib import Path

import pytest

from tests.strangers import formats, stacks
from tests.strangers.outcome import Build, advised, check_advice, import_plan


@pytest.mark.xfail(reason="--keep-unlabelled leaves pairs without an image, or a mask of no page")
@pytest.mark.parametrize("build", [formats.some_heic, stacks.isbi_2012])
def test_images_without_a_mask_can_be_kept(folder: Path, build: Build):
    build(folder)
    check_advice(folder, import_plan(folder))


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("say which by --masks manual1", [{"masks": "manual1"}]),
        ("--groups '(?P<group>[A-Z]+)/' keeps", [{"groups": "(?P<group>[A-Z]+)/"}]),
        ('or: --values "0=sky,#ff0000=road" --nearest',
         [{"values": {0: "sky", "#ff0000": "road"}, "nearest": True}]),
        ("--ignore 255, or --classes A,B,C, says otherwise", [{"ignore": 255}]),
        ("--images and --masks name the folders; --bands 1,2 says which", [{"bands": (1, 2)}]),
    ],
)  # fmt: skip
def test_options_are_found_in_what_is_said(text: str, wishes: list[dict[str, object]]):
    assert advised(text) == wishes
