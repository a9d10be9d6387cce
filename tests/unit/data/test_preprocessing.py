import numpy as np
import pytest
import torch

from maskmill.data.preprocessing import Preprocessing


def images(channels, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (h, w, channels), np.uint8) for h, w in [(8, 8), (3, 11), (1, 1)]]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_training_images_become_mean_0_and_deviation_1_per_channel(channels):
    made = images(channels)
    fitted = Preprocessing.fit(made)
    out = torch.cat([fitted.apply(torch.from_numpy(i.transpose(2, 0, 1).copy())[None]).flatten(2) for i in made], 2)
    assert out.dtype == torch.float32
    assert torch.allclose(out.mean(2), torch.zeros(1, channels), atol=1e-5)
    assert torch.allclose(out.std(2, unbiased=False), torch.ones(1, channels), atol=1e-5)


def test_pixels_are_pooled_so_that_a_large_image_counts_more():
    fitted = Preprocessing.fit([np.zeros((3, 1, 1), np.uint8), np.full((1, 1, 1), 255, np.uint8)])
    assert fitted.mean == pytest.approx((0.25,))


def test_constant_images_give_numbers():
    fitted = Preprocessing.fit([np.full((4, 4, 1), 9, np.uint8)])
    assert torch.equal(fitted.apply(torch.full((1, 1, 2, 2), 9, dtype=torch.uint8)), torch.zeros(1, 1, 2, 2))


def test_each_channel_has_its_own_numbers():
    x = torch.tensor([[[[255]], [[255]]]], dtype=torch.uint8)
    out = Preprocessing(mean=(0.0, 0.5), std=(1.0, 0.25)).apply(x)
    assert out.flatten().tolist() == [1.0, 2.0]


def test_the_saved_numbers_give_the_same_input():
    fitted = Preprocessing.fit(images(3))
    assert Preprocessing.model_validate_json(fitted.model_dump_json()) == fitted
