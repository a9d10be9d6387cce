"""Names that are short for a network with some of its options."""

import pytest
import torch

from maskmill import models
from maskmill.settings import network_names
from maskmill.settings.network_names import SHORTHANDS, spelt_out
from maskmill.system.errors import MaskmillError


def shapes(name, **options):
    with torch.device("meta"):
        model = models.create(name, in_channels=1, num_classes=2, **options)
    return {key: value.shape for key, value in model.state_dict().items()}


@pytest.mark.parametrize("name", SHORTHANDS)
def test_a_shorthand_and_what_it_is_short_for_make_the_same_network(name):
    network, options = spelt_out(name)
    assert shapes(name) == shapes(network, **options)


def test_an_option_that_the_name_says_is_refused_with_the_way_out():
    with pytest.raises(MaskmillError) as raised:
        models.create("se_resnet18_unet", in_channels=1, num_classes=2, encoder="resnet50")
    assert (
        str(raised.value)
        == "params.yaml: models.se_resnet18_unet.encoder: got 'resnet50', and se_resnet18_unet is"
        " short for network: resnet_unet, encoder: resnet18, gate: se; delete it, or set"
        " network: resnet_unet and the options"
    )


def test_what_the_name_says_is_none_of_its_options():
    assert {"encoder", "gate"}.isdisjoint(models.network_options("se_resnet18_unet"))
    assert {"encoder", "gate", "reduction", "width"} <= set(models.network_options("resnet_unet"))


def test_an_unknown_network_is_named_with_the_nearest_and_all():
    with pytest.raises(
        MaskmillError, match=r"^params\.yaml: models\.unett: 'unett' is no network; did you mean"
    ) as e:
        models.create("unett", in_channels=1, num_classes=2)
    assert all(name in str(e.value) for name in models.names())


def test_errors_name_the_setting_of_the_variant():
    with pytest.raises(
        MaskmillError, match=r"^params\.yaml: models\.small\.width: got 3; at least 4 channels$"
    ):
        models.create_from(
            "resnet_unet", {"width": 3}, "params.yaml: models.small", in_channels=1, num_classes=2
        )


def test_a_file_of_a_shorthands_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "se_unet.py").write_text("")
    monkeypatch.setattr(network_names, "_FILES", tmp_path)
    assert spelt_out("se_unet") == ("se_unet", {})
    assert network_names.names().count("se_unet") == 1
