"""All that an import will write, guessed and checked before anything is written."""

import math
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from maskmill import sources
from maskmill.images import decode
from maskmill.importing import class_names, grouping, kept, meaning, measure, palette, recognise
from maskmill.importing.class_names import ClassNames
from maskmill.importing.file_facts import Value
from maskmill.importing.meaning import Asked, MaskMeaning
from maskmill.importing.measure import FolderContents
from maskmill.settings import config, configure
from maskmill.settings.config import SPLITS, Data, Decoding, Params
from maskmill.sources import Pair, Recognised
from maskmill.system.errors import MaskmillError, few_of

_WHOLE_PX = 384  # larger images are trained on crops
_CROP_PX = 256
_STRIDE_PX = 32
_GATE, _ABOVE = 0.5, 0.1  # and so much of what is missing to 1 above a score that takes no learning
_WHOLE_NAME = "(?P<group>.*)"
_OF_FOLDER = "(?P<group>.+)/"
_SHOWN = 5


@dataclass(frozen=True)
class Wishes:
    """What the user says instead of having it guessed."""

    classes: tuple[str, ...] = ()
    background: str | None = None  # a class, or "none"
    ignore: Value | None = None
    groups: str | None = None  # a pattern, a column of the list, "folder" or "none"
    title: str | None = None
    name: str | None = None
    kind: str = ""  # of source
    images: str = ""  # folder, or template of paths
    masks: str = ""
    values: Mapping[Value, str] = field(default_factory=dict)  # stored value or #rrggbb -> class
    threshold: int | None = None
    nearest: bool = False
    split: str = ""  # "given" or "new"
    bands: tuple[int, ...] = ()
    value_range: tuple[float, float] | None = None
    keep_unlabelled: bool = False

    @property
    def asked(self) -> Asked:
        """What of this is about the values of masks."""
        return Asked(
            self.classes, self.values, self.ignore, self.background, self.threshold, self.nearest
        )


@dataclass(frozen=True)
class Plan:
    """The source, the settings, and what they rest on."""

    layout: Recognised
    pairs: list[Pair]
    contents: FolderContents
    meaning: MaskMeaning
    settings: dict[str, Any]  # key of params.yaml -> value
    data: Data  # as the settings will have it
    params_yaml: str
    changes: list[str]  # of params.yaml
    again: bool  # the data are those of the import before, whose settings stay
    notes: list[str]  # what was doubtful

    @property
    def decoding(self) -> Decoding:
        """How images will be read."""
        return self.data.decoding

    @property
    def files(self) -> list[Path]:
        """All files of the source that are used."""
        used: set[Path] = {*self.layout.files}
        for pair in self.pairs:
            for side in (pair.image, pair.mask):
                used |= {side} if isinstance(side, Path) else {*getattr(side, "files", ())}
        return sorted(used)

    @property
    def unused(self) -> dict[str, list[Path]]:
        """Why -> files that lie there and are not used."""
        used = {*self.files}
        rest = {
            why: [path for path in paths if path not in used]
            for why, paths in self.layout.unused.items()
        }
        return {why: paths for why, paths in rest.items() if paths}


def make_plan(folder: Path, wishes: Wishes, params: Params) -> Plan:
    """Make the plan for the files of `folder`.

    Raises: MaskmillError for what cannot be used or guessed.
    """
    layout, files = recognise.recognise(
        folder, kind=wishes.kind, images=wishes.images, masks=wishes.masks
    )
    layout = _with_wishes(layout, wishes)
    before = kept.is_source(layout.config, folder, params)
    where = Path(params.paths.source_config)
    names, notes = _names(files, layout)
    data = _data_to_read(layout, wishes, params.data, before)
    pairs = sources.create(layout.config, folder, data, where)
    found = _measured(pairs, data.decoding, wishes.threshold, notes)
    if layout.classes is not None:
        meant = MaskMeaning(list(data.classes), data.background, None)
        again = before and data == params.data
    else:
        meant, again = _mask_meaning(folder, found, names, wishes, params, before)
        if names.path is not None:
            layout = replace(layout, files=[*layout.files, names.path])
    notes = [*layout.notes, *notes, *meant.notes]
    settings = _planned_settings(folder, pairs, found, meant, wishes, params)
    if again:
        settings = _settings_of_before(settings, found, meant, wishes, params)
    decoding = kept.decoding_of(data.decoding, settings)
    notes += _notes_on_images(found, settings, decoding)
    _check_readable(found, settings["data.in_channels"], decoding)
    layout, pairs, more = _grouped(layout, pairs, settings, folder, data, decoding, where,
                                   wishes, before)  # fmt: skip
    known = {pair.id for pair in pairs} | {pair.group for pair in pairs}
    settings["splits.allow_leaks"] = [name for name in params.splits.allow_leaks if name in known]
    text, made = configure.text_with_changes(settings)
    changes = configure.describe_changes(settings)
    return Plan(
        layout, pairs, found, meant, settings, made.data, text, changes, again, [*notes, *more]
    )


def groups_in_several_splits(pairs: Sequence[Pair]) -> dict[str, Counter[str]]:
    """Groups that stand in several of the given splits -> images in each."""
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        if pair.split:
            splits[pair.group][pair.split] += 1
    return {group: counts for group, counts in splits.items() if len(counts) > 1}


def _with_wishes(layout: Recognised, wishes: Wishes) -> Recognised:
    """The source's settings with the groups and the unlabelled images as the user wants them."""
    options = dict(layout.config)
    notes = list(layout.notes)
    if wishes.keep_unlabelled:
        if options["kind"] != "folder":
            raise MaskmillError(
                "--keep-unlabelled: is for images and masks in folders; here the source is "
                f"{options['kind']}: leave it out"
            )
        options["unpaired"] = "background"
    if options.get("unpaired") == "leave_out":
        notes.append(
            "images without a mask are left out; --keep-unlabelled takes them for background alone"
        )
    if wishes.groups == "folder":
        options["groups"] = _OF_FOLDER
    elif wishes.groups is not None and "(?P<group>" in wishes.groups:
        options["groups"] = wishes.groups
    elif wishes.groups not in (None, "none"):
        if options["kind"] != "table":
            raise MaskmillError(
                f"--groups: got {wishes.groups!r}; allowed are a regular expression with "
                "(?P<group>..), folder, none, or, of a list, one of its columns"
            )
        options["columns"] = {**options.get("columns", {}), "group": wishes.groups}
    return replace(layout, config=options, notes=notes)


def _names(files: Sequence[Path], layout: Recognised) -> tuple[ClassNames, list[str]]:
    """Names of classes beside the images, where the source does not name them itself."""
    if layout.classes is not None:
        return ClassNames(), []
    own = {*layout.files}
    return class_names.find(path for path in files if path not in own)


def _data_to_read(layout: Recognised, wishes: Wishes, data: Data, before: bool) -> Data:
    """Settings to read the source with; where it draws its masks itself they are of its classes.

    Raises: MaskmillError for options that such a source leaves no place for.
    """
    changes: dict[str, Any] = {"threshold": None, "nearest_colour": False}
    decoding = data.decoding.model_copy(
        update={
            **({"value_range": wishes.value_range} if wishes.value_range else {}),
            **({"bands": wishes.bands} if wishes.bands else {"bands": None}),
        }
    )
    if layout.classes is None:
        return data.model_copy(update={**changes, "values": None, "decoding": decoding})
    asked = wishes.asked
    if asked.classes or asked.values or asked.ignore is not None:
        raise MaskmillError(
            f"--classes, --values, --ignore: the source, {layout.told}, names the classes and "
            "draws the masks itself; leave them out"
        )
    drawn_already = {*layout.classes} == {*data.classes} and data.values is None
    if before and drawn_already and asked.background in (None, "none", data.background):
        return data.model_copy(update={"decoding": decoding})
    background, *others = layout.classes
    if asked.background not in (None, "none"):
        background = str(asked.background)
    classes = list(dict.fromkeys([background, *others]))
    drawn: dict[str, Any] = {
        "classes": classes,
        "background": background,
        "values": None,
        "threshold": wishes.threshold if len(classes) == 2 else None,
        "ignore_index": meaning.IGNORE_INDEX,
        "colours": palette.choose_colours(classes, background),
        "nearest_colour": False,
    }
    return config.Data.model_validate(data.model_dump() | drawn | {"decoding": decoding})


def _measured(
    pairs: Sequence[Pair], decoding: Decoding, threshold: int | None, notes: list[str]
) -> FolderContents:
    """What the files hold; palettes that differ are read by their colours."""
    found = measure.measure(pairs, decoding, threshold=threshold)
    if found.palettes_differ and threshold is None:
        notes.append(
            f"{len(found.palettes_differ)} masks have another palette than the first, so masks are "
            f"read by their colours: {few_of(found.palettes_differ, 3)}"
        )
        found = measure.measure(pairs, decoding, by_colour=True)
    if not found.values and not found.readable:
        listed = "\n".join(found.broken[:20]) or "there is none"
        raise MaskmillError(f"no mask could be read:\n{listed}")
    return found


def _mask_meaning(
    folder: Path,
    found: FolderContents,
    names: ClassNames,
    wishes: Wishes,
    params: Params,
    before: bool,
) -> tuple[MaskMeaning, bool]:
    """What the stored values mean, and whether they are those of the import before.

    The names of the import before then stay.
    """
    asked = (
        bool(wishes.classes or wishes.values or wishes.nearest)
        or wishes.ignore is not None
        or wishes.threshold is not None
        or kept.names_are_asked(params.data, names.path, folder, Path(params.paths.source))
    )
    if (
        before
        and not asked
        and (stays := kept.meaning_of(params.data, found.values, wishes.background))
    ):
        return stays, True
    guessed = meaning.guess_meaning(found, names, wishes.asked)
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


def _settings_of_before(
    settings: dict[str, Any],
    found: FolderContents,
    meant: MaskMeaning,
    wishes: Wishes,
    params: Params,
) -> dict[str, Any]:
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


def _notes_on_images(
    found: FolderContents, settings: Mapping[str, Any], decoding: Decoding
) -> list[str]:
    notes = []
    if found.span is not None and decoding.value_range is not None:
        low, high = decoding.value_range
        notes.append(
            f"images of more than 8 bits: {low:g} to {high:g} become 0 to 255; they hold "
            f"{found.span[0]:g} to {found.span[1]:g}; --range LOW,HIGH, or "
            "data.decoding.value_range, says otherwise"
        )
    if found.clear:
        notes.append(
            f"{len(found.clear)} masks are transparent in places, which count as 0 or black there "
            "(data.decoding.mask_alpha); --ignore '#000000' leaves them out"
        )
    if found.no_data:
        notes.append(
            f"{len(found.no_data)} masks hold negative values or NaN: no data, ignored: "
            f"{few_of(found.no_data, 3)}"
        )
    if found.turned:
        notes.append(
            f"{len(found.turned)} photographs are turned by their camera's flag, and their masks "
            "are drawn on what is shown"
        )
    if bands := settings["data.decoding.bands"]:
        notes.append(f"images have {len(bands)} bands, and all are taken; --bands 1,2,3 says which")
    return notes


def _check_readable(found: FolderContents, channels: int, decoding: Decoding) -> None:
    """Raises: MaskmillError where no pair could be trained on."""
    if found.holes:
        raise MaskmillError(
            f"{len(found.holes)} images hold NaN, which is no number: {few_of(found.holes, 3)}; "
            "fill the pixels in the files, or leave those images out"
        )
    if found.see_through:
        bands = max(header.bands for _, header in found.images if header.alpha)
        way = ",".join(str(band + 1) for band in range(bands))
        is_tiff = any(header.format == "TIFF" for _, header in found.images if header.alpha)
        of_bands = f"; --bands {way} takes it for a band like the others" if is_tiff else ""
        raise MaskmillError(
            f"{len(found.see_through)} images are not opaque: {few_of(found.see_through, 3)}. Their "
            "last band is called alpha: data.decoding.alpha in params.yaml says whether to drop it, "
            f"or to lay the image over white or black{of_bands}"
        )
    refused = found.refused(channels, decoding)
    total = len(found.images)
    if total and sum(map(len, refused.values())) >= total:
        told = "; ".join(f"{few_of(names, 2)}: {why}" for why, names in refused.items())
        raise MaskmillError(f"no image can be read as the settings are: {told}")
    if not found.readable:
        raise MaskmillError(
            "no pair can be read, so nothing is written:\n" + "\n".join(found.broken[:20])
        )
    if found.unlike and len(found.unlike) >= found.readable:
        raise MaskmillError(
            f"no mask has the size of its image: {few_of(found.unlike, 3)}; do they pair? --images "
            "and --masks name the folders"
        )


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


def _grouped(
    layout: Recognised,
    pairs: list[Pair],
    settings: Mapping[str, Any],
    folder: Path,
    data: Data,
    decoding: Decoding,
    where: Path,
    wishes: Wishes,
    before: bool,
) -> tuple[Recognised, list[Pair], list[str]]:
    """The source with `groups` or `blocks`, where names or images show what belongs together."""
    options = layout.config
    notes: list[str] = []
    if before and wishes.groups is None:
        options = options | kept.kept_grouping(where)
    elif wishes.groups is None and not _has_groups(options, pairs):
        channels = settings["data.in_channels"]
        guessed, notes = _guess_grouping(options, pairs, channels, folder, data, decoding, where)
        options = options | guessed
    stacks = {pair.group for pair in pairs}
    if options.get("pages") and len(stacks) in (1, len(pairs)) and "groups" not in options:
        options = options | {"blocks": grouping.BLOCKS}
        notes = [*notes, "one stack: it is cut into contiguous blocks, which are the groups"]
    if options != layout.config:
        layout = replace(layout, config=options)
        pairs = sources.create(options, folder, data, where)
    return layout, pairs, notes


def _has_groups(options: Mapping[str, Any], pairs: Sequence[Pair]) -> bool:
    """Whether the source says itself which images belong together."""
    said = {"groups", "blocks", "pages"} & {*options} or "group" in options.get("columns", {})
    return bool(said) or len({pair.group for pair in pairs}) < len(pairs)


def _guess_grouping(
    options: Mapping[str, Any],
    pairs: Sequence[Pair],
    channels: int,
    folder: Path,
    data: Data,
    decoding: Decoding,
    where: Path,
) -> tuple[dict[str, Any], list[str]]:
    whole_names = sources.create({**options, "groups": _WHOLE_NAME}, folder, data, where)
    names = [pair.group for pair in whole_names]
    guess = grouping.guess_groups(names)
    if guess.pattern:
        return {"groups": guess.pattern}, []
    notes = [guess.note] if guess.note else []
    whole = [pair.image for pair in pairs if isinstance(pair.image, Path)]
    if any(pair.split for pair in pairs) or len(whole) < len(pairs):
        return {}, notes
    try:
        stack = grouping.is_stack(
            names, lambda place: measure.thumbnail(whole[place], channels, decoding)
        )
    except decode.DecodeError:  # validate names it
        return {}, notes
    return ({"blocks": grouping.BLOCKS} if stack else {}), notes
