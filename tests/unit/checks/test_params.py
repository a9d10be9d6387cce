import pytest
import safetensors.torch
import torch

from maskmill import models
from maskmill.checks.params import check, check_variant
from maskmill.settings import config
from maskmill.system.errors import MaskmillError


@pytest.fixture
def refusal(params, data):
    """A function: changes by section -> the error that `check` raises before anything runs."""

    def refusal(variants=("unet",), models=None, metrics=None, **changes):
        sections = {
            name: getattr(params, name).model_copy(update=changes.get(name, {}))
            for name in ("augmentation", "train", "evaluation", "gate")
        }
        made = {
            name: variant(**{"network": name} | section)
            for name, section in (models or {"unet": {}}).items()
        }
        sections |= {"models": made, "metrics": metrics or {}}
        with pytest.raises(MaskmillError) as raised:
            check(params.model_copy(update={"data": data, "variants": variants} | sections))
        return str(raised.value)

    return refusal


def test_a_metric_that_does_not_exist_is_named_with_the_nearest_and_all(refusal):
    text = refusal(evaluation={"primary": "dice_forground"})
    assert text.startswith(
        "params.yaml: evaluation.primary: 'dice_forground' is no metric; did you mean 'dice_foregr"
    )
    assert "iou/bar" in text
    assert "params.yaml: gate.minimum: 'dice/csf' is no metric" in refusal(
        evaluation={"primary": "miou"}, gate={"minimum": {"dice/csf": 0.5}}
    )


def test_a_least_value_of_a_score_that_should_be_low_is_refused(refusal):
    text = refusal(metrics={"calibration": {}}, gate={"minimum": {"ece": 0.1}})
    assert text.startswith("params.yaml: gate.minimum: 'ece' is better the lower it is")
    assert text.endswith("delete it")


def variant(**settings):
    return config.Variant(**{"network": "unet"} | settings)


def test_mistakes_of_later_stages_are_found_first(refusal):
    assert "train.losses: 'focl' is not known; did you mean 'focal'?" in refusal(
        train={"losses": {"focl": 1.0}}
    )
    assert "train.losses.focal.gama is not an option" in refusal(
        train={"losses": {"focal": {"weight": 1, "gama": 2}}}
    )
    assert "train.class_weights has no effect" in refusal(
        train={"losses": {"dice": 1.0}, "class_weights": "median"}
    )
    assert (
        "cldice.classes: 'background' is no foreground class; there are disc, square, bar"
        in refusal(train={"losses": {"cldice": {"weight": 1.0, "classes": ["background"]}}})
    )
    assert "'Flip' is no transform" in refusal(augmentation={"transforms": ({"Flip": {}},)})
    assert "models.unet.feature_scale: got 99" in refusal(models={"unet": {"feature_scale": 99}})


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (
            {"resnet18_unet": {"widht": 8}},
            "models.resnet18_unet.widht is not an option; did you mean 'width'?",
        ),
        (
            {"resnet19_unet": {}},
            "models.resnet19_unet: 'resnet19_unet' is no network; did you mean",
        ),
    ],
)
def test_sections_of_variants_that_are_not_chosen_are_checked_too(refusal, models, said):
    assert said in refusal(models={"unet": {}} | models)


@pytest.mark.parametrize("name", models.names())
def test_every_network_can_be_named_without_options(name, data):
    check_variant(name, variant(network=name), data)


@pytest.mark.parametrize("option", ["in_channels", "num_classes"])
def test_an_option_that_follows_from_the_data_cannot_be_set(data, option):
    with pytest.raises(
        MaskmillError, match=rf"models\.unet\.{option} follows from the data and cannot be set"
    ):
        check_variant("unet", variant(**{option: 3}), data)


def test_a_file_of_weights_is_held_against_the_network_first(data, tmp_path):
    path = tmp_path / "start.safetensors"
    safetensors.torch.save_file({"head.weight": torch.ones(4, 4, 1, 1)}, path)
    with pytest.raises(
        MaskmillError, match=r"models\.unet\.weights: .*start\.safetensors does not fit the network"
    ):
        check_variant("unet", variant(weights=str(path)), data, tmp_path)
    with pytest.raises(MaskmillError, match=r"models\.unet\.weights: none\.pth: no such file"):
        check_variant("unet", variant(weights="none.pth"), data, tmp_path)
    with pytest.raises(
        MaskmillError, match=r"models\.unet\.weights: got 'models:/cells'; allowed are a file"
    ):
        check_variant("unet", variant(weights="models:/cells"), data, tmp_path)


def test_weights_from_elsewhere_are_not_fetched_by_the_check(data, tmp_path):
    for setting in (
        f"https://host.invalid/a.pth#sha256={'0' * 64}",
        "models:/cells@champion",
        None,
    ):
        check_variant("unet", variant(weights=setting), data, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_for_an_encoder_is_refused_where_a_variant_has_none(refusal):
    text = refusal(train={"freeze_encoder_steps": 10})
    assert (
        "train.freeze_encoder_steps: got 10, and a network of `variants` has no encoder (UNet)"
        in text
    )


def test_fp16_is_refused_before_anything_runs_where_there_is_no_gpu(refusal):
    assert "train.precision: got 'fp16'" in refusal(train={"precision": "fp16", "device": "cpu"})
