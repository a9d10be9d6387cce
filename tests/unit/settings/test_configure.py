"""What is written into params.yaml, and what stays."""

import re
from pathlib import Path

import pytest

from maskmill.settings import config, configure
from maskmill.system.errors import MaskmillError

SHIPPED = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text())
    return path


def test_nothing_changed_is_the_same_file(params_file: Path):
    assert configure.text_with_changes({}, params_file)[0] == SHIPPED.read_text()
    assert (
        configure.text_with_changes({"train.seed": 0, "data.in_channels": 1}, params_file)[0]
        == SHIPPED.read_text()
    )


def test_only_the_named_settings_change_and_their_comments_stay(params_file: Path):
    values = {
        "data.title": "Street: scenes",
        "data.background": None,
        "data.classes": ["no", "1e5"],
        "data.values": {0: "no", 255: "1e5"},
        "data.colours": {"no": "#000000", "1e5": "#0072B2"},
        "augmentation.crop_px": [256, 256],
    }
    params = configure.change(values, params_file)
    assert params == config.load(params_file)
    assert (params.data.title, params.data.classes, params.data.values) == (
        "Street: scenes", ("no", "1e5"), {0: "no", 255: "1e5"})  # fmt: skip
    before, after = SHIPPED.read_text().splitlines(), params_file.read_text().splitlines()
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == len(values)
    comments = [
        [line.partition("# ")[2] for line in lines if "colours" not in line]
        for lines in (before, after)
    ]
    assert comments[0] == comments[1]


def test_what_would_change_is_told_a_line_each(params_file: Path):
    configure.change({"augmentation.crop_px": None}, params_file)
    values = {
        "data.title": "cells",
        "train.seed": 0,
        "augmentation.crop_px": [64, 64],
        "gate.minimum": {"miou": 0.5},
    }
    assert configure.describe_changes(values, params_file) == [
        "data.title: ICBM152 slices, simulated scanners -> cells",
        "augmentation.crop_px: null -> [64, 64]",
        "gate.minimum: {dice_foreground: 0.8} -> {miou: 0.5}",
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data.titel": "x"}, "data.titel is not a setting; did you mean 'title'?"),
        ({"datas.title": "x"}, "datas is not a setting; did you mean 'data'?"),
        (
            {"data.title.text": "x"},
            "data.title.text has no place there; get the file back with `git checkout",
        ),
        ({"data.in_channels": 0}, "data.in_channels: got 0"),
        (
            {"data.classes": ["a", "b"]},
            "data: background: ['background'] not in data.classes ['a', 'b']",
        ),
    ],
)
def test_what_would_not_be_valid_is_not_written(
    params_file: Path, values: dict[str, object], said: str
):
    with pytest.raises(MaskmillError) as raised:
        configure.change(values, params_file)
    assert said in str(raised.value)
    assert params_file.read_text() == SHIPPED.read_text()


def test_a_file_that_is_not_there_or_no_yaml_is_said(tmp_path: Path):
    with pytest.raises(MaskmillError, match=r"params.yaml: no such file in"):
        configure.change({}, tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("paths: [unclosed")
    with pytest.raises(MaskmillError, match=r"not readable as YAML"):
        configure.change({}, tmp_path / "params.yaml")


def test_a_setting_that_the_file_leaves_out_is_added_and_told_with_its_default(params_file: Path):
    text = params_file.read_text()
    params_file.write_text(
        re.sub(r"  patience: .*\n", "", text).replace("report:\n  gallery: 3", "# report")
    )
    values = {"train.patience": 9, "report.gallery": 3}
    assert configure.describe_changes(values, params_file) == ["train.patience: 4 -> 9"]
    params = configure.change(values, params_file)
    assert (params.train.patience, params.report.gallery) == (9, 3)
    assert "patience: 9" in params_file.read_text()
