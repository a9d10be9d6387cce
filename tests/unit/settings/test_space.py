import re

import pytest

from maskmill.checks.params import check
from maskmill.settings import config, space
from maskmill.settings.space import SearchChoice
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY


def with_space(params, axes, **sections):
    values = params.model_dump()
    values["variants"] = ["unet", "resnet18_unet"]
    for name, changes in sections.items():
        values[name] |= changes
    values["tune"]["space"] = axes
    return config.parse(values)


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        (
            {"train.learning_rat": [1e-3]},
            (
                "params.yaml: tune.space: train.learning_rat is not a setting; did you mean"
                " 'train.learning_rate'? allowed are train.seed, train.steps"
            ),
        ),
        (
            {"augmentation.preset": ["none"]},
            (
                "params.yaml: tune.space: augmentation.preset is no setting of a training; allowed"
                " are train.SETTING and models.NAME.OPTION; delete it, or try it with `dvc exp"
                " run -S`"
            ),
        ),
        (
            {"models.fcn.width": [8]},
            (
                "params.yaml: tune.space: models.fcn.width has no effect: 'fcn' is not tried;"
                " variants in params.yaml are unet, resnet18_unet; add it there, or delete the line"
            ),
        ),
        (
            {"models.unet.feature_scal": [8]},
            (
                "params.yaml: tune.space: with unet, models.unet.feature_scal 8: params.yaml:"
                " models.unet.feature_scal is not an option; did you mean 'feature_scale'?"
            ),
        ),
        (
            {"train.learning_rate": {"low": 0.1, "high": 2.0}},
            (
                "params.yaml: tune.space: with unet, train.learning_rate 2: params.yaml:"
                " train.learning_rate: got 2.0: input should be less than or equal to 1"
            ),
        ),
        (
            {"train.losses": [{"dise": 1.0}]},
            (
                "params.yaml: tune.space: with unet, train.losses {dise:1.0}: params.yaml:"
                " train.losses: 'dise' is not known; did you mean 'dice'?"
            ),
        ),
        (
            {"train.learning_rate": {"low": 0.1, "high": 0.01}},
            (
                "params.yaml: tune.space.train.learning_rate: got {'low': 0.1, 'high': 0.01}: low"
                " must be below high"
            ),
        ),
        (
            {"train.weight_decay": {"low": 0, "high": 0.1, "log": True}},
            (
                "tune.space.train.weight_decay: got {'low': 0, 'high': 0.1, 'log': True}: low must"
                " be below high, and above 0 where log is true"
            ),
        ),
        (
            {"train.steps": []},
            "tune.space.train.steps: got []: needed is a list of values, or {low: 1.0e-4, ",
        ),
        (
            {"train.steps": {"low": 1}},
            "tune.space.train.steps: got {'low': 1}: needed is a list of values, or {low:",
        ),
    ],
)
def test_a_wrong_space_is_refused_by_check_before_anything_trains(params, axes, text):
    with pytest.raises(MaskmillError) as raised:
        check(with_space(params, axes))
    assert text in str(raised.value)


def test_a_choice_becomes_settings_of_one_variant(params):
    made = space.apply_choice(
        SearchChoice("unet", {"train.steps": 99, "models.unet.feature_scale": 8}), params
    )
    assert (made.variants, made.train.steps, made.models["unet"].options["feature_scale"]) == (
        ("unet",),
        99,
        8,
    )
    assert params.train.steps != 99


def test_of_a_list_every_value_is_checked_and_of_a_range_both_ends(params):
    space_ = {"train.steps": [500, 600], "models.resnet18_unet.width": {"low": 8, "high": 16}}
    found = [
        (choice.variant, dict(choice.settings))
        for choice, _ in space.candidate_settings(with_space(params, space_))
    ]
    assert found == [
        ("unet", {"train.steps": 500}), ("unet", {"train.steps": 600}),
        ("resnet18_unet", {"models.resnet18_unet.width": 8}),
        ("resnet18_unet", {"models.resnet18_unet.width": 16}),
    ]  # fmt: skip


CHOICES = [
    {"train.learning_rate": 0.0031, "train.steps": 300},
    {"train.losses": {"cross_entropy": 1.0, "dice": 2.0}},
    {"train.losses": {"focal": {"weight": 1.0, "gamma": 1.5}}},
    {"train.class_weights": "median"},
    {"train.class_weights": {"csf": 2.0, "grey_matter": 1.0}},
    {"train.sampling.rare_below": 0.3, "models.unet.feature_scale": 8},
    {"models.unet.residual_option_that_is_not_set": True},
]


@pytest.mark.parametrize("settings", CHOICES)
def test_dvc_makes_the_chosen_settings_of_the_overrides(settings, tmp_path):
    from dvc.utils.hydra import apply_overrides
    from ruamel.yaml import YAML

    choice = SearchChoice("unet", settings)
    path = tmp_path / "params.yaml"
    path.write_text((REPOSITORY / "params.yaml").read_text())
    apply_overrides(path, space.experiment_overrides(choice, config.read_yaml(path)))
    changed = YAML(typ="safe").load(path)
    assert changed["variants"] == ["unet"]
    for name, value in settings.items():
        section = changed
        for part in name.split("."):
            section = section[part]
        assert section == value


def test_the_settings_that_the_guide_shows_are_allowed(params):
    from ruamel.yaml import YAML

    blocks = re.findall(
        r"```yaml\n(.+?)```", (REPOSITORY / "docs/experiments.md").read_text(), re.DOTALL
    )
    assert len(blocks) == 2
    for block in blocks:
        values = params.model_dump()
        for section, changes in YAML(typ="safe").load(block).items():
            values[section] |= changes
        check(config.parse(values))
