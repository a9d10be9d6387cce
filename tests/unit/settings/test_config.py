import json
from pathlib import Path

import pytest

from maskmill.settings import config
from maskmill.system.errors import MaskmillError

REPOSITORY = Path(__file__).parents[3]
COLOURS = {"background": "#000000", "disc": "#0072B2"}


@pytest.fixture
def values():
    """The values of params.yaml with a data section of two classes."""
    values = config.read_yaml(REPOSITORY / "params.yaml")
    values["data"] = {
        "title": "discs", "classes": ["background", "disc"], "background": "background",
        "ignore_index": 255, "values": {0: "background", 1: "disc", 7: "ignore"},
        "threshold": None, "nearest_colour": False, "colours": dict(COLOURS),
        "in_channels": 1, "decoding": values["data"]["decoding"],
    }  # fmt: skip
    return values


def refusal(values):
    with pytest.raises(MaskmillError) as raised:
        config.parse(values)
    return str(raised.value)


def test_the_shipped_settings_are_valid(params):
    assert set(params.variants) <= set(params.models)


def leaves(values, path=""):
    """Every setting of params.yaml and its value."""
    for key, value in values.items():
        inside = isinstance(value, dict) and f"{path}{key}" not in TABLES
        yield from leaves(value, f"{path}{key}.") if inside else [(f"{path}{key}", value)]


TABLES = {
    "gate.maximum",
    "models",
    "metrics",
    "data.colours",
    "data.values",
    "train.losses",
    "gate.minimum",
    "tune.space",
}
WITHOUT_DEFAULT = {
    "data.title",
    "data.classes",
    "data.background",
    "data.colours",
    "data.in_channels",
    "variants",
}
WITHOUT_DEFAULT |= {"evaluation.primary", "tracking.model"}


def test_the_shipped_file_names_every_setting_with_its_default():
    values = config.read_yaml(REPOSITORY / "params.yaml")
    shipped = {
        key: value
        for key, value in leaves(values)
        if not key.startswith("paths.") and key != "models"
    }
    assert config.left_out(values) == {}
    needed = {
        "paths": values["paths"],
        "variants": ["unet"],
        "evaluation": {"primary": "dice_foreground"},
    }
    needed["data"] = {
        key: values["data"][key]
        for key in ("title", "classes", "background", "colours", "in_channels")
    }
    needed["tracking"] = {"model": values["tracking"]["model"]}
    made = config.parse(needed)
    assert made.models["unet"] == config.Variant(network="unet")
    left_out = config.left_out(needed)
    assert left_out.pop("models.unet") == {}  # its network's own options
    plain = json.loads(json.dumps(left_out, default=lambda each: each.model_dump(mode="json")))
    assert plain == {key: value for key, value in shipped.items() if key not in WITHOUT_DEFAULT}


@pytest.mark.parametrize("key", sorted(WITHOUT_DEFAULT))
def test_a_setting_without_default_must_be_there(values, key):
    *sections, last = key.split(".")
    del (values[sections[0]] if sections else values)[last]
    assert refusal(values).startswith(f"params.yaml: {key} is missing, and has no default; add it")


def test_what_the_file_leaves_out_has_its_default(values):
    del values["train"]["ema"], values["intervals"], values["data"]["decoding"]["alpha"]
    assert config.left_out(values) == {
        "data.decoding.alpha": "refuse", "train.ema": 0.97, "intervals.confidence": 0.95,
        "intervals.resamples": 2000, "intervals.unit": "auto", "intervals.block": 5,
        "intervals.seed": 0,
    }  # fmt: skip
    assert config.parse(values) == config.parse(
        config.read_yaml(REPOSITORY / "params.yaml") | {"data": values["data"]}
    )


def test_derived_facts_of_the_data(values):
    data = config.parse(values).data
    assert data.foreground == (1,)
    assert data.palette == [(0, 0, 0), (0, 0x72, 0xB2)]


def test_without_a_background_every_class_is_foreground(values):
    values["data"]["background"] = None
    assert config.parse(values).data.foreground == (0, 1)


def test_a_section_cannot_be_changed(params):
    with pytest.raises(ValueError, match="frozen"):
        params.train.seed = 1


@pytest.mark.parametrize(
    ("section", "key", "meant"),
    [
        ("train", "learning_rat", "learning_rate"),
        ("data", "colors", "colours"),
        ("selection", "minimun", "minimum"),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest_and_all_allowed(values, section, key, meant):
    values[section][key] = 1
    text = refusal(values)
    assert text.startswith(
        f"params.yaml: {section}.{key} is not a setting; did you mean {meant!r}?"
    )
    assert "allowed there are" in text


def test_a_misspelt_section_is_named_with_the_nearest(values):
    values["augmentations"] = values.pop("augmentation")
    text = refusal(values)
    assert "params.yaml: augmentations is not a setting; did you mean 'augmentation'?" in text
    values["path"] = values.pop("paths")
    assert "params.yaml: paths is missing, and has no default; add it" in refusal(values)


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("train", "learning_rate", 0, "greater than 0"),
        ("train", "learning_rate", "fast", "valid number"),
        ("train", "batch_size", 0, "greater than or equal to 1"),
        ("train", "steps", 10.5, "valid integer"),
        ("train", "device", "gpu", "'auto', 'cpu' or 'cuda'"),
        ("train", "seed", -1, "greater than or equal to 0"),
        ("splits", "seed", -1, "greater than or equal to 0"),
        ("splits", "val", 1.5, "less than or equal to 1"),
        ("splits", "allow_leaks", [1600000.0], "put a name that looks like a number into quotes"),
        ("selection", "tie", -0.1, "greater than or equal to 0"),
        ("gate", "max_drop", 2, "less than or equal to 1"),
        ("data", "in_channels", 17, "16"),
        ("data", "ignore_index", 300, "less than or equal to 255"),
        ("data", "classes", ["background"], "at least 2"),
        ("validation", "empty_masks", "fatal", "'critical', 'warning' or 'info'"),
        ("augmentation", "crop_px", [256], "crop_px"),
        ("tracking", "model", "brain slices", "pattern"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(values, section, key, value, said):
    values[section][key] = value
    text = refusal(values)
    assert f"params.yaml: {section}.{key}" in text
    assert said in text


@pytest.mark.parametrize("stored", [70000, -1])
def test_a_stored_value_that_no_mask_can_hold_is_refused(values, stored):
    values["data"]["values"] = {0: "background", stored: "disc"}
    text = refusal(values)
    assert "data" in text
    assert "values" in text
    assert str(stored) in text


def test_every_mistake_is_told_at_once(values):
    values["train"]["batch_size"] = 0
    values["selection"]["tie"] = 7
    assert len(refusal(values).splitlines()) == 2


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "classes",
            ["background", "disc", "disc"],
            "classes: ['background', 'disc', 'disc'] names a class twice",
        ),
        ("classes", ["background", "ignore"], "classes: 'ignore'"),
        ("background", "bg", "background: ['bg'] not in data.classes ['background', 'disc']"),
        (
            "values",
            {0: "background", 1: "dsic"},
            "values: ['dsic'] not in data.classes ['background', 'disc']",
        ),
        ("colours", {"background": "#000000"}, "colours: no colour for ['disc']"),
        ("colours", COLOURS | {"cat": "#ffffff"}, "colours: ['cat'] not in data.classes"),
        ("ignore_index", 1, "ignore_index: 1 is also the id of a class; take 255"),
        (
            "threshold",
            128,
            "threshold: got 128 with 2 classes and values {0: 'background', 1: 'disc',"
            " 7: 'ignore'}; it divides stored values in two: name two classes, and set values:"
            " null",
        ),
        (
            "nearest_colour",
            True,
            "nearest_colour: needs colours in data.values; name them there, or set false",
        ),
    ],
)
def test_a_data_section_at_odds_with_itself_says_where(values, key, value, said):
    values["data"][key] = value
    assert f"params.yaml: data: {said}" in refusal(values)


def test_a_threshold_and_the_nearest_colour_are_taken_where_they_have_an_effect(values):
    values["data"] |= {"values": None, "threshold": 128}
    assert config.parse(values).data.threshold == 128
    table = {"#000000": "background", "#ffffff": "disc"}
    values["data"] |= {"values": table, "threshold": None, "nearest_colour": True}
    assert config.parse(values).data.nearest_colour


@pytest.mark.parametrize("threshold", [0, 65535])
def test_a_threshold_leaves_values_on_both_sides(values, threshold):
    values["data"] |= {"values": None, "threshold": threshold}
    assert f"params.yaml: data.threshold: got {threshold}" in refusal(values)


def test_the_decoding_of_a_model_that_is_older_than_a_setting_has_its_default():
    old = config.STRICT.model_dump(mode="json", exclude={"mask_alpha"})
    assert config.Decoding.model_validate_json(json.dumps(old)) == config.STRICT


def test_a_colour_that_is_no_code_is_named_by_its_class(values):
    values["data"]["colours"]["disc"] = "red"
    assert "params.yaml: data.colours.disc: got 'red'" in refusal(values)


@pytest.mark.parametrize("path", ["/data/raw", "../raw", "data/../../raw"])
def test_a_path_outside_the_repository_is_refused(values, path):
    values["paths"]["raw"] = path
    text = refusal(values)
    assert (
        f"params.yaml: paths.raw: got {path!r}: must be a relative path inside the repository"
        in text
    )


def test_an_unknown_variant_is_named_with_the_nearest(values):
    values["models"]["unet"] = {}
    values["variants"] = ["unett"]
    text = refusal(values)
    assert text.startswith("params.yaml: models.unett: 'unett' is no network; did you mean 'unet'")
    assert (
        "a variant with a name of its own says which one it is, unett: {network: unet} for example"
        in text
    )
    values |= {"variants": ["unet"], "models": {"unet": {"network": "fnc"}}}
    assert refusal(values).startswith(
        "params.yaml: models.unet.network: 'fnc' is no network; did you mean 'fcn'?"
    )


def test_a_variant_names_its_network_or_is_called_after_it(values):
    values["variants"] = ["unet", "small", "large"]
    values["models"] = {
        "unet": {"feature_scale": 8, "weights": None},
        "small": {"network": "unet", "feature_scale": 16, "weights": "a.safetensors"},
        "large": {"network": "unet"},
    }
    models = config.parse(values).models
    assert [(v.network, v.weights, v.options) for v in models.values()] == [
        ("unet", None, {"feature_scale": 8}), ("unet", "a.safetensors", {"feature_scale": 16}),
        ("unet", None, {}),
    ]  # fmt: skip


def test_a_variant_twice_and_no_variant_are_refused(values):
    values["variants"] = ["unet", "unet"]
    assert "variants: ['unet', 'unet'] names a variant twice" in refusal(values)
    values["variants"] = []
    assert refusal(values) == "params.yaml: variants: got []: needed are at least 1"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "variants",
            ["UNet"],
            "variants.0: got 'UNet': small letters, digits and _ are allowed, after a letter",
        ),
        ("variants", "unet", "variants: got 'unet': needed is a list, [a, b] say"),
        ("models", None, "models: got None: needed is a mapping, {} where nothing is to be said"),
    ],
)
def test_a_value_of_another_form_is_answered_once_in_words_of_yaml(values, key, value, said):
    values[key] = value
    assert refusal(values) == f"params.yaml: {said}"


def test_splits_must_leave_something_to_train_on(values):
    values["splits"] |= {"val": 0.5, "test": 0.5}
    assert "splits: val 0.5 + test 0.5 leaves nothing to train on" in refusal(values)


def test_training_without_a_loss_or_with_warmup_alone_is_refused(values):
    values["train"]["losses"] = {}
    assert "train: losses: {} trains nothing" in refusal(values)
    values["train"] |= {"losses": {"dice": 1}, "steps": 10, "warmup_steps": 10}
    assert "train: warmup_steps: 10 must be below steps, 10" in refusal(values)


def test_settings_of_training_that_contradict_each_other_are_named(values):
    values["train"] |= {"schedule": "one_cycle", "warmup_steps": 5}
    assert (
        "train: warmup_steps: got 5, and one_cycle has a rise of its own, over 30 % of the steps"
        in refusal(values)
    )
    values["train"] |= {"schedule": "cosine", "optimizer": "sgd", "momentum": 0.0, "nesterov": True}
    assert (
        "train: nesterov: true needs a momentum above 0; set train.momentum, or nesterov: false"
        in refusal(values)
    )
    values["train"] |= {"workers": "many"}
    assert "train.workers" in refusal(values)


@pytest.mark.parametrize(
    "part", [0, -1.0, True, "much", float("nan"), float("inf"), {"gamma": 2.0}, {"weight": 0}]
)
def test_a_loss_needs_a_weight_above_0(values, part):
    values["train"]["losses"] = {"focal": part}
    text = refusal(values)
    assert text.startswith("params.yaml: train.losses.focal: got ")
    assert text.endswith("needed is a weight above 0, or {weight: 1.0, and options of the loss}")


def test_a_loss_may_have_options_beside_its_weight(values):
    values["train"]["losses"] = {"focal": {"weight": 1, "gamma": 2.0}, "dice": 1}
    assert config.parse(values).train.losses == values["train"]["losses"]


@pytest.mark.parametrize("weights", ["mean", {}, {"disc": 0}, {"disc": "2"}, 2.0, ["median"], True])
def test_class_weights_are_a_known_word_or_weights_above_0(values, weights):
    values["train"]["class_weights"] = weights
    text = refusal(values)
    assert text.startswith("params.yaml: train.class_weights: got ")
    assert text.endswith("allowed are null, inverse, median, or {class: weight above 0}")


def test_class_weights_are_of_known_classes(values):
    values["train"]["class_weights"] = {"dics": 2.0}
    assert (
        refusal(values)
        == "params.yaml: train.class_weights: 'dics' is no class; did you mean 'disc'? data.classes"
        " are background, disc"
    )
    values["train"]["class_weights"] = {"disc": 2}
    assert config.parse(values).train.class_weights == {"disc": 2.0}


def test_a_missing_file_says_where_it_was_sought_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MaskmillError) as raised:
        config.load()
    assert (
        str(raised.value)
        == f"params.yaml: no such file in {tmp_path}; run from the repository's top folder"
    )


@pytest.mark.parametrize("text", ["train: [1, 2", "train: 1\ntrain: 2\n", "\tx: 1"])
def test_a_file_that_is_not_yaml_is_named(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(MaskmillError, match=r"params\.yaml: not readable as YAML"):
        config.load(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["", "- 1\n", "train:\n"])
def test_a_file_without_the_sections_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(MaskmillError, match=r"params\.yaml: "):
        config.load(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["1e-3", "1.0e-3", "0.001"])
def test_a_number_may_be_written_in_any_usual_way(values, tmp_path, text):
    (tmp_path / "rate.yaml").write_text(f"learning_rate: {text}\n")
    values["train"] |= config.read_yaml(tmp_path / "rate.yaml")
    assert config.parse(values).train.learning_rate == 0.001


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_no_number_is_infinite_or_none_wherever_it_stands(values, number):
    values["augmentation"]["transforms"] = [{"RandomGamma": {"gamma_limit": [70, number]}}]
    assert (
        refusal(values)
        == f"params.yaml: augmentation.transforms.RandomGamma.gamma_limit: got {number}; no number"
        " may be .inf or .nan"
    )


def test_a_default_that_does_not_go_with_what_was_set_is_said_to_be_one(values):
    values["train"] = {"steps": 10}
    assert (
        refusal(values)
        == "params.yaml: train: warmup_steps: 20 (the default) must be below steps, 10"
    )
    values["train"] = {"steps": 10, "warmup_steps": 20}
    assert refusal(values) == "params.yaml: train: warmup_steps: 20 must be below steps, 10"
