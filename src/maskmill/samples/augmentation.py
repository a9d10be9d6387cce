"""The recipe that varies training pairs: checked, frozen to JSON, drawn by (seed, epoch, sample).

albumentations does the work and is imported here alone. Two of its habits are mended here: a
misspelt option only warns (so options are held against the transform's signature), and its seeds
repeat over loader workers and epochs and make two flips fire together (so one generator, seeded
anew for each sample, is shared by all transforms).
"""

import inspect
import os
import random
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from maskmill.samples.presets import PRESETS
from maskmill.settings.config import MAX_SIDE_PX, Augmentation
from maskmill.system import components, files, quick
from maskmill.system.errors import MaskmillError

# read at import, which else asks the network for news
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
with quick.hide_module("albumentations.pytorch"):  # two transforms, for which it imports torch
    import albumentations as A

WHERE = "params.yaml: augmentation.transforms"
# options with which a transform of the image alone keeps places
_STILL: dict[str, dict[str, Any]] = {
    "MotionBlur": {"allow_shifted": False, "direction_range": [0.0, 0.0]}
}
_KINDS = (A.DualTransform, A.ImageOnlyTransform)
_NO_TRANSFORMS = ("DualTransform", "ImageOnlyTransform", "Transform3D", "Lambda")  # bases, and code
Key = tuple[int, ...]  # seed, epoch, sample, and the turn of a sample that comes again in an epoch


class Recipe:
    """A frozen chain of transforms on an image and its mask."""

    def __init__(self, chain: A.Compose) -> None:
        self._chain = chain

    def __call__(
        self, image: np.ndarray, mask: np.ndarray, key: Key
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vary one pair; the same `key` gives the same pair in any process.

        Shape: image (H, W, C) uint8, mask (H, W) uint8 ids -> the same kinds, of the crop's size
            where one is set.
        """
        _seed(self._chain, key)
        out = self._chain(image=image, mask=mask)
        varied: np.ndarray = out["image"]
        if (
            getattr(varied, "dtype", None) != np.uint8
            or varied.size != out["mask"].size * image.shape[2]
        ):
            raise MaskmillError(
                f"{WHERE}: the recipe gives {getattr(varied, 'dtype', type(varied))} of shape "
                f"{tuple(varied.shape)}; uint8 with {image.shape[2]} channels is needed: take out "
                "what normalises or changes channels (images are normalised after the recipe, by "
                "the statistics of the training images)"
            )
        return varied.reshape(*varied.shape[:2], image.shape[2]), out["mask"]

    @property
    def crop_px(self) -> tuple[int, int] | None:
        """Height and width of the crop that it begins with; None where it takes whole images."""
        first = self._chain.transforms[:2]
        cropped = [type(step) for step in first] == [A.PadIfNeeded, A.RandomCrop]
        return (first[1].height, first[1].width) if cropped else None

    def save(self, path: Path) -> None:
        """Write the chain as JSON; `load` gives it back exactly."""
        files.write_json(path, A.to_dict(self._chain))

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """The recipe that `save` wrote."""
        return cls(_copy(files.read_json(path)))


class Geometry:
    """What a recipe does to places, without what it does to values.

    Two pictures and two masks are moved in one draw.
    """

    def __init__(self, recipe: Recipe) -> None:
        copy = _copy(A.to_dict(recipe._chain))  # targets are added to its transforms
        moving = [step for step in copy.transforms if not isinstance(step, A.ImageOnlyTransform)]
        self._chain = A.Compose(moving, additional_targets={"other": "image", "renamed": "mask"})

    def __call__(
        self, images: Sequence[np.ndarray], masks: Sequence[np.ndarray], key: Key
    ) -> list[np.ndarray]:
        """Two (H, W, C) and two (H, W) uint8 -> the same four, moved."""
        _seed(self._chain, key)
        out = self._chain(image=images[0], other=images[1], mask=masks[0], renamed=masks[1])
        return [out[name] for name in ("image", "other", "mask", "renamed")]


def build_recipe(augmentation: Augmentation, ignore_index: int, *, always: bool = False) -> Recipe:
    """Build the chain of params.yaml: the crop first, then the preset, then each transform.

    With `always` all have p 1.

    What a transform brings in from outside the image is `ignore_index` in the mask, so that no
    border invents a class.
    Raises: MaskmillError for an unknown transform or option, or a value the transform refuses.
    """
    steps = [_transform(*step, ignore_index, always) for step in _steps(augmentation)]
    return Recipe(A.Compose([*_crop(augmentation, ignore_index), *steps]))


def single_transforms(
    augmentation: Augmentation, ignore_index: int, *, always: bool
) -> dict[str, Recipe]:
    """Each transform of the recipe by itself, after the crop, by the place where it is set.

    With `always` it has p 1.
    """
    made = {}
    for where, name, options in _steps(augmentation):
        chain = [
            *_crop(augmentation, ignore_index),
            _transform(where, name, options, ignore_index, always),
        ]
        made[where] = Recipe(A.Compose(chain))
    return made


def _copy(saved: dict[str, Any]) -> A.Compose:
    # of options that albumentations writes itself and then does not know
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return A.from_dict(saved)


def _seed(chain: A.Compose, key: Key) -> None:
    generator = np.random.default_rng(key)
    chain.set_random_state(generator, random.Random(int(generator.integers(2**63))))  # noqa: S311


def _steps(augmentation: Augmentation) -> list[tuple[str, str, dict[str, Any]]]:
    """Where each transform is set, its name and its options."""
    preset = PRESETS[augmentation.preset]
    steps = [
        (f"params.yaml: augmentation.preset.{augmentation.preset}", step.name, step.options)
        for step in preset
    ]
    steps += [
        (WHERE, name, options or {})
        for entry in augmentation.transforms
        for name, options in entry.items()
    ]
    return [(f"{where}.{name}", name, options) for where, name, options in steps]


def _crop(augmentation: Augmentation, ignore_index: int) -> list[A.BasicTransform]:
    if augmentation.crop_px is None:
        return []
    height, width = augmentation.crop_px
    return [
        A.PadIfNeeded(min_height=height, min_width=width, fill_mask=ignore_index),
        A.RandomCrop(height=height, width=width),
    ]


def _transform(
    where: str, name: str, options: dict[str, Any], ignore_index: int, always: bool
) -> A.BasicTransform:
    kinds = {key: value for key, value in vars(A).items() if isinstance(value, type)}
    known = [
        key for key, kind in kinds.items() if issubclass(kind, _KINDS) and key not in _NO_TRANSFORMS
    ]
    if name not in known:
        near = components.suggest(name, known)
        raise MaskmillError(
            f"{WHERE}: {name!r} is no transform of albumentations {A.__version__}{near}"
        )
    kind = getattr(A, name)
    components.check_options(kind.__init__, options, where)
    for option, kept in (still := _STILL.get(name, {})).items():
        if options.get(option, kept) != kept:
            raise MaskmillError(
                f"{where}.{option}: {options[option]} moves the image away from its mask; "
                f"allowed is {kept}; delete it"
            )
    _check_sizes(options, where)
    options = still | options
    fill = inspect.signature(kind.__init__).parameters.get("fill_mask")
    if fill is not None and fill.default is not None:  # None: the transform leaves masks alone
        options = {"fill_mask": ignore_index} | options
    try:
        made: A.BasicTransform = kind(**options | ({"p": 1.0} if always else {}))
    except (ValidationError, ValueError, TypeError) as error:
        cause = error.__cause__ or error  # albumentations wraps pydantic's error in one of its own
        details = cause.errors() if isinstance(cause, ValidationError) else []
        reasons = "; ".join(map(_reason, details)) or str(error)
        raise MaskmillError(f"{where}: {reasons}") from None
    return made


def _check_sizes(options: dict[str, Any], where: str) -> None:
    """Check the numbers of pixels, holes and rounds.

    Raises: MaskmillError for one with which an image takes hours, or all memory.
    """
    for option, value in options.items():
        for number in value if isinstance(value, list | tuple) else (value,):
            if isinstance(number, int) and abs(number) > MAX_SIDE_PX:
                raise MaskmillError(
                    f"{where}.{option}: got {value}; at most {MAX_SIDE_PX} is allowed"
                )


def _reason(detail: Any) -> str:
    place = ".".join(map(str, detail["loc"]))
    # else all options at once
    given = "" if detail["type"] == "missing" or not place else f"={detail['input']!r}"
    return f"{place}{given}: {detail['msg']}".removeprefix(": ")


def invented_ids(before: np.ndarray, after: np.ndarray, ignore_index: int) -> list[int]:
    """Ids of a varied mask that neither the original mask nor `ignore_index` explains."""
    return sorted(set(np.unique(after).tolist()) - set(np.unique(before).tolist()) - {ignore_index})
