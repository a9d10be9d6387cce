"""All that an import will write, guessed and checked before anything is written."""

import math
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskmill import sources
from maskmill.images import decode
from maskmill.importing import contents, grouping, kept, layouts, meaning, palette
from maskmill.importing.contents import FolderContents
from maskmill.importing.layouts import FolderLayout
from maskmill.importing.meaning import MaskMeaning, Value
from maskmill.settings import config, configure
from maskmill.settings.config import SPLITS, Data, Decoding, Params
from maskmill.sources import Pair, coco
from maskmill.system.errors import MaskmillError

_WHOLE_PX = 384  # larger images are trained on crops
_CROP_PX = 256
_STRIDE_PX = 32
_GATE, _ABOVE = 0.5, 0.1  # and so much of what is missing to 1 above a score that takes no learning
_WHOLE_NAME = "(?P<group>.*)"


@dataclass(frozen=True)
class Wishes:
    """What the user says instead of having it guessed."""

    classes: tuple[str, ...] = ()
    background: str | None = None  # a class, or "none"
    ignore: Value | None = None
    groups: str | None = None
    title: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Plan:
    """The source, the settings, and what they rest on."""

    layout: FolderLayout
    pairs: list[Pair]
    contents: FolderContents
    meaning: MaskMeaning
    settings: dict[str, Any]  # key of params.yaml -> value
    decoding: Decoding  # as the settings will have it
    params_yaml: str
    changes: list[str]  # of params.yaml
    again: bool  # the data are those of the import before, whose settings stay

    @property
    def files(self) -> list[Path]:
        """All files of the source that are used."""
        sides = [
            side
            for pair in self.pairs
            for side in (pair.image, pair.mask)
            if isinstance(side, Path)
        ]
        return sorted({*sides, *self.layout.files})


def make_plan(folder: Path, wishes: Wishes, params: Params) -> Plan:
    """Make the plan for the files of `folder`.

    Raises: MaskmillError for what cannot be used or guessed.
    """
    layout = layouts.recognise(folder)
    before = kept.is_source(layout.config, folder, params)
    data, named = _named(folder, layout, wishes, params.data, before)
    if (names_file := meaning.names_file(folder)) and layout.config["kind"] != "coco":
        layout = replace(layout, files=[*layout.files, names_file])
    if wishes.groups is not None:
        layout.config["groups"] = wishes.groups
    where = Path(params.paths.source_config)
    pairs = sources.create(layout.config, folder, data, where)
    found = contents.read(pairs, data.decoding)
    if layout.config["kind"] == "coco":
        meant, again = (
            MaskMeaning(list(data.classes), data.background, None),
            before and data == params.data,
        )
    else:
        meant, again = _mask_meaning(folder, found, named, wishes, params, before)
    settings = _planned_settings(folder, pairs, found, meant, wishes, params)
    if again:
        asked = [
            key
            for key, wish in (("data.title", wishes.title), ("tracking.model", wishes.name))
            if wish
        ]
        guessed = MaskMeaning(list(params.data.classes), params.data.background, params.data.values)
        if params.gate.minimum == _gate_minimum(found, guessed, params.evaluation.primary):
            asked.append("gate.minimum")  # nobody has set it by hand
        settings = kept.kept_settings(params, found, meant, settings, asked)
    decoding = kept.decoding_of(params, settings)
    if before and wishes.groups is None:
        grouped = layout.config | kept.kept_grouping(where)
    else:
        grouped = _grouping_settings(
            layout, pairs, settings["data.in_channels"], folder, data, decoding, where
        )
    if grouped != layout.config:
        layout = replace(layout, config=grouped)
        pairs = sources.create(grouped, folder, data, where)
    known = {pair.id for pair in pairs} | {pair.group for pair in pairs}
    settings["splits.allow_leaks"] = [name for name in params.splits.allow_leaks if name in known]
    text, _ = configure.text_with_changes(settings)
    return Plan(
        layout,
        pairs,
        found,
        meant,
        settings,
        decoding,
        text,
        configure.describe_changes(settings),
        again,
    )


def groups_in_several_splits(pairs: Sequence[Pair]) -> dict[str, Counter[str]]:
    """Groups that stand in several of the given splits -> images in each."""
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        if pair.split:
            splits[pair.group][pair.split] += 1
    return {group: counts for group, counts in splits.items() if len(counts) > 1}


def _named(
    folder: Path, layout: FolderLayout, wishes: Wishes, data: Data, before: bool
) -> tuple[Data, Mapping[Value, str] | Sequence[str]]:
    """Return settings to read the source with, and names of classes.

    The names are the user's, those of a file, or COCO's own.
    """
    if layout.config["kind"] != "coco":
        if wishes.classes:
            return data, wishes.classes
        file = meaning.names_file(folder)
        return data, meaning.read_names(file) if file else ()
    if wishes.classes or wishes.ignore is not None:
        raise MaskmillError(
            "--classes, --ignore: COCO's categories name the classes, and crowds are ignored;"
            " leave them out"
        )
    categories: dict[int | str, str] = {}
    for path in layout.files:
        categories |= {
            entry["id"]: coco.class_name(str(entry["name"]))
            for entry in coco.read(path)["categories"]
        }
    drawn_already = {*categories.values(), data.background} == set(
        data.classes
    ) and data.values is None
    if before and drawn_already and wishes.background in (None, "none", data.background):
        return data, ()
    background = "background" if wishes.background in (None, "none") else wishes.background
    names = [
        background,
        *(name for _, name in sorted(categories.items(), key=lambda c: str(c[0]).zfill(9))),
    ]
    classes = list(dict.fromkeys(names))
    drawn: dict[str, Any] = {
        "classes": classes,
        "background": background,
        "values": None,
        "ignore_index": meaning.IGNORE_INDEX,
    }
    drawn["colours"] = palette.choose_colours(classes, background)
    return config.Data.model_validate(data.model_dump() | drawn), ()


def _mask_meaning(
    folder: Path,
    found: FolderContents,
    named: Mapping[Value, str] | Sequence[str],
    wishes: Wishes,
    params: Params,
    before: bool,
) -> tuple[MaskMeaning, bool]:
    """Return what the stored values mean, and whether they are those of the import before.

    If they are, the names of that import stay.
    """
    names_file = meaning.names_file(folder)
    asked = (
        bool(wishes.classes)
        or wishes.ignore is not None
        or kept.names_are_asked(params.data, names_file, folder, Path(params.paths.source))
    )
    if (
        before
        and not asked
        and (stays := kept.meaning_of(params.data, found.values, wishes.background))
    ):
        return stays, True
    guessed = meaning.guess_meaning(found.values, named, wishes.ignore, wishes.background)
    if not before or not (stays := kept.renamed_meaning(params.data, guessed, None)):
        return guessed, False
    if not asked:
        return kept.renamed_meaning(params.data, guessed, wishes.background) or guessed, True
    if guessed.classes == stays.classes and wishes.background is None:
        return replace(guessed, background=stays.background), True
    return guessed, True


def _planned_settings(
    folder: Path,
    pairs: Sequence[Pair],
    found: FolderContents,
    meant: MaskMeaning,
    wishes: Wishes,
    params: Params,
) -> dict[str, Any]:
    title = wishes.title or folder.resolve().name
    primary = params.evaluation.primary
    if "/" in primary and primary.partition("/")[2] not in meant.classes:
        primary = "dice_foreground"
    return {
        "data.title": title,
        "data.classes": meant.classes,
        "data.background": meant.background,
        "data.ignore_index": meaning.IGNORE_INDEX,
        "data.values": meant.values,
        "data.colours": palette.choose_colours(meant.classes, meant.background),
        "data.in_channels": found.in_channels,
        "data.decoding.bands": found.bands,
        "splits.given": {pair.split for pair in pairs} == set(SPLITS),
        "augmentation.crop_px": _planned_crop(found),
        "augmentation.preset": "light",
        "augmentation.transforms": [],  # those of the embedded data say nothing of these
        "evaluation.primary": primary,
        "selection.minimum": 0.0,
        "gate.minimum": _gate_minimum(found, meant, primary),
        "tracking.model": wishes.name or _registry_name(title) or "model",
    }


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


def _grouping_settings(
    layout: FolderLayout,
    pairs: Sequence[Pair],
    channels: int,
    folder: Path,
    data: Data,
    decoding: Decoding,
    where: Path,
) -> dict[str, Any]:
    """Return the source's settings with `groups` or `blocks`, where images belong together.

    The names or the images show whether they do.
    """
    given = layout.config
    if {"groups", "group", "sequence"} & {*given, *layout.columns}:
        return given
    names = [
        pair.group for pair in sources.create(given | {"groups": _WHOLE_NAME}, folder, data, where)
    ]
    if pattern := grouping.guess_pattern(names):
        return given | {"groups": pattern}
    whole = [pair.image for pair in pairs if isinstance(pair.image, Path)]
    if any(pair.split for pair in pairs) or len(whole) < len(pairs):
        return given
    try:
        stack = grouping.is_stack(
            names, lambda place: contents.thumbnail(whole[place], channels, decoding)
        )
    except decode.DecodeError:  # validate names it
        return given
    return given | {"blocks": grouping.BLOCKS} if stack else given
