import pytest
import torch

from maskmill import models
from maskmill.models import encoders
from maskmill.system.errors import MaskmillError
from maskmill.weights.match import adapt_first_convolution, load_weights, match_weights

WHERE = "params.yaml: models.resnet18_unet.weights"


def resnet_unet(*, in_channels=1, num_classes=3, width=8, seed=0):
    torch.manual_seed(seed)
    return models.create(
        "resnet18_unet",
        in_channels=in_channels,
        num_classes=num_classes,
        width=width,
        skip_channels=4,
    )


def encoder(*, in_channels=1, width=8):
    torch.manual_seed(7)
    return encoders.resnet18(in_channels=in_channels, width=width)


def fit(model, given, *, in_channels=1, **options):
    return match_weights(
        model, given, in_channels=in_channels, where=WHERE, source="given.safetensors", **options
    )


def refusal(model, given, **options):
    with pytest.raises(MaskmillError) as raised:
        fit(model, given, **options)
    return str(raised.value)


def test_the_weights_of_the_same_network_give_the_same_logits():
    trained, fresh = resnet_unet(seed=1), resnet_unet(seed=2)
    matched = fit(fresh, trained.state_dict())
    load_weights(fresh, matched)
    x = torch.rand(2, 1, 40, 40)
    assert torch.equal(fresh.eval()(x), trained.eval()(x))
    assert (matched.fresh, matched.unused, matched.adapted) == ((), (), ())
    assert str(matched).endswith("tensors into the whole network; nothing stays fresh")


def test_another_number_of_classes_leaves_the_head_fresh_and_says_so():
    trained, model = resnet_unet(num_classes=5, seed=1), resnet_unet(seed=2)
    head = model.head.weight.clone()
    matched = fit(model, trained.state_dict())
    load_weights(model, matched)
    assert torch.equal(model.head.weight, head)
    assert torch.equal(model.encoder.conv1.weight, trained.encoder.conv1.weight)
    assert "not used: head.weight, head.bias; fresh: head (2 tensors)" in str(matched)


def test_a_head_for_other_classes_of_the_same_number_can_be_left_fresh():
    trained, model = resnet_unet(seed=1), resnet_unet(seed=2)
    assert fit(model, trained.state_dict(), heads=False).fresh == ("head.weight", "head.bias")
    assert fit(model, trained.state_dict()).fresh == ()


def test_a_head_of_another_width_is_a_mismatch_whatever_its_classes():
    given = resnet_unet().state_dict() | {
        "head.weight": torch.ones(5, 9, 1, 1),
        "head.bias": torch.ones(5),
    }
    assert "1 of another shape: head.weight: 5 x 9 x 1 x 1, needed is 3 x 4 x 1 x 1" in refusal(
        resnet_unet(), given
    )


def test_an_encoders_weights_go_into_the_encoder_and_its_classifier_is_not_used():
    given = encoder().state_dict() | {"fc.weight": torch.ones(10, 64), "fc.bias": torch.ones(10)}
    model = resnet_unet()
    matched = fit(model, given)
    load_weights(model, matched)
    assert torch.equal(model.encoder.layer4[1].conv2.weight, given["layer4.1.conv2.weight"])
    assert (
        "into encoder; not used: encoder.fc.weight, encoder.fc.bias; fresh: full_resolution,"
        " decoder, head" in str(matched)
    )


@pytest.mark.parametrize(
    ("name", "options"), [("se_resnet18_unet", {}), ("resnet18_unet", {"gate": "scse"})]
)
def test_the_weights_of_a_plain_encoder_start_a_gated_one_whose_gates_stay_fresh(name, options):
    torch.manual_seed(3)
    model = models.create(name, in_channels=1, num_classes=3, width=8, skip_channels=4, **options)
    gates = {
        key: value.clone() for key, value in model.encoder.state_dict().items() if ".gate." in key
    }
    given = encoder().state_dict()
    matched = fit(model, given)
    load_weights(model, matched)
    started = model.encoder.state_dict()
    assert gates and all(torch.equal(started[key], value) for key, value in gates.items())
    assert all(torch.equal(started[key], value) for key, value in given.items())
    assert "fresh: gates of the encoder, full_resolution, decoder, head" in str(matched)


def test_a_file_with_some_gates_must_have_all():
    model = models.create(
        "se_resnet18_unet", in_channels=1, num_classes=3, width=8, skip_channels=4
    )
    given = {
        key: value
        for key, value in model.encoder.state_dict().items()
        if "layer1.0.gate.squeeze" not in key
    }
    assert (
        "2 missing there: encoder.layer1.0.gate.squeeze.weight, encoder.layer1.0.gate.squeeze.bias"
        in (refusal(model, given).replace("; ", ", "))
    )


def test_weights_of_before_the_batch_counter_fit_too():
    given = {
        key: value
        for key, value in encoder().state_dict().items()
        if "num_batches_tracked" not in key
    }
    load_weights(resnet_unet(), fit(resnet_unet(), given))


def test_half_precision_weights_are_taken_in_the_networks_own():
    model = resnet_unet()
    load_weights(
        model,
        fit(model, {key: value.half() for key, value in resnet_unet(seed=3).state_dict().items()}),
    )
    assert model.head.weight.dtype == torch.float32


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (3, 5), (5, 3)])
def test_an_adapted_convolution_answers_a_grey_image_as_before(before, after):
    torch.manual_seed(0)
    weight, grey = torch.randn(8, before, 7, 7), torch.rand(2, 1, 20, 20)
    old = torch.conv2d(grey.repeat(1, before, 1, 1), weight)
    new = torch.conv2d(grey.repeat(1, after, 1, 1), adapt_first_convolution(weight, after))
    assert torch.allclose(old, new, atol=1e-4)


def test_an_encoder_for_colour_starts_a_network_for_grey_images():
    given, model = encoder(in_channels=3).state_dict(), resnet_unet()
    matched = fit(model, given)
    load_weights(model, matched)
    assert matched.adapted == ("encoder.conv1.weight",)
    assert torch.allclose(model.encoder.conv1.weight, given["conv1.weight"].sum(1, keepdim=True))
    assert "other image channels: encoder.conv1.weight" in str(matched)


def test_every_convolution_that_sees_the_image_is_adapted():
    given = resnet_unet(in_channels=3).state_dict()
    assert fit(resnet_unet(in_channels=4), given, in_channels=4).adapted == (
        "encoder.conv1.weight",
        "full_resolution.0.weight",
    )


def test_missing_unknown_and_misshapen_keys_are_named_with_their_counts():
    given = encoder().state_dict()
    del given["layer1.0.conv1.weight"]
    given |= {"layer9.weight": torch.ones(1), "layer2.0.conv1.weight": torch.ones(2, 2, 3, 3)}
    text = refusal(resnet_unet(), given)
    assert text.startswith(f"{WHERE}: given.safetensors does not fit the encoder\n")
    assert "1 missing there: encoder.layer1.0.conv1.weight\n" in text
    assert "1 unknown to the network: encoder.layer9.weight\n" in text
    assert (
        "1 of another shape: encoder.layer2.0.conv1.weight: 2 x 2 x 3 x 3, needed is 16 x 8 x 3"
        " x 3\n" in text
    )
    assert "set params.yaml: models.resnet18_unet to the options that they were made with" in text


def test_only_the_first_ten_of_many_keys_are_named():
    text = refusal(resnet_unet(width=16), resnet_unet().state_dict())
    line = next(line for line in text.splitlines() if "of another shape" in line)
    assert line.count("needed is") == 10
    assert " and 151 more" in line


def test_weights_that_are_no_numbers_are_refused():
    given = encoder().state_dict()
    given["layer1.0.bn1.weight"][3] = float("nan")
    assert "holds NaN or infinity in encoder.layer1.0.bn1.weight" in refusal(resnet_unet(), given)


def test_a_network_without_memory_can_be_asked_and_stays_without():
    with torch.device("meta"):
        model = resnet_unet()
    assert fit(model, encoder(in_channels=3).state_dict()).adapted
    assert model.head.weight.is_meta
