import pytest
import torch

from maskmill import models
from maskmill.system.errors import MaskmillError


def make(**options):
    torch.manual_seed(0)
    return models.create("unet_pp", in_channels=1, num_classes=3, feature_scale=16, **options)


def test_the_papers_size_has_the_published_number_of_parameters():
    """Table 2 of arXiv:1807.10165: 9.04 M, of 32..512 filters with deep supervision."""
    with torch.device("meta"):
        model = models.create(
            "unet_pp",
            in_channels=1,
            num_classes=1,
            feature_scale=2,
            batch_norm=False,
            upsampling="transposed",
        )
    assert round(models.count_parameters(model) / 1e6, 2) == 9.04


def test_a_node_joins_all_nodes_before_it_in_its_row_and_the_one_below():
    model, asked = make().eval(), {}
    for name, node in model.nodes.items():
        node.register_forward_pre_hook(
            lambda node, args, name=name: asked.update({name: [a.shape[1] for a in args]})
        )
    model(torch.randn(1, 1, 32, 32))
    assert asked["x0_1"] == [8, 4]
    assert asked["x0_4"] == [8, 4, 4, 4, 4]
    assert asked["x3_1"] == [64, 32]
    assert list(asked) == [f"x{i}_{j}" for j in (1, 2, 3, 4) for i in range(5 - j)]


def test_every_node_of_the_top_row_has_a_head_with_the_weight_of_params_yaml():
    model = make(deep_supervision=0.4)
    assert model.aux_heads == {"x0_1": 0.4, "x0_2": 0.4, "x0_3": 0.4}
    x = torch.randn(2, 1, 32, 32)
    out = model.train()(x)
    assert list(out) == ["logits", "x0_1", "x0_2", "x0_3"]
    assert {head.shape for head in out.values()} == {(2, 3, 32, 32)}
    assert model.eval()(x).shape == (2, 3, 32, 32)


def test_evaluation_gives_the_logits_of_the_last_node():
    model, x = make().eval(), torch.randn(2, 1, 32, 32)
    seen = []
    model.nodes["x0_4"].register_forward_hook(lambda node, args, out: seen.append(out))
    with torch.no_grad():
        assert torch.equal(model(x), model.heads["logits"](seen[0]))


def test_without_deep_supervision_there_are_no_further_heads():
    model = make(deep_supervision=0)
    assert model.aux_heads == {}
    assert list(model.heads) == ["logits"]
    assert isinstance(model.train()(torch.randn(2, 1, 32, 32)), torch.Tensor)


def test_a_negative_weight_is_refused():
    with pytest.raises(
        MaskmillError, match=r"models\.unet_pp\.deep_supervision: got -1.0; at least 0$"
    ):
        make(deep_supervision=-1.0)
