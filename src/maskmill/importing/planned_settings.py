"""The settings that an import writes into params.yaml, by what the files hold."""

import math
import re
import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskmill.importing import kept, meaning, palette
from maskmill.importing.meaning import MaskMeaning
from maskmill.importing.measure import FolderContents
from maskmill.importing.plan import Wishes
from maskmill.settings.config import SPLITS, Decoding, Params
from maskmill.sources import Pair
from maskmill.system.errors import MaskmillError

_WHOLE_PX = 384  # larger images are trained on crops
_CROP_PX = 256
_STRIDE_PX = 32
_GATE, _ABOVE = 0.5, 0.1  # and so much of what is missing to 1 above a score that takes no learning


def planned_settings(
    folder: Path,
    pairs: Sequence[Pair],
    found: FolderContents,
    meant: MaskMeaning,
    wishes: Wishes,
    params: Params,
) -> dict[str, Any]:
    """Key of params.yaml -> value, for a source that is imported for the first time."""
    title = wishes.title or folder.resolve().name
    primary = params.evaluation.primary
    if "/" in primary and primary.partition("/")[2] not in meant.classes:
        primary = "dice_foreground"
    bands = list(wishes.bands) or found.bands
    span = wishes.value_range or _range_by_hand(found, params.data.decoding) or found.span
    given = {pair.split for pair in pairs} == set(SPLITS)
    if wishes.split == "given" and not given:
        raise MaskmillError(
            "--split given: the source gives no train, val and test for all images; leave it out"
        )
    return {
        "data.title": title,
        "data.classes": meant.classes,
        "data.background": meant.background,
        "data.ignore_index": meaning.IGNORE_INDEX,
        "data.values": meant.values,
        "data.threshold": meant.threshold,
        "data.nearest_colour": meant.nearest_colour,
        "data.colours": palette.choose_colours(meant.classes, meant.background),
        "data.in_channels": len(bands) if bands else found.in_channels,
        "data.decoding.bands": bands,
        "data.decoding.value_range": None if span is None else _spread(span),
        "data.decoding.mask_alpha": "zero" if found.clear else "refuse",
        "splits.given": given and wishes.split != "new",
        "augmentation.crop_px": _planned_crop(found),
        "augmentation.preset": "light",
        "augmentation.transforms": [],  # those of the embedded data say nothing of these
        "evaluation.primary": primary,
        "selection.minimum": 0.0,
        "gate.minimum": _gate_minimum(found, meant, primary),
        "tracking.model": wishes.name or _registry_name(title) or "model",
    }


def _range_by_hand(found: FolderContents, decoding: Decoding) -> tuple[float, float] | None:
    """The range that params.yaml has, where these images have values in it."""
    span, wanted = found.span, decoding.value_range
    if span is None or wanted is None or span[1] < wanted[0] or wanted[1] < span[0]:
        return None
    return wanted


def _spread(span: tuple[float, float]) -> list[float]:
    """[low, high], of which the second is above the first."""
    low, high = (float(f"{value:.6g}") for value in span)
    return [low, high if high > low else low + 1]


def settings_of_before(
    settings: dict[str, Any],
    found: FolderContents,
    meant: MaskMeaning,
    wishes: Wishes,
    params: Params,
) -> dict[str, Any]:
    """The same where the source is that of the import before: what no option asks for stays."""
    asked = [
        key
        for key, wish in (
            ("data.title", wishes.title),
            ("tracking.model", wishes.name),
            ("splits.given", wishes.split),
            ("data.decoding.bands", wishes.bands),
            ("data.in_channels", wishes.bands),
            ("data.decoding.value_range", wishes.value_range),
        )
        if wish
    ]
    guessed = replace(
        meant,
        classes=list(params.data.classes),
        background=params.data.background,
        values=dict(params.data.values) if params.data.values else None,
    )
    if params.gate.minimum == _gate_minimum(found, guessed, params.evaluation.primary):
        asked.append("gate.minimum")  # nobody has set it by hand
    return kept.kept_settings(params, found, meant, settings, asked)


def _registry_name(title: str) -> str:
    """Turn a title into a name in the registry: small ASCII letters, accents dropped.

    The name is "" where none is left.
    """
    letters = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_.-]+", "-", letters).strip("-.")


def _gate_minimum(found: FolderContents, meant: MaskMeaning, primary: str) -> dict[str, float]:
    """Return what the gate asks for at first.

    It is above what one class for every pixel would score, here and on a test split.
    """
    if primary != "dice_foreground":
        return {primary: _GATE}
    _, score = meaning.best_constant_class(found.values, meant)
    return {primary: max(_GATE, math.ceil(100 * (score + _ABOVE * (1 - score))) / 100)}


def _planned_crop(found: FolderContents) -> list[int] | None:
    """[height, width] of a training crop where images differ in size or are large, else None.

    It fits into half of the images at least; the recipe pads smaller ones.
    """
    if not found.sizes or (len(found.sizes) == 1 and max(next(iter(found.sizes))) <= _WHOLE_PX):
        return None
    middle = int(statistics.median_low(min(size) for size in found.sizes.elements()))
    side = max(_STRIDE_PX, min(_CROP_PX, middle // _STRIDE_PX * _STRIDE_PX))
    return [side, side]
