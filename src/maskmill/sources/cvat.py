"""CVAT for images 1.1: an XML file of the shapes of all images.

The format is described at docs.cvat.ai, "XML annotation format", version 1.1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np

from maskmill.settings.config import Data
from maskmill.sources import Pair, Recognised, _annotated, _documents, _drawing, _files, _names
from maskmill.sources._annotated import AnnotatedImage, Annotation, Shape
from maskmill.sources._drawing import Size
from maskmill.sources._lookup import ImageFiles
from maskmill.system.errors import MaskmillError, few_of

_KIND = "CVAT"
_DRAWN = ("polygon", "box", "ellipse", "mask")
_COUNTED = {
    "polyline": "polylines are not drawn",
    "points": "points are not drawn",
    "cuboid": "cuboids are not drawn",
    "skeleton": "skeletons are not drawn",
    "tag": "tags say nothing of pixels",
}
_MAX_DEPTH = 32  # of elements in one another; CVAT has 7
_HEAD_BYTES = 65_536  # in which the outermost element stands
_SHOWN = 5


def cvat(
    *,
    folder: Path,
    data: Data,
    annotations: list[str],
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The images that the XML files `annotations` name, with masks of class ids.

    Polygons, boxes, ellipses and masks are drawn in the order of z_order, later ones over earlier
    ones; polylines and points are not. The split is that of the subset, else that of the folders.
    Raises: MaskmillError for a bad file, naming the shape, and for an image that is missing.
    """
    where = "data/source.yaml: kind.annotations"
    if not annotations:
        raise MaskmillError(f"{where}: got []; needed is one FILE.xml at least")
    known = ImageFiles(folder, _files.regular_files(folder))
    paths = [_files.file_inside(folder, file, where) for file in annotations]
    images = [image for path in paths for image in _images(_parse(path), known)]
    yield from _annotated.pairs(images, _KIND, data, groups, blocks)


def recognise(folder: Path, files: Sequence[Path]) -> Recognised | None:
    """XML files of CVAT with the images that they name.

    Raises: MaskmillError where nothing is outlined, an image is missing, or it is of a video.
    """
    found = [_parse(path) for path in files if _is_cvat(path)]
    if not found:
        return None
    known = ImageFiles(folder, files)
    images = [image for document in found for image in _images(document, known)]
    findings = _annotated.find(images, _KIND)
    named = [label for document in found for label in document.labels]
    labels = list(dict.fromkeys([*named, *sorted(findings.labels)]))
    paths = [document.path for document in found]
    classes, notes = _annotated.class_list(labels, str(paths[0]))
    notes += findings.notes()
    if findings.empty:
        notes.append(f"images without a shape are background as a whole: {findings.empty}")
    used = {image.image for image in images}
    others = [path for path in known.paths if path not in used]
    config = {
        "kind": "cvat",
        "annotations": [path.relative_to(folder).as_posix() for path in paths],
    }
    told = f"{_KIND} for images: {len(images)} images in {few_of(config['annotations'], _SHOWN)}"
    unused = {"images that no annotations name": others} if others else {}
    return Recognised(config, told, paths, classes, notes, unused)


@dataclass
class _Image:
    attributes: dict[str, str]
    shapes: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # element, attributes


@dataclass
class _Document:
    """What is used of an XML file; called handlers of expat fill it."""

    path: Path
    images: list[_Image] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)  # as the task lists them
    inside: list[str] = field(default_factory=list)  # the elements that are open
    text: str = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        parents = self.inside
        if len(parents) >= _MAX_DEPTH:
            raise self.error(f"elements more than {_MAX_DEPTH} deep in one another")
        if not parents and tag != "annotations":
            raise self.error(f"not CVAT: its outermost element is {tag!a}, not 'annotations'")
        if tag == "track":
            raise self.error("CVAT for video; export the task as `CVAT for images 1.1`")
        if parents == ["annotations"] and tag == "image":
            self.images.append(_Image(attributes))
        elif parents == ["annotations", "image"]:
            self.images[-1].shapes.append((tag, attributes))
        parents.append(tag)
        self.text = ""

    def end(self, tag: str) -> None:
        if self.inside[-3:] == ["labels", "label", "name"]:
            self.labels.append(self.text.strip())
        elif self.inside[-3:] == ["labels", "label", "type"] and self.text.strip() in _COUNTED:
            self.labels.pop()  # no pixel is of it
        self.inside.pop()

    def characters(self, text: str) -> None:
        if self.inside[-2:-1] == ["label"]:
            self.text += text

    def doctype(self, *_: Any) -> None:
        raise self.error(
            "holds a document type or entities, which CVAT never writes; export it anew"
        )

    def error(self, what: str) -> MaskmillError:
        return MaskmillError(f"{self.path}: {what}")


def _is_cvat(path: Path) -> bool:
    if path.suffix.lower() != ".xml":
        return False
    with path.open("rb") as file:
        return b"<annotations" in file.read(_HEAD_BYTES)


def _parse(path: Path) -> _Document:
    """What the file holds. Raises: MaskmillError where it is not CVAT's, or holds entities."""
    found = _Document(path)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = found.start, found.end
    parser.CharacterDataHandler = found.characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = found.doctype
    try:
        parser.Parse(_documents.read_bytes(path), True)
    except expat.ExpatError as error:
        raise MaskmillError(f"{path}: not readable as XML: {error}") from None
    if not found.images:
        raise found.error("names no image")
    return found


def _images(document: _Document, known: ImageFiles) -> Iterator[AnnotatedImage]:
    for entry in document.images:
        said, name = entry.attributes, entry.attributes.get("name", "")
        subset, where = said.get("subset", ""), f"{document.path}: image {said.get('id')}"
        image = known.one(f"{subset}/{name}" if subset else name, where)
        read = partial(_annotation, entry, _size(said, where))
        yield _annotated.annotated(image, known.folder, where, read, _names.split_of(subset))


def _size(said: dict[str, str], where: str) -> Size | None:
    height, width = said.get("height"), said.get("width")
    if height is None and width is None:
        return None
    if not (height and width and height.isdecimal() and width.isdecimal()):
        raise MaskmillError(
            f"{where}: height {height!r}, width {width!r}; needed are whole numbers"
        )
    return int(height), int(width)


def _annotation(entry: _Image, size: Size | None) -> Annotation:
    placed = [(f"{tag} {n}", tag, said) for n, (tag, said) in enumerate(entry.shapes, start=1)]
    placed.sort(key=lambda shape: _z_order(shape[2]))
    return Annotation([_shape(*shape, size) for shape in placed], size)


def _z_order(said: dict[str, str]) -> int:
    try:
        return int(said.get("z_order", 0))
    except ValueError:
        return 0


def _shape(place: str, tag: str, said: dict[str, str], size: Size | None) -> Shape:
    if tag not in _DRAWN:
        return Shape(place, counted=_COUNTED.get(tag, f"elements {tag!a} are not drawn"))
    label = said.get("label", "")
    if not label:
        return Shape(place, fault="a shape needs a label")
    shape: Any = {"polygon": _polygon, "box": _box, "ellipse": _ellipse, "mask": _mask}[tag]
    try:
        fault, draw = shape(said, size or _UNKNOWN)
    except (KeyError, ValueError) as error:
        missing = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        return Shape(place, fault=f"its numbers cannot be read: {missing}")
    return Shape(place, fault=fault) if fault else Shape(place, label, draw, box=tag == "box")


_UNKNOWN = (16_384, 16_384)  # where the file does not say the size, which is then the image's own


def _numbers(said: dict[str, str], *names: str) -> list[float]:
    return [float(said[name]) for name in names]


def _degrees(said: dict[str, str]) -> float:
    degrees = float(said.get("rotation", 0))
    if not math.isfinite(degrees):
        raise ValueError(f"rotation {degrees}")
    return degrees


def _polygon(said: dict[str, str], size: Size) -> tuple[str, Any]:
    pairs = [pair.split(",") for pair in said["points"].split(";")]
    points = [float(number) for pair in pairs for number in pair]
    fault = _drawing.polygon_fault(points if all(len(p) == 2 for p in pairs) else [], size)
    return fault, partial(_drawing.polygons, [points])


def _box(said: dict[str, str], size: Size) -> tuple[str, Any]:
    numbers = _numbers(said, "xtl", "ytl", "xbr", "ybr")
    if fault := _drawing.numbers_fault(numbers, 4, "a box needs two corners", size):
        return fault, None
    left, top, right, bottom = numbers
    middle, degrees = ((left + right) / 2, (top + bottom) / 2), _degrees(said)
    corners = _drawing.turned(_drawing.box(*numbers), middle, degrees)
    return _drawing.polygon_fault(corners, size), partial(_drawing.polygons, [corners])


def _ellipse(said: dict[str, str], size: Size) -> tuple[str, Any]:
    numbers = [*_numbers(said, "cx", "cy", "rx", "ry"), _degrees(said)]
    needed = "an ellipse needs a centre and two radii above 0"
    if fault := _drawing.numbers_fault(numbers[:4], 4, needed, size):
        return fault, None
    x, y, width, height, degrees = numbers
    if min(width, height) <= 0:
        return f"{needed}; got {width:g} and {height:g}", None
    return "", partial(_drawing.ellipse, (x, y), (width, height), degrees)


def _mask(said: dict[str, str], size: Size) -> tuple[str, Any]:
    """Run lengths along the rows of a box, outside first."""
    left, top, width, height = (int(said[name]) for name in ("left", "top", "width", "height"))
    lengths = [int(number) for number in said["rle"].split(",")]
    inside = left >= 0 and top >= 0 and left + width <= size[1] and top + height <= size[0]
    if not inside or min(width, height) < 1:
        return f"a mask of {width} x {height} px at {left}, {top} leaves the image", None
    fault = _drawing.runs_fault(lengths, (height, width))
    return fault, partial(_patch, lengths, (height, width), left, top)


def _patch(lengths: list[int], inner: Size, left: int, top: int, size: Size) -> np.ndarray:
    """(H, W) bool of run lengths in a box whose first pixel lies at left, top."""
    return _drawing.patch(_drawing.alternating(lengths, inner), left, top, size)
