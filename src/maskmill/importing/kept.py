"""Decide what stays in params.yaml when the same data are imported again.

The user may have changed it since.
"""

import filecmp
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maskmill.importing import meaning, palette, placing
from maskmill.importing.file_facts import Value
from maskmill.importing.meaning import MaskMeaning
from maskmill.importing.measure import FolderContents
from maskmill.settings import config
from maskmill.settings.config import IGNORE, Data, Decoding, Params
from maskmill.system.errors import MaskmillError

# in data/source.yaml: frozen, since data/splits.csv names the groups they make
_GROUPING = ("groups", "blocks")
_TOLD_APART = (*_GROUPING, "notice")  # of no effect on whether the data are those of before


def is_source(layout: Mapping[str, Any], folder: Path, params: Params) -> bool:
    """Tell whether data/source.yaml says `layout` already.

    data/source must hold files of `folder`, if it holds any.
    """
    where, target = Path(params.paths.source_config), Path(params.paths.source)
    try:
        before = config.read_yaml(where)
    except MaskmillError:  # not there or no YAML: it is written anew, and kept as .bak
        return False
    if not isinstance(before, Mapping) or _source_in_words(before) != _source_in_words(layout):
        return False
    there = placing.present_files(target)
    return not there or any(_is_same(path, folder / path.relative_to(target)) for path in there)


def kept_grouping(source_config: Path) -> dict[str, Any]:
    """How data/source.yaml groups the images: guessed by the import before, or changed since."""
    return {
        key: value for key, value in config.read_yaml(source_config).items() if key in _GROUPING
    }


def meaning_of(data: Data, found: Iterable[Value], background: str | None) -> MaskMeaning | None:
    """The meaning that the settings give, where the masks hold exactly the values that it knows."""
    if data.threshold is not None:
        return _with_background(data, background)
    table = _table(data)
    ignored = {value for value, name in table.items() if name == IGNORE}
    if set(found) - ignored != table.keys() - ignored:
        return None
    return _with_background(data, background)


def renamed_meaning(data: Data, guessed: MaskMeaning, background: str | None) -> MaskMeaning | None:
    """The meaning that the settings give, where it differs from the guess in names alone."""
    values = guessed.values and set(guessed.values)
    before = data.values and set(_table(data))
    same = len(data.classes) == len(guessed.classes) and values == before
    same = same and data.threshold == guessed.threshold
    return _with_background(data, background) if same else None


def names_are_asked(data: Data, names: Path | None, folder: Path, target: Path) -> bool:
    """Tell whether class names are to be read from a file.

    They are where the file is new since the import before, or nobody has named the classes yet.
    """
    if names is None:
        return False
    return not _is_same(names, target / names.relative_to(folder)) or meaning.are_numbered(
        data.classes
    )


def kept_settings(
    params: Params,
    found: FolderContents,
    meant: MaskMeaning,
    guessed: Mapping[str, Any],
    asked: Iterable[str],
) -> dict[str, Any]:
    """The settings of before, in place of those guesses that no option asked for."""
    data, before = params.data, {
        "data.title": params.data.title,
        "data.ignore_index": params.data.ignore_index,
        "augmentation.crop_px": params.augmentation.crop_px and list(params.augmentation.crop_px),
        "augmentation.preset": params.augmentation.preset,
        "augmentation.transforms": list(params.augmentation.transforms),
        "selection.minimum": params.selection.minimum,
        "tracking.model": params.tracking.model,
        "splits.given": params.splits.given and guessed["splits.given"],
    }  # fmt: skip
    if list(data.classes) == meant.classes and data.colours != palette.choose_colours(
        list(data.classes), data.background
    ):
        before["data.colours"] = data.colours
    if all(
        "/" not in metric or metric.partition("/")[2] in meant.classes
        for metric in params.gate.minimum
    ):
        before["gate.minimum"] = params.gate.minimum
    if found.images and not found.refused(data.in_channels, data.decoding):
        before["data.in_channels"] = data.in_channels
        before["data.decoding.bands"] = data.decoding.bands and list(data.decoding.bands)
    if span := data.decoding.value_range:
        before["data.decoding.value_range"] = list(span)
    return {**guessed, **{key: value for key, value in before.items() if key not in asked}}


def decoding_of(decoding: Decoding, settings: Mapping[str, Any]) -> Decoding:
    """How files are read once `kept_settings` are written."""
    bands, span = settings["data.decoding.bands"], settings["data.decoding.value_range"]
    return decoding.model_copy(
        update={
            "bands": bands and tuple(bands),
            "value_range": span and tuple(span),
            "mask_alpha": settings["data.decoding.mask_alpha"],
        }
    )


def _with_background(data: Data, wanted: str | None) -> MaskMeaning:
    classes = list(data.classes)
    background = data.background if wanted is None else meaning.choose_background(classes, wanted)
    values = dict(data.values) if data.values else None
    return MaskMeaning(classes, background, values, data.threshold, data.nearest_colour)


def _table(data: Data) -> dict[Value, str]:
    if data.values is None:
        return {**dict(enumerate(data.classes)), data.ignore_index: IGNORE}
    return {
        value.lower() if isinstance(value, str) else value: name
        for value, name in data.values.items()
    }


def _source_in_words(source: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key not in _TOLD_APART}


def _is_same(path: Path, other: Path) -> bool:
    return path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)
