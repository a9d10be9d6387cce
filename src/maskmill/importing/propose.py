"""All that an import will write, guessed and checked before anything is written."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskmill import sources
from maskmill.images import decode
from maskmill.importing import (
    class_names,
    grouping,
    kept,
    meaning,
    measure,
    palette,
    planned_settings,
    readable,
    recognise,
)
from maskmill.importing.class_names import ClassNames
from maskmill.importing.meaning import MaskMeaning
from maskmill.importing.measure import FolderContents
from maskmill.importing.plan import Plan, Wishes
from maskmill.settings import config, configure
from maskmill.settings.config import Data, Decoding, Params
from maskmill.sources import Pair, Recognised
from maskmill.system.errors import MaskmillError, few_of

_WHOLE_NAME = "(?P<group>.*)"
_OF_FOLDER = "(?P<group>.+)/"


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
    settings = planned_settings.planned_settings(folder, pairs, found, meant, wishes, params)
    if again:
        settings = planned_settings.settings_of_before(settings, found, meant, wishes, params)
    decoding = kept.decoding_of(data.decoding, settings)
    notes += readable.notes_on_images(found, settings, decoding)
    readable.check_readable(found, settings["data.in_channels"], decoding)
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
    listed = options["kind"] == "table" and any(pair.group != pair.id for pair in pairs)
    return bool(said) or listed or len({pair.group for pair in pairs}) < len(pairs)


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
