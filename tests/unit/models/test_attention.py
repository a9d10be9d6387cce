import math

import pytest
import torch

from maskmill.models import attention
from maskmill.models.attention import SIMILARITIES, ChannelAttention, LearnedSum, PositionAttention

HEADS, FEATURES = 2, 5


def scores(name, module, q, k):
    """The papers' formulas, pair by pair."""
    dots = q @ k.transpose(-1, -2)
    norms = q.norm(dim=-1)[..., None] * k.norm(dim=-1)[..., None, :]
    return {
        "dot": lambda: dots,
        "scaled_dot": lambda: dots / math.sqrt(FEATURES),
        "cosine": lambda: 10 * dots / norms,
        "additive": (
            lambda: (torch.tanh(q[..., :, None, :] + k[..., None, :, :]) * module.weight).sum(-1)
        ),
    }[name]()


def tokens(count, features=FEATURES, seed=0):
    return torch.randn(3, HEADS, count, features, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", SIMILARITIES)
def test_values_are_summed_with_the_softmax_of_the_papers_similarity(name):
    torch.manual_seed(0)
    module, q, k, v = (
        SIMILARITIES[name](HEADS, FEATURES),
        tokens(7),
        tokens(4, seed=1),
        tokens(4, 6, seed=2),
    )
    expected = scores(name, module, q, k).softmax(-1) @ v
    assert torch.allclose(module(q, k, v), expected, atol=1e-5)


def test_a_cosine_is_never_sharper_than_a_hundred_times():
    module = SIMILARITIES["cosine"](1, FEATURES)
    torch.nn.init.constant_(module.log_scale, 50.0)
    query, keys = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[1.0, 0.0], [0.5, 0.75**0.5]]]])
    weights = module(query, keys, torch.eye(2)[None, None])[0, 0, 0]
    assert (weights[0] / weights[1]).log().item() == pytest.approx(100 * (1 - 0.5), rel=1e-4)


def test_additive_scores_in_chunks_are_those_of_all_at_once_and_so_are_gradients(monkeypatch):
    torch.manual_seed(0)
    module, k, v = (
        SIMILARITIES["additive"](HEADS, FEATURES),
        tokens(4, seed=1),
        tokens(4, 6, seed=2),
    )
    found = []
    for chunk in (attention._CHUNK, 3 * k.numel()):
        monkeypatch.setattr(attention, "_CHUNK", chunk)
        q = tokens(7).requires_grad_()
        out = module(q, k, v)
        out.square().sum().backward()
        found.append((out.detach(), q.grad, module.weight.grad.clone()))
        module.weight.grad = None
    for whole, parts in zip(*found, strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_additive_scores_never_hold_more_pairs_than_a_chunk(monkeypatch):
    module, seen = SIMILARITIES["additive"](HEADS, FEATURES), []
    monkeypatch.setattr(attention, "_CHUNK", 1000)
    attend = module._attend
    monkeypatch.setattr(
        module, "_attend", lambda q, k, v: seen.append(q.shape[2] * k.numel()) or attend(q, k, v)
    )
    with torch.no_grad():
        assert module(tokens(50), tokens(6), tokens(6)).shape == (3, HEADS, 50, FEATURES)
    assert max(seen) <= 1000
    assert len(seen) > 1


def test_a_position_sees_all_positions_and_an_equal_one_gets_an_equal_answer():
    torch.manual_seed(0)
    block, x = PositionAttention(8, pool=1), torch.randn(1, 8, 6, 5)
    x[..., 5, 4] = x[..., 0, 0]
    out = block(x)
    assert torch.allclose(out[..., 5, 4], out[..., 0, 0], atol=1e-6)
    moved = x.clone()
    moved[..., 3, 2] += 1
    assert not torch.allclose(block(moved)[..., 0, 0], out[..., 0, 0], atol=1e-6)


def test_pooled_keys_are_a_quarter_and_odd_sizes_lose_none():
    asked = []
    block = PositionAttention(8, pool=2)
    block.similarity.register_forward_pre_hook(
        lambda module, args: asked.append([a.shape[2] for a in args])
    )
    assert block(torch.randn(1, 8, 7, 5)).shape == (1, 8, 7, 5)
    assert asked == [[35, 12, 12]]


def test_heads_look_at_channels_of_their_own():
    block = PositionAttention(16, heads=4, similarity="additive")
    assert block.query.weight.shape == (8, 16, 1, 1)
    assert block.similarity.weight.shape == (4, 1, 1, 2)


def test_channels_are_mixed_by_danets_formula():
    x = torch.randn(2, 6, 4, 5)
    a = x.flatten(2)
    expected = ((a @ a.transpose(1, 2)).softmax(-1) @ a).reshape(x.shape)
    assert torch.allclose(ChannelAttention(6, similarity="dot")(x), expected, atol=1e-5)


def test_with_two_heads_the_halves_of_the_channels_do_not_meet():
    block, x = ChannelAttention(6, heads=2), torch.randn(1, 6, 4, 5)
    changed = x.clone()
    changed[:, 3:] += 1
    assert torch.equal(block(x)[:, :3], block(changed)[:, :3])


@pytest.mark.parametrize("kind", [PositionAttention, ChannelAttention])
def test_a_fresh_block_is_the_identity_and_learns_how_much_it_adds(kind):
    block, x = LearnedSum(kind(8)), torch.randn(2, 8, 5, 4)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.scales.grad.all()
    torch.nn.init.constant_(block.scales, 0.5)
    assert torch.allclose(block(x), x + 0.5 * block.branches[0](x), atol=1e-6)


def test_two_branches_are_added_beside_each_other():
    one, other = PositionAttention(8), ChannelAttention(8)
    block, x = LearnedSum(one, other), torch.randn(2, 8, 5, 4)
    block.scales.data = torch.tensor([2.0, 3.0])
    assert torch.allclose(block(x), x + 2 * one(x) + 3 * other(x), atol=1e-5)
