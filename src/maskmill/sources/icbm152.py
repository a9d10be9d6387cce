"""The embedded data set: axial slices of the ICBM 152 brain template, by a varying scanner.

Fonov et al., "Unbiased average age-appropriate atlases for pediatric studies", NeuroImage 54(1),
2011: the T1 template and its grey- and white-matter probability maps (197 x 233 x 189 voxels of 1
mm), as the nilearn wheel carries them.
The template averages 152 heads, so a test slice is an interpolation between training slices, not a
new patient.
"""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from maskmill.settings.config import Data, Seed
from maskmill.sources import Pair
from maskmill.system.errors import MaskmillError

Slabs = list[Annotated[list[int], Field(min_length=2, max_length=2)]]
CLASSES = ("background", "csf", "grey_matter", "white_matter")
HEIGHT_PX, WIDTH_PX = 184, 152  # of an image: the whole brain, 145 x 181 voxels, and little else
_SEEN_PX = 192  # what the simulated scanner sees, x and y from:
_X, _Y = 2, 21
_LEFT, _FRONT = 20, 4  # of the image in it


def icbm152(*, folder: Path, data: Data, slabs: Slabs, seed: Seed) -> Iterator[Pair]:
    """Slices z of every slab [first, last], one group per slab of one sequence, in 184 x 152 px.

    Raises: MaskmillError when data.classes are not this template's, or a slab leaves it.
    """
    if data.classes != CLASSES or data.in_channels != 1:
        raise MaskmillError(
            f"params.yaml: data.classes {list(data.classes)} with in_channels {data.in_channels} "
            f"do not describe the source icbm152, which has {list(CLASSES)} and 1; "
            "change them, or `kind` in data/source.yaml"
        )
    t1, labels = _volumes()
    for first, last in slabs:
        if not 0 <= first <= last < t1.shape[2]:
            raise MaskmillError(
                f"data/source.yaml: slab [{first}, {last}] is not within z 0..{t1.shape[2] - 1}"
            )
        for z in range(first, last + 1):
            yield Pair(
                id=f"icbm152_z{z:03d}",
                group=f"z{first:03d}-{last:03d}",
                order=z,
                image=partial(_scan, t1[:, :, z], seed=(seed, z)),
                mask=partial(_cut_and_turn, labels[:, :, z]),
                sequence="icbm152",
            )


def _volumes() -> tuple[np.ndarray, np.ndarray]:
    """T1 in [0, 1] and labels 0..3, both (192, 192, 189)."""
    import nibabel

    package = find_spec("nilearn")
    if package is None or not package.submodule_search_locations:
        raise MaskmillError(
            "the source icbm152 needs the package nilearn, which is not installed; "
            "run `make pipeline`"
        )
    files = Path(package.submodule_search_locations[0]) / "datasets" / "data"

    def volume(name: str) -> np.ndarray:
        path = files / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
        scaled = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)[
            _X : _X + _SEEN_PX, _Y : _Y + _SEEN_PX
        ]
        share: np.ndarray = scaled / scaled.max()
        return share

    t1, grey, white = volume("t1"), volume("gm"), volume("wm")
    tissue = np.argmax(np.stack([1 - grey - white, grey, white]), axis=0) + 1
    return t1, np.where(t1 > 0, tissue, 0).astype(np.uint8)


def _scan(x: np.ndarray, *, seed: tuple[int, int]) -> np.ndarray:
    """x^g exp(0.3 B) + 0.05 N: contrast, a smooth coil sensitivity and noise, drawn once per slice.

    g = exp(0.2 n) with n standard normal; B a 4 x 4 standard-normal grid, upsampled bicubically.
    """
    rng = np.random.default_rng(seed)
    contrast = np.exp(0.2 * rng.standard_normal())
    field = cv2.resize(
        rng.standard_normal((4, 4)), (x.shape[1], x.shape[0]), interpolation=cv2.INTER_CUBIC
    )
    scan = x**contrast * np.exp(0.3 * field) + 0.05 * rng.standard_normal(x.shape)
    return _cut_and_turn(np.rint(255 * scan.clip(0, 1)).astype(np.uint8))[..., None]


def _cut_and_turn(pixels: np.ndarray) -> np.ndarray:
    """Cut the brain out of the scanner's view, with the front of the head up.

    Shape: (192, 192) -> (184, 152).
    """
    brain = pixels[_LEFT : _LEFT + WIDTH_PX, _FRONT : _FRONT + HEIGHT_PX]
    return np.ascontiguousarray(np.rot90(brain))
