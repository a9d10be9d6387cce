"""Stacks: files of several pages, each of which is an image."""

from pathlib import Path

import numpy as np

from tests.strangers.pictures import Drawn, Scene, save_tiff, scene, times_255


def a_stack_per_folder(top: Path) -> Drawn:
    """images/s0.tif and masks/s0.tif of five pages each."""
    drawn: Drawn = {}
    for stack in range(3):
        slices = [scene(10 * stack + page) for page in range(5)]
        grey = np.stack([made.image[..., 0] for made in slices])
        save_tiff(top / f"images/s{stack}.tif", grey)
        save_tiff(top / f"masks/s{stack}.tif", np.stack([made.ids for made in slices]))
        for page, made in enumerate(slices):
            drawn[f"s{stack}__{page + 1:04d}"] = Scene(_grey(made.image), made.ids)
    return drawn


def isbi_2012(top: Path) -> Drawn:
    """ISBI 2012: one volume for training with its labels, and one for the test without."""
    slices = [scene(page) for page in range(12)]
    grey = np.stack([made.image[..., 0] for made in slices])
    save_tiff(top / "train-volume.tif", grey)
    save_tiff(top / "train-labels.tif", np.stack([times_255(made.ids) for made in slices]))
    save_tiff(top / "test-volume.tif", grey[::-1])
    return {
        f"train__{page + 1:04d}": Scene(_grey(made.image), made.ids)
        for page, made in enumerate(slices)
    }


def _grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., :1], 3, axis=2)
