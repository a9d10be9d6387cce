"""Guess what mask values mean: class names, the table from value to class, and the ignored."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskmill.settings.config import IGNORE
from maskmill.sources.coco import class_name
from maskmill.system.errors import MaskmillError, few_of

IGNORE_INDEX = 255
MAX_CLASSES = 250
FILES = (
    "classes.txt",
    "labels.txt",
    "class_names.txt",
    "classes.csv",
    "labels.csv",
    "class_dict.csv",
)
_GUESSED = 40  # more values than this, and not 0, 1, 2, ..: they are no classes but blurred edges
_BACKGROUND = ("background", "bg", "_background_")
_UNNAMED = re.compile(r"class_\d+|background|foreground")
_IGNORED = ("ignore", "ignored", "void", "unlabelled", "unlabeled")

Value = int | str  # a stored number, or a colour as #rrggbb


@dataclass(frozen=True)
class MaskMeaning:
    """The settings `data.classes`, `data.background` and `data.values`."""

    classes: list[str]
    background: str | None
    values: dict[Value, str] | None


def guess_meaning(
    found: Mapping[Value, int],
    named: Mapping[Value, str] | Sequence[str],
    ignore: Value | None,
    background: str | None,
) -> MaskMeaning:
    """The meaning of the stored values in `found` (value -> pixels).

    `named` are the names of classes in the order of their values, or by value; empty: they are
    numbered. `background` is a class, "none", or None for a guess.

    Raises: MaskmillError when names and values do not fit.
    """
    if ignore is not None and ignore not in found:
        raise MaskmillError(f"--ignore: no mask holds {ignore}; they hold {_listed(found)}")
    if not isinstance(named, Mapping) and len(set(named)) < len(named):
        raise MaskmillError(
            f"--classes: {', '.join(named)} names a class twice; each value has its own"
        )
    values = sorted(value for value in found if value != ignore)
    table: dict[Value, str]
    unnamed = (
        IGNORE_INDEX not in named
        if isinstance(named, Mapping)
        else len(named) in (0, len(values) - 1)
    )
    if ignore is None and unnamed and _ids_and_void(values):
        ignore = IGNORE_INDEX
        values.remove(ignore)
    if isinstance(named, Mapping):
        if strangers := [value for value in values if value not in named]:
            raise MaskmillError(
                f"masks hold {_listed(strangers)}, which the file of class names lacks; add them,"
                " or give --ignore VALUE or --classes"
            )
        table = dict(named)
        if ignore is not None:
            table[ignore] = IGNORE
    else:
        table = _by_order(values, list(named), found, ignore)
    classes = list(dict.fromkeys(name for name in table.values() if name != IGNORE))
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise MaskmillError(
            f"masks hold {_listed(values)}: {len(classes)} classes; from 2 to {MAX_CLASSES} can be"
            " learnt. Are they masks, saved without loss? --classes A,B names the classes in order"
            " of their values"
        )
    return MaskMeaning(
        classes,
        choose_background(classes, background),
        None if _is_plain(table, classes) else table,
    )


def _by_order(
    values: list[Value], named: list[str], found: Mapping[Value, int], ignore: Value | None
) -> dict[Value, str]:
    numbers = [value for value in values if isinstance(value, int)]
    plain = len(numbers) == len(values)
    if not named and values == [0, IGNORE_INDEX]:
        named = ["background", "foreground"]
    if not named:
        contiguous = plain and numbers == list(range(len(numbers)))
        if not contiguous and len(values) > _GUESSED:
            raise MaskmillError(
                f"masks hold {len(values)} values, {_listed(values)}: too many for classes;"
                " smoothed edges, or JPEG, make such values: save the masks as PNG without"
                " smoothing, or name the classes with --classes"
            )
        named = [f"class_{place}" for place in range(len(values))]
    if len(named) == len(values):
        table = dict(zip(values, named, strict=True))
    elif plain and numbers and len(named) > len(values) and numbers[-1] < len(named):
        # a class that no mask holds
        table = {place: name for place, name in enumerate(named) if place != ignore}
    else:
        raise MaskmillError(
            f"--classes names {len(named)} ({', '.join(named)}); masks hold {len(values)} values:"
            f" {_listed({value: found[value] for value in values})}. Name as many, in that order;"
            " --ignore VALUE leaves one out"
        )
    return table if ignore is None else table | {ignore: IGNORE}


def _ids_and_void(values: Sequence[Value]) -> bool:
    """0, 1, .., k and 255, by which the pixels of no class are told since PASCAL VOC."""
    return len(values) > 2 and list(values) == [*range(len(values) - 1), IGNORE_INDEX]


def _is_plain(table: Mapping[Value, str], classes: list[str]) -> bool:
    """Whether the stored values are the ids, so that no table is needed."""
    ids = {value: name for value, name in table.items() if name != IGNORE}
    ignored = [value for value, name in table.items() if name == IGNORE]
    return ids == dict(enumerate(classes)) and ignored in ([], [IGNORE_INDEX])


def choose_background(classes: Sequence[str], wanted: str | None) -> str | None:
    """Choose the background, the class that no foreground score counts.

    It is the wanted one ("none" for none), or one that is called so.

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


def best_constant_class(found: Mapping[Value, int], meant: MaskMeaning) -> tuple[str, float]:
    """Return the foreground class that scores best when it is answered for every pixel.

    Its `dice_foreground` is returned, too: a class of the share p has a Dice of 2p / (1 + p) then,
    the others 0.
    """
    table: Mapping[Value, str] = meant.values or dict(enumerate(meant.classes))
    pixels = dict.fromkeys(meant.classes, 0)
    for value, name in table.items():
        if name != IGNORE:
            pixels[name] += found.get(value, 0)
    total = max(1, sum(pixels.values()))
    foreground = [name for name in meant.classes if name != meant.background]
    best = max(foreground, key=pixels.__getitem__)
    present = sum(pixels[name] > 0 for name in foreground)
    return best, 2 * pixels[best] / (total + pixels[best]) / max(1, present)


def _listed(found: Mapping[Value, int] | Sequence[Value]) -> str:
    total = sum(found.values()) if isinstance(found, Mapping) else 0
    parts = [
        f"{v} ({found[v] / total:.2%})" if isinstance(found, Mapping) and total else f"{v}"
        for v in sorted(found)
    ]
    return few_of(parts, 20)


def names_file(folder: Path) -> Path | None:
    """The file beside the images that names the classes, where there is one."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def read_names(path: Path) -> dict[Value, str]:
    """Read the table from value to class.

    Lines are `NAME` or `VALUE NAME`; a CSV table has names with a value or with r, g, b.

    Raises: MaskmillError when it is neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MaskmillError(f"{path}: not UTF-8: {error}; save it as UTF-8") from None
    rows = _table(text, path) if path.suffix == ".csv" else _lines(text)
    named = {
        value: IGNORE if name.lower() in _IGNORED else class_name(name) for value, name in rows
    }
    if len(named) < 2:
        raise MaskmillError(
            f"{path}: names {len(named)} classes; two or more are needed, a line each"
        )
    if len(named) < len(rows):
        raise MaskmillError(f"{path}: names a value twice; each has one class")
    return named


def _lines(text: str) -> list[tuple[Value, str]]:
    rows: list[tuple[Value, str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        numbered = re.fullmatch(r"(\d+)\s*[:,;\t ]\s*(\S.*)", line)
        rows.append((int(numbered[1]), numbered[2]) if numbered else (len(rows), line))
    return rows


def _table(text: str, path: Path) -> list[tuple[Value, str]]:
    lines = [line for line in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in line)]
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    name = next(
        (header.index(key) for key in ("name", "class", "label", "class_name") if key in header),
        None,
    )
    value = next(
        (header.index(key) for key in ("value", "id", "index", "train_id") if key in header), None
    )
    rgb = [header.index(key) for key in ("r", "g", "b") if key in header]
    if name is None or (value is None and len(rgb) != 3):
        raise MaskmillError(
            f"{path}: columns {', '.join(header)};"
            " needed are name, and value (or id), or r, g and b"
        )
    try:
        if len(rgb) == 3:
            return [
                ("#" + bytes(int(line[i]) for i in rgb).hex(), line[name].strip())
                for line in lines[1:]
            ]
        assert value is not None
        return [(int(line[value]), line[name].strip()) for line in lines[1:]]
    except (ValueError, IndexError) as error:
        raise MaskmillError(
            f"{path}: a line without a whole number from 0 to 255: {error}"
        ) from None
