"""What the values in masks mean: class names, the table from value to class, what is ignored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maskmill.importing import conventions
from maskmill.importing.class_names import ClassNames
from maskmill.importing.file_facts import Value
from maskmill.importing.measure import FolderContents
from maskmill.settings.config import IGNORE
from maskmill.system.errors import MaskmillError, few_of

IGNORE_INDEX = conventions.VOID
MAX_CLASSES = 250
# more values than this, and not 0, 1, 2, ..: they are no classes but blurred edges
_GUESSED = 40
_BACKGROUND = ("background", "bg", "_background_")
_UNNAMED = re.compile(r"class_\d+|background|foreground|object")
_BLACK_AND_WHITE: list[Value] = ["#000000", "#ffffff"]


@dataclass(frozen=True)
class MaskMeaning:
    """The settings `data.classes`, `.background`, `.values`, `.threshold` and `.nearest_colour`."""

    classes: list[str]
    background: str | None
    values: dict[Value, str] | None
    threshold: int | None = None
    nearest_colour: bool = False
    notes: list[str] = field(default_factory=list)  # what was doubtful


@dataclass(frozen=True)
class Asked:
    """What the user says of the values."""

    classes: tuple[str, ...] = ()
    values: Mapping[Value, str] = field(default_factory=dict)
    ignore: Value | None = None
    background: str | None = None  # a class, or "none"
    threshold: int | None = None
    nearest: bool = False


def guess_meaning(found: FolderContents, names: ClassNames, asked: Asked) -> MaskMeaning:
    """The meaning of the stored values.

    Raises: MaskmillError when names and values do not fit, and for edges that were blurred.
    """
    if asked.threshold is not None:
        return _by_threshold(asked, names, asked.threshold)
    if asked.ignore is not None and asked.ignore not in found.values:
        raise MaskmillError(
            f"--ignore: no mask holds {asked.ignore}; they hold "
            f"{conventions.list_values(found.values)}"
        )
    if asked.values:
        return _by_table(found, dict(asked.values), asked)
    if len({*asked.classes}) < len(asked.classes):
        raise MaskmillError(
            f"--classes: {', '.join(asked.classes)} names a class twice; each value has its own"
        )
    if not asked.classes:
        conventions.check_blurred(found)
        first, second = _two_names(names) or ("background", "foreground")
        is_told = asked.ignore is not None or conventions.VOID in names.by_value
        if not is_told and conventions.are_two(found):
            told = _TWO_CONVENTIONS.format(*conventions.masks_of_conventions(found), second)
            return _finished({0: first, 1: second, 255: second}, asked, [told])
        if (names.is_empty or _two_names(names)) and conventions.is_numbered(found):
            classes = _two_names(names) or ["background", "object"]
            background = choose_background(classes, asked.background or classes[0])
            note = _NUMBERED.format(classes[1])
            return MaskMeaning(classes, background, None, 1, False, [note])
    return _by_names(found, names, asked)


def _two_names(names: ClassNames) -> list[str]:
    """The names of a file that gives two; else none."""
    named = names.in_order or list(names.by_value.values())
    return named if len(named) == 2 else []


_TWO_CONVENTIONS = (
    "{} masks hold 0 and 1, {} hold 0 and 255: two conventions for one thing, so 1 and 255 are "
    "both {}; --ignore 255, or --classes A,B,C, says otherwise"
)
_NUMBERED = (
    "masks hold 0, 1, .., k, and k differs from mask to mask: a number per object; every number "
    "above 0 is `{}` (data.threshold: 1); --classes A,B,.. where the numbers are classes"
)


def _by_threshold(asked: Asked, names: ClassNames, threshold: int) -> MaskMeaning:
    named = list(asked.classes) or names.in_order or list(names.by_value.values())
    if len(named) == 1:
        named = ["background", *named]
    if len(named) != 2:
        if asked.classes:
            raise MaskmillError(
                f"--threshold: divides values in two; --classes names {len(named)}: name two"
            )
        named = ["background", "foreground"]
    background = named[0] if asked.background is None else asked.background
    return MaskMeaning(named, choose_background(named, background), None, threshold)


def _by_table(found: FolderContents, table: dict[Value, str], asked: Asked) -> MaskMeaning:
    """The user's own table. Raises: MaskmillError where it leaves out what masks hold."""
    if asked.ignore is not None:
        table[asked.ignore] = IGNORE
    strangers = [value for value in found.values if value not in table]
    nearest = asked.nearest and any(isinstance(value, str) for value in table)
    if strangers and not nearest:
        listed = conventions.list_values({v: found.values[v] for v in strangers})
        raise MaskmillError(
            f"--values: masks hold {listed}, too; add them, or give --ignore VALUE; "
            "--nearest takes a colour for the nearest that is named"
        )
    if unseen := [value for value in table if value not in found.values]:
        raise MaskmillError(
            f"--values: no mask holds {few_of([str(v) for v in unseen], 5)}; they hold "
            f"{conventions.list_values(found.values)}"
        )
    made = _finished(table, asked, [])
    notes = [f"{len(strangers)} other colours count as the nearest named one"] if strangers else []
    return MaskMeaning(made.classes, made.background, table, None, bool(strangers), notes)


def _by_names(found: FolderContents, names: ClassNames, asked: Asked) -> MaskMeaning:
    values: list[Value] = sorted(v for v in found.values if v != asked.ignore)
    ignore = asked.ignore
    notes: list[str] = []
    in_order = list(asked.classes)
    table: dict[Value, str] = {}
    if not asked.classes and not names.is_empty:
        table, in_order, notes = _fit_names(values, names)
    free = IGNORE_INDEX not in table and len(in_order) in (0, len(values) - 1)
    if ignore is None and free and conventions.is_ids_and_void(values):
        ignore = IGNORE_INDEX
        values.remove(ignore)
    if table:
        if ignore is not None:
            table[ignore] = IGNORE
    else:
        table = _by_order(values, in_order, found.values, ignore)
    return _finished(table, asked, notes)


def grey_of(value: Value) -> Value:
    """The number of a grey colour: 255 of #ffffff; others as they are."""
    if isinstance(value, str) and value[1:3] == value[3:5] == value[5:7]:
        return int(value[1:3], 16)
    return value


def _fit_names(
    values: Sequence[Value], names: ClassNames
) -> tuple[dict[Value, str], list[str], list[str]]:
    """(names by value, names in the order of the values, notes) of a file of names.

    Raises: MaskmillError where it names most of the values and not all.
    """
    if names.in_order:
        return _fit_list(values, names)
    table = names.by_value
    if all(isinstance(value, int) for value in values):
        table = {grey_of(value): name for value, name in table.items()}
    strangers = [v for v in values if v not in table and v != IGNORE_INDEX]
    if not strangers:
        return dict(table), [], []
    if len(strangers) * 2 < len(values):
        raise MaskmillError(
            f"masks hold {few_of([str(v) for v in strangers], 8)}, which the file of class names, "
            f"{names.path}, lacks; add them, or give --ignore VALUE or --classes"
        )
    told = f"{names.path} names other values than masks hold"
    if len(names.by_value) == len(values) and isinstance(values[0], int):
        by_order = dict(zip(values, names.by_value.values(), strict=True))
        return by_order, [], [f"{told}: its names are taken in its order"]
    return {}, [], [f"{told}; it is passed by: --classes A,B,.. names them"]


def _fit_list(
    values: Sequence[Value], names: ClassNames
) -> tuple[dict[Value, str], list[str], list[str]]:
    """The same of names in an order: each is of its place, or of the values in their order."""
    listed = names.in_order
    known = all(isinstance(v, int) and (v < len(listed) or v == IGNORE_INDEX) for v in values)
    if known and (len(values) > 2 or IGNORE_INDEX not in values):
        return dict(enumerate(listed)), [], []
    if len(listed) == len(values):
        return {}, listed, []
    told = f"{names.path} names {len(listed)} classes, masks hold {len(values)} values"
    if len(listed) == len(values) - 1 and values[0] in (0, "#000000"):
        return {}, ["background", *listed], [f"{told}: the first value is the background"]
    shown = few_of([str(v) for v in values], 6)
    return {}, [], [f"{told} ({shown}); it is passed by: --classes A,B,.. names them"]


def _finished(table: dict[Value, str], asked: Asked, notes: list[str]) -> MaskMeaning:
    classes = list(dict.fromkeys(name for name in table.values() if name != IGNORE))
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise MaskmillError(
            f"masks hold {few_of([str(v) for v in table], 20)}: {len(classes)} classes; from 2 to "
            f"{MAX_CLASSES} can be learnt. Are they masks, saved without loss? --classes A,B names "
            "the classes in order of their values"
        )
    background = choose_background(classes, asked.background)
    return MaskMeaning(
        classes, background, None if _is_plain(table, classes) else table, notes=notes
    )


def _by_order(
    values: list[Value], named: list[str], found: Mapping[Value, int], ignore: Value | None
) -> dict[Value, str]:
    numbers = [value for value in values if isinstance(value, int)]
    plain = len(numbers) == len(values)
    if not named and values in ([0, 1], [0, IGNORE_INDEX], _BLACK_AND_WHITE):
        named = ["background", "foreground"]
    if not named:
        contiguous = plain and numbers == list(range(len(numbers)))
        if not contiguous and len(values) > _GUESSED:
            listed = conventions.list_values(dict.fromkeys(values, 0))
            raise MaskmillError(
                f"masks hold {len(values)} values, {listed}: too many for classes; smoothed "
                "edges, or JPEG, make such values: save the masks as PNG without smoothing, name "
                "the classes with --classes, or divide the values in two: --threshold VALUE"
            )
        named = conventions.numbered_names(len(values))
    if len(named) == len(values):
        table = dict(zip(values, named, strict=True))
    elif plain and numbers and len(named) > len(values) and numbers[-1] < len(named):
        # a class that no mask holds
        table = {place: name for place, name in enumerate(named) if place != ignore}
    else:
        listed = conventions.list_values({value: found[value] for value in values})
        raise MaskmillError(
            f"--classes names {len(named)} ({', '.join(named)}); masks hold {len(values)} values: "
            f"{listed}. Name as many, in that order; "
            "--ignore VALUE leaves one out"
        )
    return table if ignore is None else table | {ignore: IGNORE}


def _is_plain(table: Mapping[Value, str], classes: list[str]) -> bool:
    """Whether the stored values are the ids, so that no table is needed."""
    ids = {value: name for value, name in table.items() if name != IGNORE}
    ignored = [value for value, name in table.items() if name == IGNORE]
    return ids == dict(enumerate(classes)) and ignored in ([], [IGNORE_INDEX])


def choose_background(classes: Sequence[str], wanted: str | None) -> str | None:
    """The class that no foreground score counts: the wanted one, or one that is called so.

    The wanted one can be "none" for none.
    Raises: MaskmillError where the wanted one is no class.
    """
    if wanted == "none":
        return None
    if wanted is None:
        return next((name for name in classes if name.lower() in _BACKGROUND), None)
    if wanted not in classes:
        raise MaskmillError(
            f"--background: {wanted!r} is none of the classes {', '.join(classes)}, nor `none`"
        )
    return wanted


def are_numbered(classes: Sequence[str]) -> bool:
    """Whether nobody has named the classes yet."""
    return all(map(_UNNAMED.fullmatch, classes))


def pixels_of_classes(found: Mapping[Value, int], meant: MaskMeaning) -> dict[str, int]:
    """Class -> its pixels."""
    pixels = dict.fromkeys(meant.classes, 0)
    for value, count in found.items():
        if meant.threshold is not None:
            name: str | None = meant.classes[int(value) >= meant.threshold]
        else:
            name = (meant.values or dict(enumerate(meant.classes))).get(value)
        if name in pixels:
            pixels[name] += count
    return pixels


def best_constant_class(found: Mapping[Value, int], meant: MaskMeaning) -> tuple[str, float]:
    """The foreground class that scores best when it is answered for every pixel, and its score.

    Its score is its `dice_foreground`: a class of the share p has a Dice of 2p / (1 + p) then,
    the others 0.
    """
    pixels = pixels_of_classes(found, meant)
    total = max(1, sum(pixels.values()))
    foreground = [name for name in meant.classes if name != meant.background]
    best = max(foreground, key=pixels.__getitem__)
    present = sum(pixels[name] > 0 for name in foreground)
    return best, 2 * pixels[best] / (total + pixels[best]) / max(1, present)
