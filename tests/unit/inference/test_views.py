"""Further views of an image are undone and averaged."""

import itertools

import numpy as np
import pytest
import torch

from maskmill.inference.predict import Predictor
from maskmill.inference.views import AS_IT_IS, View, mean_probabilities, views
from maskmill.settings.config import Inference


@pytest.mark.parametrize(
    "view", [View(m, t, 1.0) for m in (False, True) for t in range(4)], ids=str
)
def test_a_view_is_undone_exactly(view):
    x = torch.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7).float()
    assert torch.equal(view.undo(view.apply(x), (5, 7)), x)


@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0])
def test_a_scaled_view_comes_back_at_its_place(scale):
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(61.0), indexing="ij")
    smooth = torch.stack([y, x])[None]
    view = View(mirrored=True, turns=1, scale=scale)
    seen = view.apply(smooth)
    assert seen.shape[-2:] == (round(61 * scale), round(40 * scale))
    inside = (view.undo(seen, (40, 61)) - smooth)[..., 3:-3, 3:-3]
    assert inside.abs().max() < 0.2


def test_the_views_are_those_of_the_settings_each_once():
    def ways(**settings):
        return [(v.mirrored, v.turns) for v in views(Inference(**settings))]

    assert views(Inference()) == [AS_IT_IS]
    assert ways(flips="horizontal") == [(False, 0), (True, 0)]
    assert set(ways(flips="both")) == {(False, 0), (True, 0), (False, 2), (True, 2)}
    every = set(itertools.product((False, True), range(4)))
    for flips in ("horizontal", "both"):
        assert set(ways(flips=flips, quarter_turns=True)) == every
        assert len(ways(flips=flips, quarter_turns=True)) == 8
    assert len(views(Inference(quarter_turns=True, scales=(0.5, 1.0)))) == 8


def test_the_mean_is_that_of_the_views_by_hand():
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 3, 3, padding=1)
    x = torch.randn(1, 1, 8, 6)
    with torch.no_grad():
        mean = mean_probabilities(network, x, views(Inference(flips="horizontal")))
        by_hand = (network(x).softmax(1) + network(x.flip(-1)).softmax(1).flip(-1)) / 2
    assert torch.allclose(mean, by_hand)


def test_all_eight_views_of_a_turned_image_give_the_turned_mask(save_model):
    settings = Inference(flips="both", quarter_turns=True)
    predictor = Predictor(save_model()).with_settings(settings)
    x = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    upright, turned = predictor.logits(x).exp(), predictor.logits(np.rot90(x).copy()).exp()
    assert torch.allclose(torch.rot90(upright, 1, (1, 2)), turned, atol=1e-5)
    alone = predictor.with_settings(Inference()).logits(x).softmax(0)
    assert (alone - upright).abs().max() > 1e-3


def test_tiles_are_seen_in_all_views_too(save_model):
    tiles = {"whole_px": 128 * 128, "tile_px": 128, "overlap_px": 64}
    whole = Predictor(save_model()).with_settings(Inference(flips="both", scales=(1.0, 1.5)))
    tiled = whole.with_settings(Inference(flips="both", scales=(1.0, 1.5), **tiles))
    x = np.random.default_rng(0).integers(0, 256, (160, 192), np.uint8)
    assert (whole.predict(x) == tiled.predict(x)).mean() > 0.95
    once = tiled.with_settings(Inference(**tiles))
    assert (once.logits(x) - tiled.logits(x)).abs().max() > 1e-3
