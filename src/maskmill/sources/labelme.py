"""LabelMe: a JSON file for each image, with the outlines of its objects.

The format is that of the tool labelme (wkentaro/labelme), versions 3 to 5.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.images import decode
from maskmill.settings.config import STRICT, Data
from maskmill.sources import (
    Pair,
    Recognised,
    _annotated,
    _documents,
    _drawing,
    _files,
    _lookup,
)
from maskmill.sources._annotated import AnnotatedImage, Annotation, Shape
from maskmill.sources._drawing import Size
from maskmill.system.errors import MaskmillError

_KIND = "LabelMe"
_LINES = {"line": "lines", "linestrip": "linestrips", "point": "points", "points": "points"}
_LIST = "labels.txt"  # that labelme starts with: the order of the classes


def labelme(
    *, folder: Path, data: Data, groups: str | None = None, blocks: int | None = None
) -> Iterator[Pair]:
    """The images below `folder` that have a JSON file of labelme, with masks of class ids.

    Polygons, rectangles, circles and masks are drawn in their order, so that later ones win; lines
    and points are not. `_background_` is data.background, `__ignore__` takes part in nothing.
    Folders called train, val and test give the split.
    Raises: MaskmillError for a bad file, naming the shape, and for a JSON file without its image.
    """
    images = list(_images(folder, list(_files.regular_files(folder))))
    yield from _annotated.pairs(images, _KIND, data, groups, blocks)


def recognise(folder: Path, files: Sequence[Path]) -> Recognised | None:
    """JSON files of labelme with their images, which are found by imagePath or the file's name.

    Raises: MaskmillError where nothing is outlined, or an image is missing.
    """
    images = list(_images(folder, files))
    if not images:
        return None
    findings = _annotated.find(images, _KIND)
    sources = [Path(image.source) for image in images]
    lists = [path for path in files if path.name == _LIST and path.parent == folder]
    listed = [line.strip() for path in lists for line in _documents.read_text(path).splitlines()]
    labels = [label for label in listed if label] + sorted(findings.labels)
    classes, notes = _annotated.class_list(labels, str(folder))
    used = {image.image for image in images}
    unused = {}
    if others := [path for path in _lookup.ImageFiles(folder, files).paths if path not in used]:
        unused["images without a JSON file"] = others
    notes += findings.notes()
    if findings.empty:
        notes.append(f"images without a shape are background as a whole: {findings.empty}")
    told = f"{_KIND}: {len(sources)} JSON files with their images"
    return Recognised({"kind": "labelme"}, told, [*sources, *lists], classes, notes, unused)


def _images(folder: Path, files: Sequence[Path]) -> Iterator[AnnotatedImage]:
    known = _lookup.ImageFiles(folder, files)
    for path in files:
        content = _documents.json_with_keys(path, "shapes", "imagePath")
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            continue
        said = str(content.get("imagePath") or path.stem)
        asked = said if known.named(said, path.parent) else path.stem
        if not known.named(asked, path.parent):
            raise MaskmillError(
                f"{path}: its image {said!a} is nowhere below {folder}; put it beside the JSON file"
            )
        image = known.one(asked, str(path), path.parent)
        read = partial(_annotation, path, image)
        yield _annotated.annotated(image, folder, str(path), read)


def _annotation(path: Path, image: Path) -> Annotation:
    content = _documents.read_json(path)
    size = _size(content, path, image)
    return Annotation(
        [_shape(f"shape {place}", shape, size) for place, shape in enumerate(content["shapes"])],
        size,
    )


def _size(content: dict[str, Any], path: Path, image: Path) -> Size:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if height is None and width is None:
        found = decode.header(image, STRICT)
        size = (found.height, found.width)
        return size[::-1] if found.orientation >= 5 else size
    if not (type(height) is int and type(width) is int and min(height, width) > 0):
        raise MaskmillError(
            f"{path}: imageHeight {height!r}, imageWidth {width!r}; needed are whole numbers of "
            "pixels"
        )
    return height, width


def _shape(place: str, shape: Any, size: Size) -> Shape:
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"]:
        return Shape(place, fault="a shape needs a label")
    kind, points = shape.get("shape_type") or "polygon", _drawing.flat(shape.get("points"))
    label = shape["label"]
    if kind in _LINES:
        return Shape(place, counted=f"{_LINES[kind]} are not drawn")
    draw: Any
    match kind:
        case "polygon":
            fault, draw = _drawing.polygon_fault(points, size), partial(_drawing.polygons, [points])
        case "rectangle":
            fault, draw = _rectangle(points, size)
        case "circle":
            fault, draw = _circle(points, size)
        case "mask":
            fault, draw = _mask(points, shape.get("mask"), size)
        case _:
            return Shape(place, counted=f"shapes of the type {kind!a} are not drawn")
    return (
        Shape(place, fault=fault) if fault else Shape(place, label, draw, box=kind == "rectangle")
    )


def _rectangle(points: Any, size: Size) -> tuple[str, Any]:
    """Two corners, or all four."""
    corners = points
    if not _drawing.numbers_fault(points, 4, "", size):
        corners = _drawing.box(*points)
    return _drawing.polygon_fault(corners, size), partial(_drawing.polygons, [corners])


def _circle(points: Any, size: Size) -> tuple[str, Any]:
    """A centre, and a point of the rim."""
    if fault := _drawing.numbers_fault(points, 4, "a circle needs its centre and a point", size):
        return fault, None
    return "", partial(_drawing.disc, tuple(points[:2]), tuple(points[2:]))


def _mask(points: Any, encoded: Any, size: Size) -> tuple[str, Any]:
    """Two corners, and the pixels between them as a PNG in base64."""
    if fault := _drawing.numbers_fault(points, 4, "a mask needs two corners", size):
        return fault, None
    if not isinstance(encoded, str):
        return "a mask needs its pixels, a PNG in base64", None
    left, top = round(min(points[::2])), round(min(points[1::2]))
    return "", partial(_pixels, encoded, left, top)


def _pixels(encoded: str, left: int, top: int, size: Size) -> np.ndarray:
    """(H, W) bool of a PNG in base64 whose first pixel lies at left, top."""
    try:
        stored = decode.mask(base64.b64decode(encoded, validate=True), name="its pixels")
    except binascii.Error as error:
        raise ValueError(f"its pixels are not base64: {error}") from None
    if stored.ndim != 2 or stored.shape[0] > size[0] or stored.shape[1] > size[1]:
        raise ValueError(f"its pixels are of shape {stored.shape}; the image is {size}")
    return _drawing.patch(stored > 0, left, top, size)
