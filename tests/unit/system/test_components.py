from typing import TypedDict, Unpack

import pytest

from maskmill.system import components
from maskmill.system.errors import MaskmillError

NETWORKS = "maskmill.models.networks"
GIVEN = {"in_channels": 1, "num_classes": 2}


def create(name="unet", **options):
    return components.create(NETWORKS, name, f"params.yaml: models.{name}", GIVEN, options)


def test_every_file_is_a_part_and_none_is_imported_to_list_it(tmp_path, monkeypatch):
    package = tmp_path / "parts"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_shared.py").write_text("raise RuntimeError('imported')")
    for name in ("second", "first"):
        (package / f"{name}.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert components.names("parts") == ["first", "second"]


def test_functions_of_one_name_are_found_by_their_parts(tmp_path, monkeypatch):
    package = tmp_path / "roles"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_shared.py").write_text("def recognise(): ...")
    (package / "silent.py").write_text("")
    (package / "speaking.py").write_text("def recognise(): return 'mine'")
    monkeypatch.syspath_prepend(tmp_path)
    found = components.functions("roles", "recognise")
    assert {part: function() for part, function in found.items()} == {"speaking": "mine"}


def test_an_unknown_name_lists_the_known_ones_and_suggests_the_nearest():
    known = ", ".join(components.names(NETWORKS))
    with pytest.raises(MaskmillError) as raised:
        create("resnet_unt")
    assert (
        str(raised.value)
        == "params.yaml: models.resnet_unt: 'resnet_unt' is not known; did you mean"
        f" 'resnet_unet'?; known are {known}"
    )


def test_a_name_far_from_all_others_gets_no_suggestion():
    with pytest.raises(MaskmillError, match="'zzz' is not known; known are"):
        create("zzz")


def test_an_unknown_option_lists_the_allowed_ones_and_suggests_the_nearest():
    with pytest.raises(MaskmillError) as raised:
        create("unet", feature_scal=4)
    text = str(raised.value)
    assert text.startswith(
        "params.yaml: models.unet.feature_scal is not an option; did you mean 'feature_scale'?"
    )
    assert "allowed are" in text
    assert "batch_norm" in text


def test_an_option_that_the_program_sets_is_refused():
    with pytest.raises(
        MaskmillError, match=r"models.unet.in_channels follows from the data and cannot be set"
    ):
        create("unet", in_channels=3)


class Shape(TypedDict, total=False):
    width: int


def test_options_that_several_parts_share_are_those_of_their_typed_dict():
    def part(*, name: str, depth: int = 1, **shape: Unpack[Shape]) -> None: ...

    assert components.keywords(part) == {"name": True, "depth": False, "width": False}
    with pytest.raises(
        MaskmillError, match=r"models\.unet\.feature_scale: got '4': Input should be a valid number"
    ):
        create("unet", feature_scale="4")


def test_a_required_option_that_is_left_out_is_named():
    with pytest.raises(MaskmillError, match="slabs"):
        components.create(
            "maskmill.sources",
            "icbm152",
            "data/source.yaml: kind",
            {"folder": None, "data": None},
            {"seed": 0},
        )


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("unet", "feature_scale", "4"), ("resnet_unet", "width", 8.5), ("unet", "batch_norm", "no")],
)
def test_an_option_of_another_type_is_refused_by_name(name, option, value):
    """YAML 1.2 reads `no` as text: taken for true, it would do the opposite of what was meant."""
    with pytest.raises(MaskmillError, match=rf"models\.{name}\.{option}: got"):
        create(name, **{option: value})


def test_options_reach_the_part():
    assert create("unet", feature_scale=16).head.in_channels == 4
    assert create("unet", feature_scale=8).head.in_channels == 8


SETTINGS = [
    "seed",
    "steps",
    "learning_rate",
    "weight_decay",
    "batch_size",
    "workers",
    "encoder_lr_scale",
]
SCORES = ["dice_foreground", "dice_micro", "miou", "dice/road", "iou/road"]


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("lr", SETTINGS, "'learning_rate'"),
        ("wd", SETTINGS, "'weight_decay'"),
        ("learningRate", SETTINGS, "'learning_rate'"),
        ("batch", SETTINGS, "'batch_size'"),
        ("num_workers", SETTINGS, "'workers'"),
        ("leraning_rate", SETTINGS, "'learning_rate'"),
        ("dice", SCORES, "'dice_foreground', 'dice_micro' or 'dice/road'"),
        ("dize", SCORES, "'dice_foreground', 'dice_micro' or 'dice/road'"),
        ("mIoU", SCORES, "'miou'"),
        ("dize", ["cross_entropy", "dice", "focal"], "'dice'"),
        ("dice_loss", ["cross_entropy", "dice", "focal"], "'dice'"),
        ("ce", ["cross_entropy", "dice", "focal"], "'cross_entropy'"),
        ("train.lr", [f"train.{name}" for name in SETTINGS], "'train.learning_rate'"),
    ],
)
def test_abbreviations_beginnings_and_parts_of_names_are_understood(name, known, near):
    assert components.suggest(name, known) == f"; did you mean {near}?"


@pytest.mark.parametrize("name", ["zzz", "", "42"])
def test_what_is_like_nothing_gets_no_suggestion(name):
    assert components.suggest(name, SETTINGS) == ""
