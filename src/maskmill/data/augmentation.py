"""The recipe that varies training pairs: checked, frozen to JSON, and drawn by (seed, epoch, sample).

albumentations does the work and is imported here alone. Two of its habits are mended here: a misspelt option only
warns (so options are held against the transform's signature), and its seeds repeat over loader workers and epochs and
make two flips fire together (so one generator, seeded anew for each sample, is shared by all transforms).
"""

import inspect
import os
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from maskmill import components, files
from maskmill.config import Augmentation
from maskmill.errors import MaskmillError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # read at import, which else asks the network for news
import albumentations as A

_WHERE = "params.yaml: augmentation.transforms"


class Recipe:
    """A frozen chain of transforms on an image and its mask."""

    def __init__(self, chain: A.Compose) -> None:
        self._chain = chain

    def __call__(self, image: np.ndarray, mask: np.ndarray, key: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Vary one pair; the same `key` (seed, epoch, sample) gives the same pair in any process.

        Shape: image (H, W, C) uint8, mask (H, W) uint8 ids -> the same kinds, of the crop's size where one is set.
        """
        generator = np.random.default_rng(key)
        self._chain.set_random_state(generator, random.Random(int(generator.integers(2**63))))  # noqa: S311
        out = self._chain(image=image, mask=mask)
        varied: np.ndarray = out["image"]
        if getattr(varied, "dtype", None) != np.uint8 or varied.size != out["mask"].size * image.shape[2]:
            raise MaskmillError(
                f"{_WHERE}: the recipe gives {getattr(varied, 'dtype', type(varied))} of shape {tuple(varied.shape)}; "
                f"uint8 with {image.shape[2]} channels is needed: take out what normalises or changes channels "
                "(images are normalised after the recipe, by the statistics of the training images)"
            )
        return varied.reshape(*varied.shape[:2], image.shape[2]), out["mask"]

    def save(self, path: Path) -> None:
        """Write the chain as JSON; `load` gives it back exactly."""
        files.write_json(path, A.to_dict(self._chain))

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """The recipe that `save` wrote."""
        with warnings.catch_warnings():  # of a padding that albumentations writes itself and then does not know
            warnings.simplefilter("ignore", UserWarning)
            return cls(A.from_dict(files.read_json(path)))


def recipe(augmentation: Augmentation, ignore_index: int) -> Recipe:
    """Build the chain of params.yaml: the crop first, then each transform.

    What a transform brings in from outside the image is `ignore_index` in the mask, so that no border invents a class.
    Raises: MaskmillError for an unknown transform or option, or a value the transform refuses.
    """
    chain = []
    if augmentation.crop_px is not None:
        height, width = augmentation.crop_px
        chain.append(A.PadIfNeeded(min_height=height, min_width=width, fill_mask=ignore_index))
        chain.append(A.RandomCrop(height=height, width=width))
    for entry in augmentation.transforms:
        for name, options in entry.items():
            chain.append(_transform(name, options or {}, ignore_index))
    return Recipe(A.Compose(chain))


def _transform(name: str, options: dict[str, Any], ignore_index: int) -> A.BasicTransform:
    known = [key for key, value in vars(A).items() if isinstance(value, type) and issubclass(value, A.BasicTransform)]
    if name not in known:
        near = components.suggest(name, known)
        raise MaskmillError(f"{_WHERE}: {name!r} is no transform of albumentations {A.__version__}{near}")
    kind = getattr(A, name)
    components.check_options(kind.__init__, options, f"{_WHERE}.{name}")
    fill = inspect.signature(kind.__init__).parameters.get("fill_mask")
    if fill is not None and fill.default is not None:  # None: the transform leaves masks alone
        options = {"fill_mask": ignore_index} | options
    try:
        made: A.BasicTransform = kind(**options)
    except (ValidationError, ValueError, TypeError) as error:
        cause = error.__cause__ or error  # albumentations wraps pydantic's error in one of its own
        details = cause.errors() if isinstance(cause, ValidationError) else []
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}={e['input']!r}: {e['msg']}" for e in details) or str(error)
        raise MaskmillError(f"{_WHERE}.{name}: {reasons}") from None
    return made


def invented_ids(before: np.ndarray, after: np.ndarray, ignore_index: int) -> list[int]:
    """Ids of a varied mask that neither the original mask nor `ignore_index` explains."""
    return sorted(set(np.unique(after).tolist()) - set(np.unique(before).tolist()) - {ignore_index})
