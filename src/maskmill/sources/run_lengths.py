"""Run lengths in a CSV, as competitions of Kaggle give masks: ImageId, ClassId, EncodedPixels.

`EncodedPixels` holds pairs of a first pixel, from 1, and a number of pixels, down the columns.
"""

import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from maskmill.settings.config import Data
from maskmill.sources import Pair, Recognised, _annotated, _documents, _files, _names
from maskmill.sources._annotated import AnnotatedImage, Annotation, Shape
from maskmill.sources._drawing import Size
from maskmill.sources._lookup import ImageFiles
from maskmill.system.errors import MaskmillError, few_of

_KIND = "run lengths"
_RUNS = ("encodedpixels", "encoded_pixels", "rle_mask", "rle", "run_lengths", "segmentation")
_IMAGES = ("imageid", "image_id", "img", "image", "filename", "file_name", "id")
_CLASSES = ("classid", "class_id", "class", "label", "category")
_BOTH = ("imageid_classid", "image_classid", "image_label", "imageid_label", "image_class")
_EMPTY = ("", "-1", "nan", "none")
_FOREGROUND = "foreground"  # where no column tells classes apart
_SEPARATORS = (",", ";", "\t")
_HEAD_BYTES = 10_000
_MAX_PIXEL = 2**40
_SHOWN = 5

Order = Literal["columns", "rows"]


def run_lengths(
    *,
    folder: Path,
    data: Data,
    file: str = "train.csv",
    order: Order = "columns",
    names: dict[int | str, str] | None = None,
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The images of the list `file`, with masks of class ids; later lines win.

    `order` says whether pixels are counted down the columns or along the rows. `names` maps a
    ClassId to its class; otherwise a number N is class_N, and a list without classes has the class
    foreground. Images without a line, in a folder of which others have one, are background.
    Raises: MaskmillError for a bad list, naming the line, and for an image that is missing.
    """
    path = _files.file_inside(folder, file, "data/source.yaml: kind.file")
    known = ImageFiles(folder, _files.regular_files(folder))
    images = _images(_read(path), known, order, names or {})
    yield from _annotated.pairs(images, _KIND, data, groups, blocks)


def recognise(folder: Path, files: Sequence[Path]) -> Recognised | None:
    """A CSV with columns of images and run lengths; a sample of a submission is none.

    Raises: MaskmillError where its images are missing, or there are several such lists.
    """
    unused: dict[str, list[Path]] = defaultdict(list)
    lists = []
    for path in files:
        if path.suffix.lower() in (".csv", ".tsv") and _has_columns(path):
            if "submission" in path.name.lower():
                unused["a form for predictions, no truth"].append(path)
            else:
                lists.append(path)
    if not lists:
        return None
    if len(lists) > 1:
        raise MaskmillError(
            f"{folder}: several lists of run lengths: {few_of(lists, _SHOWN)}; keep one, and move "
            "the others out of the folder"
        )
    table, known = _read(lists[0]), ImageFiles(folder, files)
    images = _images(table, known, "columns", {})
    findings = _annotated.find(images, f"{table.path}: {_KIND}")
    ordered = sorted(findings.labels, key=_names.natural_sort_key)
    classes, notes = _annotated.class_list(ordered, str(table.path))
    used = {image.image for image in images}
    if others := [path for path in known.paths if path not in used]:
        unused["images in a folder of which no line names one"] += others
    notes += [*findings.notes(), *_doubts(table, images, ordered)]
    settings = {"kind": "run_lengths", "file": table.path.relative_to(folder).as_posix()}
    told = f"run lengths of {len(table.lines)} images in {settings['file']}"
    return Recognised(settings, told, [table.path], classes, notes, dict(unused))


def _doubts(table: "_Table", images: Sequence[AnnotatedImage], labels: Sequence[str]) -> list[str]:
    told = [
        "run lengths are read down the columns, from pixel 1, as Kaggle's; `order: rows` in "
        "data/source.yaml reads along the rows"
    ]
    if without := len(images) - len(table.lines):
        told.append(f"images without a line are taken for background as a whole: {without}")
    if any(label.startswith("class_") for label in labels):
        told.append(
            f"classes have numbers alone ({few_of(labels, _SHOWN)}): `names: {{1: NAME}}` in "
            "data/source.yaml gives them names, with those in data.classes and data.colours of "
            "params.yaml"
        )
    return told


@dataclass(frozen=True)
class _Line:
    number: int  # in the file
    label: str  # ClassId, or ""
    runs: str


@dataclass(frozen=True)
class _Table:
    path: Path
    lines: dict[str, list[_Line]]  # by image


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns in small letters, and what stands between them."""
    with path.open("rb") as file:
        first = file.readline(_HEAD_BYTES).decode("utf-8-sig", errors="replace")
    separator = max(_SEPARATORS, key=first.count)
    return [name.strip().strip('"').lower() for name in first.split(separator)], separator


def _column(columns: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _has_columns(path: Path) -> bool:
    columns, _ = _header(path)
    image = _column(columns, _BOTH) or _column(columns, _IMAGES)
    return bool(_column(columns, _RUNS) and image)


def _read(path: Path) -> _Table:
    """The lines of each image. Raises: MaskmillError where it is no such list."""
    columns, separator = _header(path)
    runs, both = _column(columns, _RUNS), _column(columns, _BOTH)
    image, kind = both or _column(columns, _IMAGES), _column(columns, _CLASSES)
    if runs is None or image is None:
        raise MaskmillError(
            f"{path}: columns {', '.join(columns)}; needed are ImageId and EncodedPixels, allowed "
            "besides ClassId"
        )
    text = io.StringIO(_documents.read_text(path))
    try:
        rows = pd.read_csv(text, sep=separator, dtype=str, keep_default_na=False, index_col=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise MaskmillError(f"{path}: not a table: {error}") from None
    rows.columns = columns
    lines: dict[str, list[_Line]] = defaultdict(list)
    for number, row in enumerate(rows.to_dict("records"), start=2):
        name, label = row[image].strip(), row[kind].strip() if kind else ""
        if both:
            name, _, label = name.rpartition("_")
        lines[name].append(_Line(number, label, row[runs].strip()))
    return _Table(path, dict(lines))


def _images(
    table: _Table, known: ImageFiles, order: Order, names: dict[int | str, str]
) -> list[AnnotatedImage]:
    listed: dict[Path, list[_Line]] = {}
    for name, lines in table.lines.items():
        where = f"{table.path}, line {lines[0].number}"
        listed.setdefault(known.one(name, where), []).extend(lines)
    folders = {path.parent for path in listed}
    for path in known.paths:
        if path.parent in folders:
            listed.setdefault(path, [])
    made, classes = [], {str(key): name for key, name in names.items()}
    for image, lines in listed.items():
        read = partial(_annotation, lines, order, classes)
        made.append(_annotated.annotated(image, known.folder, str(table.path), read))
    return made


def _annotation(lines: list[_Line], order: Order, names: dict[str, str]) -> Annotation:
    drawn = (line for line in lines if line.runs.lower() not in _EMPTY)
    return Annotation([_shape(line, order, names) for line in drawn])


def _shape(line: _Line, order: Order, names: dict[str, str]) -> Shape:
    place = f"line {line.number}"
    label = names.get(line.label) or (
        f"class_{line.label}" if line.label.isdecimal() else line.label
    )
    try:
        numbers = list(map(int, line.runs.split()))
    except ValueError:
        return Shape(place, fault=f"run lengths are whole numbers; got {line.runs[:80]!a}")
    if len(numbers) % 2 or min(numbers) < 1 or max(numbers) > _MAX_PIXEL:
        return Shape(
            place,
            fault="run lengths are pairs of a first pixel, from 1, and how many; got "
            f"{line.runs[:80]!a}",
        )
    return Shape(place, label or _FOREGROUND, partial(_filled, numbers, order))


def _filled(numbers: list[int], order: Order, size: Size) -> np.ndarray:
    """(H, W) bool. Raises: ValueError for runs that leave the image."""
    pixels = size[0] * size[1]
    starts = np.array(numbers[::2], np.int64) - 1
    ends = starts + np.array(numbers[1::2], np.int64)
    if ends.max() > pixels:
        raise ValueError(
            f"pixel {ends.max():,} is outside of the image of {size[1]} x {size[0]} px; bring back "
            "the image of which the run lengths are"
        )
    steps = np.zeros(pixels + 1, np.int32)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends, -1)
    flat = np.cumsum(steps[:-1]) > 0
    return flat.reshape(size) if order == "rows" else flat.reshape(size[::-1]).T
