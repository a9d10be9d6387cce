"""YOLO segmentation: a text file for each image, a class number and a polygon a line.

The format is that of Ultralytics: `names` in data.yaml, and lines `CLASS X Y X Y ..` whose
coordinates are shares of the image's width and height.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from maskmill.settings import config
from maskmill.settings.config import Data
from maskmill.sources import Pair, Recognised, _annotated, _documents, _drawing, _files
from maskmill.sources._annotated import AnnotatedImage, Annotation, Shape
from maskmill.sources._drawing import Size
from maskmill.sources._lookup import ImageFiles, portable
from maskmill.system.errors import MaskmillError

_KIND = "YOLO boxes"  # what is said where no line is a polygon
_LISTS = ("classes.txt", "obj.names")
_LINE = re.compile(r"\d+(\.0*)?(\s+[-+.\deE]+){4,}\s*")
_FAR = 2  # a share of the image's side; points farther outside were not meant
_MAX_BYTES = 1_000_000  # of data.yaml


def yolo(
    *,
    folder: Path,
    data: Data,
    names: str = "data.yaml",
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The images below `folder` that have labels, with masks of class ids; later lines win.

    `names` is the file of the class names: data.yaml, or a list. A label file stands in `labels`
    as its image does in `images`, or beside it. Images without a label file are background where
    others of their folder have one. The split is that of data.yaml, else that of the folders.
    Raises: MaskmillError for a bad file, naming the line, and for boxes without outlines.
    """
    path = _files.file_inside(folder, names, "data/source.yaml: kind.names")
    found = _find(folder, list(_files.regular_files(folder)), path)
    yield from _annotated.pairs(found.images, _KIND, data, groups, blocks)


def recognise(folder: Path, files: Sequence[Path]) -> Recognised | None:
    """Label files of YOLO with their images, and the file that names the classes.

    Raises: MaskmillError for boxes or keypoints without outlines, and where no file names the
    classes.
    """
    likely = [path for path in files if _is_label(path, folder)]
    described = _names_file(files) if likely else None
    if described is None:
        if named := [path for path in likely if "labels" in path.relative_to(folder).parts]:
            raise MaskmillError(
                f"{named[0]}: a label of YOLO, whose class numbers no file names; put data.yaml "
                f"with `names: [A, B]` into {folder}, or classes.txt with a name a line"
            )
        return None
    found = _find(folder, files, described)
    if not any(found.labels.values()):
        return None
    findings = _annotated.find(found.images, _KIND)
    classes, notes = _annotated.class_list(_class_names(described).values(), str(described))
    notes += findings.notes()
    if findings.empty:
        notes.append(f"images without a label are background as a whole: {findings.empty}")
    labels = [path for path in found.labels.values() if path]
    told = f"YOLO segmentation: {len(labels)} label files, names in {described.name}"
    settings = {"kind": "yolo", "names": described.relative_to(folder).as_posix()}
    used = [described, *found.lists, *labels]
    return Recognised(settings, told, used, classes, notes, found.unused)


@dataclass(frozen=True)
class _Found:
    images: list[AnnotatedImage]
    labels: dict[Path, Path | None]  # image -> its label file; None: it is background
    lists: list[Path]  # of images, one for a split
    unused: dict[str, list[Path]]


def _find(folder: Path, files: Sequence[Path], described: Path) -> _Found:
    known = ImageFiles(folder, files)
    names = _class_names(described)
    said = config.read_yaml(described) if _is_yaml(described) else {}
    unused = defaultdict(list)
    labels: dict[Path, Path | None] = {}
    for path in files:
        if path != described and _is_label(path, folder):
            if (image := _image_of(path, known)) is None:
                unused["labels without an image"].append(path)
            else:
                labels[image] = path
    labelled = {path.parent for path in labels}
    for path in known.paths:
        if path.parent in labelled:
            labels.setdefault(path, None)
        else:
            unused["images in a folder without labels"].append(path)
    splits, lists = _described_splits(folder, files, said, known)
    images = []
    for image, label in labels.items():
        read, split = partial(_annotation, label, names, described), splits.get(image, "")
        images.append(_annotated.annotated(image, folder, str(label or image), read, split))
    return _Found(images, labels, lists, dict(unused))


def _names_file(files: Sequence[Path]) -> Path | None:
    """data.yaml, or a list of names where labels stand; that which lies highest."""
    ordered = sorted(files, key=lambda path: (len(path.parts), path.name != "data.yaml", str(path)))
    for path in ordered:
        if _is_yaml(path) and path.stat().st_size <= _MAX_BYTES and b"names" in path.read_bytes():
            found = config.read_yaml(path)
            if isinstance(found, dict) and "names" in found:
                return path
    return next((path for path in ordered if path.name in _LISTS), None)


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml")


def _class_names(path: Path) -> dict[int, str]:
    """Number -> name. Raises: MaskmillError where the file does not name the classes."""
    if not _is_yaml(path):
        lines = [line.strip() for line in _documents.read_text(path).splitlines()]
        return dict(enumerate(filter(None, lines)))
    found = config.read_yaml(path)
    said = found.get("names") if isinstance(found, dict) else None
    if "kpt_shape" in (found or ()):
        raise MaskmillError(
            f"{path}: YOLO keypoints without outlines (kpt_shape); export objects with polygons"
        )
    names = dict(enumerate(said)) if isinstance(said, list) else said
    if not isinstance(names, dict) or not all(
        type(number) is int and isinstance(name, str | int) for number, name in names.items()
    ):
        raise MaskmillError(
            f"{path}: names: got {str(said)[:80]}; needed is a list, [cat, dog], or numbers with "
            "names, {0: cat, 1: dog}"
        )
    return {number: str(name) for number, name in sorted(names.items())}


def _is_label(path: Path, folder: Path) -> bool:
    """Whether the first line of a text file is one of labels; an empty file must be in `labels`."""
    if path.suffix.lower() != ".txt":
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline(10_000)
    if not first.strip():
        return "labels" in path.relative_to(folder).parts
    return _LINE.match(first) is not None


def _image_of(label: Path, known: ImageFiles) -> Path | None:
    """In `images` as the label is in `labels`, or beside it, or the one of that name."""
    parts = list(label.parent.relative_to(known.folder).parts)
    if "labels" in parts:
        parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
    found = known.named(label.stem, known.folder.joinpath(*parts))
    return found[0] if len(found) == 1 else None


def _described_splits(
    folder: Path, files: Sequence[Path], said: Any, known: ImageFiles
) -> tuple[dict[Path, str], list[Path]]:
    """Image -> its split by data.yaml, which names folders or lists of images; and those lists."""
    splits: dict[Path, set[str]] = defaultdict(set)
    lists = []
    for split in config.SPLITS:
        value = said.get(split) if isinstance(said, dict) else None
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str):
                continue
            if name.endswith(".txt"):
                listed = [path for path in files if path.name == PurePosixPath(portable(name)).name]
                lists += listed[:1]
                named = _listed_images(listed[0], known) if listed else []
            else:
                named = _images_below(name, folder, known)
            for path in named:
                splits[path].add(split)
    return {path: one.pop() for path, one in splits.items() if len(one) == 1}, lists


def _listed_images(path: Path, known: ImageFiles) -> list[Path]:
    lines = map(str.strip, _documents.read_text(path).splitlines())
    return [image for line in lines if line for image in known.named(line)]


def _images_below(name: str, folder: Path, known: ImageFiles) -> list[Path]:
    """The images in the folder `name`, which may be written from anywhere: ../train/images."""
    parts = [part for part in PurePosixPath(portable(name)).parts if part not in (".", "..", "/")]
    inside = f"/{'/'.join(parts)}/"
    return [
        path
        for path in known.paths
        if parts and inside in f"/{path.relative_to(folder).as_posix()}"
    ]


def _annotation(label: Path | None, names: dict[int, str], described: Path) -> Annotation:
    text = _documents.read_text(label) if label else ""
    lines = [(f"line {n}", line.split()) for n, line in enumerate(text.splitlines(), start=1)]
    shapes = [_shape(place, words, names, described) for place, words in lines if words]
    return Annotation(sorted(shapes, key=lambda shape: not shape.counted))  # boxes lie below


def _shape(place: str, words: list[str], names: dict[int, str], described: Path) -> Shape:
    try:
        number, *shares = map(float, words)
    except ValueError:
        return Shape(place, fault=f"needed are numbers; got {' '.join(words)[:80]!a}")
    if number not in names:
        return Shape(place, fault=f"class {words[0]} is not named in {described.name}")
    if not all(-_FAR <= share <= _FAR for share in shares):
        return Shape(place, fault=f"coordinates are shares from 0 to 1; got {' '.join(words)[:80]}")
    if len(shares) == 4:
        x, y, width, height = shares
        corners = _drawing.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return Shape(place, "", partial(_scaled, corners), ignored=True, counted="lines are boxes")
    if len(shares) < 6 or len(shares) % 2:
        return Shape(
            place, fault=f"a polygon needs three or more points x, y; got {len(shares)} numbers"
        )
    return Shape(place, names[int(number)], partial(_scaled, shares))


def _scaled(shares: list[float], size: Size) -> np.ndarray:
    """(H, W) bool inside of a polygon of shares of the sides."""
    points = [share * size[1 - place % 2] for place, share in enumerate(shares)]
    return _drawing.polygons([points], size)
