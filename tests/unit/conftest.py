"""One thread, reproducible examples, and pictures of shapes to learn from."""

import numpy as np
import pytest
import torch
from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=40, derandomize=True, database=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def draw_shapes():
    """A function: (count, size_px, seed) -> pairs with a disc, a square and a bar.

    Brightness tells them apart.
    """

    def draw(count, size=32, seed=0):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:size, :size]
        pairs = []
        for _ in range(count):
            centre, corner, row = (
                rng.integers(size // 4, size // 2, 2),
                rng.integers(size // 2, size * 3 // 4, 2),
                0,
            )
            mask = np.zeros((size, size), np.uint8)
            mask[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (size / 5) ** 2] = 1
            mask[corner[0] : corner[0] + size // 4, corner[1] : corner[1] + size // 4] = 2
            mask[row : row + size // 10] = 3
            grey = np.array([40, 110, 170, 230])[mask] + rng.normal(0, 8, mask.shape)
            pairs.append((grey.clip(0, 255).astype(np.uint8)[..., None], mask))
        return pairs

    return draw
