import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maskmill.images.moments import histogram, moments
from maskmill.samples.preprocessing import Preprocessing
from maskmill.system.errors import MaskmillError


def images(channels, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (h, w, channels), np.uint8) for h, w in [(8, 8), (3, 11), (1, 1)]]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_training_images_become_mean_0_and_deviation_1_per_channel(channels):
    made = images(channels)
    fitted = Preprocessing.fit(map(moments, made))
    out = torch.cat(
        [
            fitted.apply(torch.from_numpy(i.transpose(2, 0, 1).copy())[None]).flatten(2)
            for i in made
        ],
        2,
    )
    assert out.dtype == torch.float32
    assert torch.allclose(out.mean(2), torch.zeros(1, channels), atol=1e-5)
    assert torch.allclose(out.std(2, unbiased=False), torch.ones(1, channels), atol=1e-5)


def test_pixels_are_pooled_so_that_a_large_image_counts_more():
    fitted = Preprocessing.fit(
        map(moments, [np.zeros((3, 1, 1), np.uint8), np.full((1, 1, 1), 255, np.uint8)])
    )
    assert fitted.mean == pytest.approx((0.25,))


def test_constant_images_give_numbers():
    fitted = Preprocessing.fit([moments(np.full((4, 4, 1), 9, np.uint8))])
    assert torch.equal(
        fitted.apply(torch.full((1, 1, 2, 2), 9, dtype=torch.uint8)), torch.zeros(1, 1, 2, 2)
    )


def test_each_channel_has_its_own_numbers():
    x = torch.tensor([[[[255]], [[255]]]], dtype=torch.uint8)
    out = Preprocessing(mean=(0.0, 0.5), std=(1.0, 0.25)).apply(x)
    assert out.flatten().tolist() == [1.0, 2.0]


def test_the_saved_numbers_give_the_same_input():
    fitted = Preprocessing.fit(map(moments, images(3)))
    assert Preprocessing.model_validate_json(fitted.model_dump_json()) == fitted


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 16),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0),
)
def test_sums_over_pixels_are_exact(height, width, channels, low, high, seed):
    low, high = sorted((low, high))
    image = np.random.default_rng(seed).integers(low, high + 1, (height, width, channels), np.uint8)
    count, sums, squares = moments(image)
    wide = image.astype(np.int64)
    assert count == height * width
    assert sums.tolist() == wide.sum(axis=(0, 1)).tolist()
    assert squares.tolist() == (wide**2).sum(axis=(0, 1)).tolist()


@pytest.mark.parametrize(
    "image", [np.full((5000, 6000, 1), 255, np.uint8), np.tile(np.uint8([0, 255]), (5000, 3000))]
)
def test_sums_and_counts_of_large_images_are_exact(image):
    wide = image.reshape(len(image), -1, 1)
    _, sums, squares = moments(wide)
    values = np.bincount(image.ravel(), minlength=256)
    assert (int(sums[0]), int(squares[0])) == (values[255] * 255, values[255] * 255**2)
    for expected in ([], [0, 255], [255], [0, 1]):
        assert histogram(wide[..., 0], expected).tolist() == values.tolist()


def test_no_image_is_an_error_that_names_the_settings():
    with pytest.raises(
        MaskmillError, match=r"`train` is empty.*`splits` in params\.yaml or data/splits\.csv"
    ):
        Preprocessing.fit([])
