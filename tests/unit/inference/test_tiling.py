"""Tiles show no seam, bound the memory, and give what the whole image gives."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskmill.images.rows import ArrayRows
from maskmill.inference import predict, tiling
from maskmill.inference.ensemble import Ensemble
from maskmill.inference.predict import Predictor
from maskmill.settings.config import Inference

SMALL = Inference(whole_px=128 * 128, tile_px=128, overlap_px=64)


def image(height, width, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@given(st.integers(1, 3000), st.integers(2, 20), st.integers(1, 10))
def test_each_pixel_counts_once_and_far_from_every_cut(length, tiles_of_32, overlaps_of_32):
    tile, overlap = 32 * tiles_of_32, 32 * min(overlaps_of_32, tiles_of_32 // 2)
    spans = tiling.spans(length, tile, overlap)
    weight = np.zeros(length)
    for i, span in enumerate(spans):
        assert span.stop - span.start <= tile
        assert span.start % 32 == 0
        own = np.ones(span.last - span.first)
        if span.fade_in:
            own[: span.fade_in] = tiling._rising(span.fade_in)
            assert span.first - span.start >= overlap * 3 // 8
        if span.fade_out:
            own[len(own) - span.fade_out :] = 1 - tiling._rising(span.fade_out)
            assert span.stop - span.last >= overlap * 3 // 8
        assert span.fade_in + span.fade_out <= len(own)
        weight[span.first : span.last] += own
        assert (span.fade_in > 0) == (i > 0)
    assert np.allclose(weight, 1)
    assert (spans[0].start, spans[-1].stop) == (0, length)


@pytest.mark.parametrize("size", [(300, 461), (129, 128), (100, 700)], ids=str)
def test_where_a_network_sees_less_than_the_overlap_tiles_give_the_whole_image(size):
    # 3 x 3 twice: 2 px around; a margin of 24 px is more
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 3, 3, padding=1),
    ]
    network = torch.nn.Sequential(*layers).eval()

    def run(pixels):
        with torch.no_grad():
            x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255
            return network(x)[0].softmax(0)

    whole, made = run(image(*size)), torch.full((3, *size), np.nan)
    for block in tiling.blended_blocks(run, ArrayRows(image(*size)), SMALL):
        height, width = block.logits.shape[1:]
        target = made[:, block.y : block.y + height, block.x : block.x + width]
        assert target.isnan().all()  # no pixel twice
        target[...] = block.logits.exp()
    assert torch.allclose(made, whole, atol=2e-6)


def test_a_unet_in_tiles_gives_the_whole_image_within_1e4(save_model):
    # it sees 100 px around a pixel or so; 3/8 of 256 px are 96
    whole = Predictor(save_model())
    tiled = whole.with_settings(Inference(whole_px=512 * 512, tile_px=512, overlap_px=256))
    x = image(544, 640)
    assert tiled.is_tiled(tiled.rows(x))
    assert not whole.is_tiled(whole.rows(x))
    difference = (tiled.logits(x).exp() - whole.logits(x).softmax(0)).abs()
    assert 0 < difference.max() < 1e-4
    assert (tiled.predict(x) == whole.predict(x)).mean() > 0.9999
    assert len(np.unique(tiled.predict(x))) > 1


def test_tiles_that_share_less_than_the_network_sees_differ_in_few_pixels(save_model):
    whole, x = Predictor(save_model()), image(320, 384)
    tiled = whole.with_settings(Inference(whole_px=256 * 256, tile_px=256, overlap_px=64))
    assert 0.99 < (tiled.predict(x) == whole.predict(x)).mean() < 1


def test_mask_and_logits_of_a_tiled_image_agree_in_every_pixel(save_model):
    predictor = Predictor(save_model()).with_settings(SMALL)
    x = image(200, 333)
    logits = predictor.logits(x)
    assert np.array_equal(predictor.predict(x), predict.mask_of(logits))
    assert torch.allclose(logits.exp().sum(0), torch.ones(200, 333), atol=1e-5)
    assert np.array_equal(Ensemble([predictor, predictor]).predict(x), predictor.predict(x))


def test_an_image_up_to_the_limit_is_predicted_whole_bit_for_bit(save_model):
    predictor, x = Predictor(save_model()), image(128, 128)
    assert torch.equal(predictor.with_settings(SMALL).logits(x), predictor.logits(x))


def test_a_prediction_that_begins_at_a_later_row_gives_the_same_bits(save_model):
    predictor = Predictor(save_model()).with_settings(SMALL)
    pixels = ArrayRows(image(400, 200))
    every = list(predictor.blocks(pixels))
    rows = 1 + every[-1].tile[0]
    assert rows > 4
    for first in (1, 3, rows - 1):
        later = list(predictor.blocks(pixels, first))
        wanted = [block for block in every if block.tile[0] >= first]
        assert [b.tile for b in later] == [b.tile for b in wanted]
        assert all(torch.equal(a.logits, b.logits) for a, b in zip(later, wanted, strict=True))


def test_no_more_than_a_row_of_tiles_is_asked_for_at_once(save_model):
    asked = []

    class Watched(ArrayRows):
        def rows(self, start, stop):
            asked.append((start, stop))
            return super().rows(start, stop)

    predictor = Predictor(save_model()).with_settings(SMALL)
    for block in predictor.blocks(Watched(image(1000, 200))):
        assert max(block.logits.shape[1:]) <= SMALL.tile_px
    assert max(stop - start for start, stop in asked) == SMALL.tile_px
    assert asked == sorted(asked)
