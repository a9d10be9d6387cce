"""Names of classes, from whatever stands beside the images."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from maskmill.importing.file_facts import Value
from maskmill.settings.config import IGNORE
from maskmill.sources._names import class_name
from maskmill.system.errors import MaskmillError

LISTS = ("classes.txt", "labels.txt", "class_names.txt", "codes.txt", "obj.names", "names.txt")
_LABELMAP = ("labelmap.txt", "label_map.txt")
_IGNORED = ("ignore", "ignored", "void", "unlabelled", "unlabeled", "__ignore__")
_NAME_COLUMNS = ("name", "class", "label", "class_name")
_VALUE_COLUMNS = ("value", "id", "index", "train_id", "pixel value")
_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class ClassNames:
    """Names by value, or names in an order."""

    by_value: dict[Value, str] = field(default_factory=dict)
    in_order: list[str] = field(default_factory=list)
    path: Path | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return not self.by_value and not self.in_order


def find(files: Iterable[Path]) -> tuple[ClassNames, list[str]]:
    """The names that the first file of names gives, and what was passed by.

    Raises: MaskmillError where a file that is called like one cannot be read as one, or two say
        different things.
    """
    found: list[ClassNames] = []
    notes = []
    for path in sorted(files, key=lambda each: (len(each.parts), each)):
        try:
            if (names := read(path)) is not None:
                found.append(names)
        except MaskmillError as error:
            notes.append(f"{error}; passed by")
    if not found:
        return ClassNames(), notes
    first = found[0]
    others = [
        other
        for other in found[1:]
        if (other.by_value, other.in_order) != (first.by_value, first.in_order)
    ]
    notes += [f"{each.path}: other names than {first.path} has; passed by" for each in others]
    return first, notes


def read(path: Path) -> ClassNames | None:
    """The names in a file; None for a file of another kind.

    Raises: MaskmillError for a file that is called like one and holds something else.
    """
    name = path.name.lower()
    is_table = path.suffix.lower() == ".csv"
    known = name in (*LISTS, *_LABELMAP, "dataset.json") or is_table
    if not known or path.stat().st_size > _MAX_BYTES:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        if is_table:
            return None
        raise MaskmillError(f"{path}: not UTF-8: {error}; save it as UTF-8") from None
    if is_table:
        return _table(text, path)
    if name == "dataset.json":
        return _nnunet(text, path)
    return _labelmap(text, path) if name in _LABELMAP else _lines(text, path)


def _named(rows: Sequence[tuple[Value, str]], path: Path) -> ClassNames:
    named = {value: plain_name(name) for value, name in rows}
    if len(named) < len(rows):
        raise MaskmillError(f"{path}: names a value twice; each has one class")
    return ClassNames(by_value=named, path=path)


def plain_name(name: str) -> str:
    """A class's name as MLflow takes it, or `ignore`."""
    return IGNORE if name.strip().lower() in _IGNORED else class_name(name)


def _lines(text: str, path: Path) -> ClassNames:
    """Lines `NAME`, in the order of the values, or `VALUE NAME`."""
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    numbered = [re.fullmatch(r"(\d+)\s*[:,;\t ]\s*(\S.*)", line) for line in lines]
    if lines and all(numbered):
        return _named([(int(match[1]), match[2]) for match in numbered if match], path)
    if lines[:1] == ["__ignore__"]:  # LabelMe's -1, which stands before 0
        lines = lines[1:]
    if any(re.search(r"[\\/]|\.\w{3,4}$", line) for line in lines):
        raise MaskmillError(f"{path}: holds paths, not names of classes")
    return ClassNames(in_order=[plain_name(line) for line in lines], path=path)


def _table(text: str, path: Path) -> ClassNames | None:
    lines = [line for line in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in line)]
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    name = next((header.index(key) for key in _NAME_COLUMNS if key in header), None)
    value = next((header.index(key) for key in _VALUE_COLUMNS if key in header), None)
    rgb = [header.index(key) for key in ("r", "g", "b") if key in header]
    if name is None or (value is None and len(rgb) != 3):
        if path.stem.lower() in ("classes", "labels", "class_dict"):
            raise MaskmillError(
                f"{path}: no table of class names: its columns are {', '.join(header)}; needed are "
                "name, and value (or id), or r, g and b"
            )
        return None
    try:
        if len(rgb) == 3:
            rows: list[tuple[Value, str]] = [
                ("#" + bytes(int(line[i]) for i in rgb).hex(), line[name].strip())
                for line in lines[1:]
            ]
        else:
            assert value is not None
            rows = [(int(line[value]), line[name].strip()) for line in lines[1:]]
    except (ValueError, IndexError) as error:
        if path.stem.lower() not in ("classes", "labels", "class_dict"):
            return None
        raise MaskmillError(
            f"{path}: a line without a whole number from 0 to 255: {error}"
        ) from None
    return _named(rows, path)


def _labelmap(text: str, path: Path) -> ClassNames:
    """CVAT's lines `name:r,g,b:parts:actions`."""
    rows: list[tuple[Value, str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        match = re.match(r"(\d{1,3}),(\d{1,3}),(\d{1,3})", rest)
        if match is None or max(map(int, match.groups())) > 255:
            raise MaskmillError(f"{path}: a line without name:r,g,b: {line[:80]!r}")
        rows.append(("#" + bytes(map(int, match.groups())).hex(), name))
    return _named(rows, path)


def _nnunet(text: str, path: Path) -> ClassNames | None:
    """nnU-Net's `labels`: name -> value, or, of its first version, value -> name."""
    try:
        labels = json.loads(text)["labels"]
        pairs = [(str(a), b) for a, b in labels.items() if not isinstance(b, list)]
        turned = all(name.isdecimal() for name, _ in pairs)
        rows: list[tuple[Value, str]] = [
            (int(name), str(value)) if turned else (int(value), name) for name, value in pairs
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return _named(rows, path) if rows else None
