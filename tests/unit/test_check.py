import pytest

from maskmill.check import check, check_variant
from maskmill.errors import MaskmillError


@pytest.fixture
def refusal(params, data):
    """A function: settings changed by section -> the error that `check` raises before anything runs."""

    def refusal(variants=("unet",), models=None, metrics=None, **changes):
        sections = {
            name: getattr(params, name).model_copy(update=changes.get(name, {}))
            for name in ("augmentation", "train", "evaluation", "gate")
        }
        sections |= {"models": models or {"unet": {}}, "metrics": metrics or {}}
        with pytest.raises(MaskmillError) as raised:
            check(params.model_copy(update={"data": data, "variants": variants} | sections))
        return str(raised.value)

    return refusal


def test_a_metric_that_does_not_exist_is_named_with_the_nearest_and_all(refusal):
    text = refusal(evaluation={"primary": "dice_forground"})
    assert text.startswith("params.yaml: evaluation.primary: 'dice_forground' is no metric; did you mean 'dice_foregr")
    assert "iou/bar" in text
    assert "params.yaml: gate.minimum: 'dice/csf' is no metric" in refusal(
        evaluation={"primary": "miou"}, gate={"minimum": {"dice/csf": 0.5}}
    )


def test_a_least_value_of_a_score_that_should_be_low_is_refused(refusal):
    text = refusal(metrics={"calibration": {}}, gate={"minimum": {"ece": 0.1}})
    assert text.startswith("params.yaml: gate.minimum: 'ece' is better the lower it is")
    assert text.endswith("delete it")


def test_mistakes_of_later_stages_are_found_first(refusal):
    assert "train.losses: 'focal' is not known" in refusal(train={"losses": {"focal": 1.0}})
    assert "'Flip' is no transform" in refusal(augmentation={"transforms": ({"Flip": {}},)})
    assert "models.unet.feature_scale: got 99" in refusal(models={"unet": {"feature_scale": 99}})


@pytest.mark.parametrize("option", ["in_channels", "num_classes"])
def test_an_option_that_follows_from_the_data_cannot_be_set(data, option):
    with pytest.raises(MaskmillError, match=rf"models\.unet\.{option} follows from the data and cannot be set"):
        check_variant("unet", {option: 3}, data)
