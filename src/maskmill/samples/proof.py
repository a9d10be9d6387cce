"""Proof on the training pairs themselves that a recipe keeps image and mask together.

The recipe's geometry moves two pictures of the labels and two masks in one draw: the mask, and the
mask under other names. A label that does not follow its new name was written by a transform, or
blended from two. A picture that shows another label than the mask says was moved without it.
Transforms of the image alone are taken to keep places.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from maskmill.samples import augmentation as augmentations
from maskmill.samples.augmentation import Geometry, Key, Recipe
from maskmill.samples.shards import Shard
from maskmill.settings.config import Augmentation
from maskmill.system.errors import MaskmillError

AGREEING = 0.995  # share of the pixels away from class edges on which picture and mask must agree
_PAIRS, _PIXELS = 500, 50_000_000  # that the recipe is tried on, at most ..
_ALWAYS = 32  # .. and with every transform drawn, rare ones too
# an interpolated picture blends labels so near to a class edge, also where it is stretched
_EDGE_PX = 4
_NIBBLE = 16  # two pictures, of a label's high and low four bits, in grey levels 8, 24, .., 248
# grey levels from them that still tell a label; farther off a pixel was dropped or filled, and
# shows none
_NEAR = 4
_RENAMED = np.roll(np.random.default_rng(0).permutation(256), 1).astype(np.uint8)


@dataclass(frozen=True)
class Followed:
    """What became of the labels in one draw."""

    strangers: list[int]  # ids in the mask that no pixel of the mask brought there
    # share of the pixels away from class edges that show what the mask says; 1 where there is none
    agreeing: float


def prove_recipe(augmentation: Augmentation, ignore_index: int, shard: Shard) -> int:
    """Try the recipe on the training pairs; returns how many.

    Raises: MaskmillError naming the transform that fails on these channels, writes or blends
        labels, moves image and mask apart, or gives images of several sizes from one.
    """
    drawn = augmentations.build_recipe(augmentation, ignore_index)
    always = augmentations.build_recipe(augmentation, ignore_index, always=True)
    places = _pairs_to_try(shard)
    for recipe, tried in ((always, places[:: -(-len(places) // _ALWAYS)]), (drawn, places)):
        if (broken := _first_fault(recipe, shard, tried, ignore_index)) is None:
            continue
        place, _ = broken
        # a transposition changes the size always, or now and then
        for part_always in (True, False):
            for where, part in augmentations.single_transforms(
                augmentation, ignore_index, always=part_always
            ).items():
                if alone := _first_fault(part, shard, [place, *tried], ignore_index):
                    raise MaskmillError(f"{where}: {alone[1]} (tried on {shard.ids[alone[0]]})")
        raise MaskmillError(
            f"params.yaml: augmentation: {broken[1]} (tried on {shard.ids[place]}; "
            "no transform does so by itself, their combination does: take out the last ones)"
        )
    return len(places)


def apply_to_labels(
    geometry: Geometry, labels: np.ndarray, channels: int, key: Key, ignore_index: int
) -> Followed:
    """Move pictures of `labels` as a recipe moves images, and the labels as it moves masks.

    `labels`: (H, W) uint8.
    """
    high, low = (
        np.repeat((part * _NIBBLE + _NIBBLE // 2)[..., None], channels, axis=2)
        for part in _halves(labels)
    )
    shown_high, shown_low, mask, renamed = geometry((high, low), (labels, _RENAMED[labels]), key)
    written = (mask == ignore_index) & (renamed == ignore_index)
    followed = renamed == _RENAMED[mask]
    shows, label = _read(shown_high, shown_low)
    shows &= np.isin(label, np.unique(labels))  # a blend is no label
    judged = shows & followed & ~written & _inner_pixels(mask)
    agreeing = float((label == mask)[judged].mean()) if judged.any() else 1.0
    return Followed(np.unique(mask[~followed & ~written]).tolist(), agreeing)


def _first_fault(
    recipe: Recipe, shard: Shard, places: Sequence[int], ignore_index: int
) -> tuple[int, str] | None:
    trial = _Trial(recipe, ignore_index)
    for count, i in enumerate(places):
        for epoch in range(4 if count < _ALWAYS else 1):
            for fault in trial.faults(*shard[i], (0, epoch, i)):
                return i, fault
    return None


class _Trial:
    """What is wrong with one draw after another of a recipe."""

    def __init__(self, recipe: Recipe, ignore_index: int) -> None:
        self._recipe, self._geometry, self._ignore_index = recipe, Geometry(recipe), ignore_index
        # of a pair -> of what is drawn from it
        self._sizes: dict[tuple[int, ...], tuple[int, ...]] = {}

    def faults(self, image: np.ndarray, mask: np.ndarray, key: Key) -> Iterator[str]:
        try:
            _, varied = self._recipe(image, mask, key)
        except MaskmillError as error:
            yield str(error).removeprefix(f"{augmentations.WHERE}: ")
            return
        except Exception as error:
            # a transform raises what it likes for channels or sizes that it does not take
            said = " ".join(str(error).split()) or type(error).__name__
            yield (
                f"does not take images of {image.shape[2]} channels, {_size(mask.shape)} px: "
                f"{said}; take it out"
            )
            return
        first = self._sizes.setdefault(mask.shape, varied.shape)
        if varied.shape != first:
            yield (
                f"gives images of {_size(first)} and of {_size(varied.shape)} px out of "
                f"{_size(mask.shape)} px, which form no batch; set augmentation.crop_px to a "
                "square, for example [128, 128], or take it out"
            )
        if invented := augmentations.invented_ids(mask, varied, self._ignore_index):
            yield self._written(invented)
        for labels in (mask, _blocks(mask.shape)):
            followed = apply_to_labels(
                self._geometry, labels, image.shape[2], key, self._ignore_index
            )
            if followed.strangers:
                yield self._written(followed.strangers)
            if followed.agreeing < AGREEING:
                yield (
                    f"moves image and mask apart: {followed.agreeing:.1%} of the pixels away from "
                    f"class edges show what the mask says, at least {AGREEING:.1%} must; "
                    "take it out"
                )

    def _written(self, ids: list[int]) -> str:
        return (
            "writes or blends ids "
            f"({', '.join(map(str, ids[:5]))}{', ..' if len(ids) > 5 else ''}) where the mask has "
            "others; masks must be warped with nearest-neighbour interpolation and filled with "
            f"ignore_index {self._ignore_index} alone: delete mask_interpolation, fill_mask or "
            "mask_drop_value, or take it out"
        )


def _pairs_to_try(shard: Shard) -> list[int]:
    """Of pairs that are tried: all over the split, as many as are tried in reasonable time."""
    largest = max(height * width for height, width in shard.sizes)
    count = min(len(shard), _PAIRS, max(8, _PIXELS // largest))
    return list(dict.fromkeys(np.linspace(0, len(shard) - 1, count).astype(int).tolist()))


def _blocks(shape: tuple[int, ...]) -> np.ndarray:
    """Squares of 16 labels, which show any movement.

    They show it also where a data set has little foreground.
    """
    side = max(6 * _EDGE_PX, min(shape) // 8)
    rows, columns = -(-shape[0] // side), -(-shape[1] // side)
    draw = np.random.default_rng(0)
    squares = draw.choice(draw.choice(255, 16, replace=False), (rows, columns)).astype(np.uint8)
    return np.ascontiguousarray(
        np.kron(squares, np.ones((side, side), np.uint8))[: shape[0], : shape[1]]
    )


def _halves(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return labels // _NIBBLE, labels % _NIBBLE


def _read(high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the first channels of two pictures show a label at all, and which."""
    (a, b), middle = (picture[..., 0].astype(int) for picture in (high, low)), _NIBBLE // 2
    shows = (np.abs(a % _NIBBLE - middle) <= _NEAR) & (np.abs(b % _NIBBLE - middle) <= _NEAR)
    return shows, a // _NIBBLE * _NIBBLE + b // _NIBBLE


def _inner_pixels(mask: np.ndarray) -> np.ndarray:
    """Where neither a class edge nor the frame, over which a fill comes in, is near."""
    kernel = np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)
    uniform = cv2.erode(mask, kernel) == cv2.dilate(mask, kernel)
    inner = np.zeros(mask.shape, bool)
    within = slice(_EDGE_PX, -_EDGE_PX)
    inner[within, within] = uniform[within, within]
    return inner


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]}"
