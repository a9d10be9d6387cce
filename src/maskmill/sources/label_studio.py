"""Label Studio: its export as JSON, with brushes, polygons, rectangles and ellipses.

The format is described at labelstud.io/guide/export.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from maskmill.settings.config import Data
from maskmill.sources import (
    Pair,
    Recognised,
    _annotated,
    _documents,
    _drawing,
    _files,
    _packed,
)
from maskmill.sources._annotated import AnnotatedImage, Annotation, Shape
from maskmill.sources._drawing import Size
from maskmill.sources._lookup import ImageFiles
from maskmill.system.errors import MaskmillError, few_of

_KIND = "Label Studio"
_PNG = re.compile(r"task-\d+-annotation-\d+-by-.*\.png")
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")  # the hash that an upload puts before a name
_SHOWN = 5


def label_studio(
    *,
    folder: Path,
    data: Data,
    annotations: str,
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The images of the export `annotations` (JSON or JSON-MIN), with masks of class ids.

    Later regions win. Of several annotations of one task the last is taken, or the one that is
    marked as ground truth. Folders called train, val and test give the split.
    Raises: MaskmillError for a bad file, naming task and region, and for an image that is missing.
    """
    path = _files.file_inside(folder, annotations, "data/source.yaml: kind.annotations")
    tasks = _tasks(path)
    if not tasks:
        raise MaskmillError(f"{path}: not Label Studio: no list of tasks with regions of images")
    images = _exported(path, tasks, ImageFiles(folder, _files.regular_files(folder))).images
    yield from _annotated.pairs(images, _KIND, data, groups, blocks)


def recognise(folder: Path, files: Sequence[Path]) -> Recognised | None:
    """An export as JSON with its images; the same brushes as PNG are not used.

    Raises: MaskmillError where nothing is outlined, an image is missing, or there are several
    exports.
    """
    found = {path: tasks for path in files if (tasks := _tasks(path))}
    if len(found) > 1:
        raise MaskmillError(
            f"{folder}: several exports of Label Studio: {few_of(list(found), _SHOWN)}; keep one, "
            "and move the others out of the folder"
        )
    if not found:
        return None
    (path, tasks), pngs = found.popitem(), [file for file in files if _PNG.match(file.name)]
    known = ImageFiles(folder, [file for file in files if file not in set(pngs)])
    export = _exported(path, tasks, known)
    findings = _annotated.find(export.images, f"{path}: {_KIND}")
    classes, notes = _annotated.class_list(sorted(findings.labels), str(path))
    notes += findings.notes()
    if export.several:
        notes.append(
            "of several annotations of a task the last is taken, or the one marked as ground "
            f"truth: {few_of(export.several, _SHOWN)}"
        )
    if findings.empty:
        notes.append(f"images without a region are background as a whole: {findings.empty}")
    used = {image.image for image in export.images}
    others = [file for file in known.paths if file not in used]
    unused = {"images without an annotation": others} if others else {}
    unused |= {f"brushes as PNG, which {path.name} holds, too": pngs} if pngs else {}
    settings = {"kind": "label_studio", "annotations": path.relative_to(folder).as_posix()}
    told = f"{_KIND}: {len(export.images)} images in {settings['annotations']}"
    return Recognised(settings, told, [path], classes, notes, unused)


@dataclass(frozen=True)
class _Task:
    place: str  # "task 3"
    image: str  # as the export names it
    regions: list[dict[str, Any]]
    several: bool  # annotations, of which this is one


@dataclass(frozen=True)
class _Export:
    images: list[AnnotatedImage]
    several: list[str]  # tasks


def _tasks(path: Path) -> list[_Task]:
    """The tasks of an export that somebody has annotated; none where the file is no such export."""
    content = _documents.json_with_keys(path, "original_width")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        return []
    return [task for number, entry in enumerate(content, start=1) if (task := _task(entry, number))]


def _task(entry: dict[str, Any], number: int) -> _Task | None:
    place = f"task {entry.get('id', number)}"
    if "annotations" not in entry and "data" not in entry:  # JSON-MIN: a list of regions by control
        listed = [value for value in entry.values() if isinstance(value, list)]
        regions = [{"value": r} | r for value in listed for r in value if isinstance(r, dict)]
        return _Task(place, _image_name(entry), regions, False) if regions else None
    done = [
        made
        for made in entry.get("annotations") or ()
        if isinstance(made, dict)
        and isinstance(made.get("result"), list)
        and not made.get("was_cancelled")
    ]
    if not done:
        return None
    chosen = [made for made in done if made.get("ground_truth")] or done
    regions = [region for region in chosen[-1]["result"] if isinstance(region, dict)]
    said = entry.get("data")
    return _Task(place, _image_name(said if isinstance(said, dict) else {}), regions, len(done) > 1)


def _image_name(said: dict[str, Any]) -> str:
    """The path of the image in an address: of an upload, of a local file, of a bucket."""
    for key in ("image", "img", *said):
        value = said.get(key)
        if isinstance(value, str):
            parts = urlsplit(value)
            name = (parse_qs(parts.query).get("d") or [unquote(parts.path)])[0]
            if PurePosixPath(name.replace("\\", "/")).suffix.lower() in _files.SUFFIXES:
                return name
    return ""


def _exported(path: Path, tasks: Sequence[_Task], known: ImageFiles) -> _Export:
    images = []
    for task in tasks:
        where = f"{path}: {task.place}"
        if not task.image:
            raise MaskmillError(f"{where}: names no image file; delete the task, or export it anew")
        image = _image_of(task.image, known, where)
        read = partial(_annotation, task.regions)
        images.append(_annotated.annotated(image, known.folder, where, read))
    return _Export(images, [task.place for task in tasks if task.several])


def _image_of(name: str, known: ImageFiles, where: str) -> Path:
    """The image of that name, or of the name before it was uploaded, or as it was uploaded."""
    if known.named(name):
        return known.one(name, where)
    plain = PurePosixPath(name.replace("\\", "/")).name
    if (uploaded := _UPLOADED.fullmatch(plain)) and known.named(uploaded[1]):
        return known.one(uploaded[1], where)
    hashed = [
        path for path in known.paths if (m := _UPLOADED.fullmatch(path.name)) and m[1] == plain
    ]
    return hashed[0] if len(hashed) == 1 else known.one(name, where)


def _annotation(regions: Sequence[dict[str, Any]]) -> Annotation:
    sizes = [size for region in regions if (size := _size(region))]
    labelled = {region.get("id") for region in regions if _labels(region) is not None}
    shapes = []
    for number, region in enumerate(regions, start=1):
        twin = _labels(region) is None and region.get("id") in labelled
        if not twin and _is_drawn(region):
            shapes.append(_region(f"region {region.get('id', number)}", region, sizes))
    return Annotation(shapes, sizes[0] if sizes else None)


def _size(region: dict[str, Any]) -> Size | None:
    height, width = region.get("original_height"), region.get("original_width")
    if type(height) is int and type(width) is int and min(height, width) > 0:
        return height, width
    return None


def _value(region: dict[str, Any]) -> dict[str, Any]:
    value = region.get("value")
    return value if isinstance(value, dict) else {}


def _labels(region: dict[str, Any]) -> list[Any] | None:
    listed = (value for key, value in _value(region).items() if key.endswith("labels"))
    return next((value for value in listed if isinstance(value, list)), None)


def _is_drawn(region: dict[str, Any]) -> bool:
    """Whether a result is a place in the image, and no choice, text or relation."""
    return bool({"rle", "points", "x"} & _value(region).keys())


def _region(place: str, region: dict[str, Any], sizes: Sequence[Size]) -> Shape:
    value, labels, size = _value(region), _labels(region), _size(region)
    if labels is None:
        return Shape(place, counted="regions without a label are not drawn")
    if len(labels) != 1 or not isinstance(labels[0], str) or not labels[0]:
        return Shape(place, fault=f"one label is needed; got {str(labels)[:80]}")
    if size is None or size != sizes[0]:
        return Shape(place, fault="original_width and original_height are not those of one image")
    if region.get("image_rotation"):
        turned = region["image_rotation"]
        return Shape(place, fault=f"the image was turned by {turned} degrees while annotating")
    draw: Any
    box = False
    if "rle" in value:
        fault, draw = _packed.fault(value["rle"], size), partial(_packed.unpack, value["rle"])
    elif "points" in value:
        fault, draw = _polygon(value["points"], size)
    elif "radiusX" in value:
        fault, draw = _ellipse(value, size)
    elif "height" in value:
        (fault, draw), box = _rectangle(value, size), True
    else:
        return Shape(place, counted="points are not drawn")
    return Shape(place, fault=fault) if fault else Shape(place, labels[0], draw, box=box)


def _in_pixels(percents: Any, size: Size) -> Any:
    """Percents of width and height in turn as pixels; what are no numbers as it is."""
    if not isinstance(percents, list) or not set(map(type, percents)) <= {int, float}:
        return percents
    return [share * size[1 - place % 2] / 100 for place, share in enumerate(percents)]


def _polygon(points: Any, size: Size) -> tuple[str, Any]:
    pixels = _in_pixels(_drawing.flat(points), size)
    return _drawing.polygon_fault(pixels, size), partial(_drawing.polygons, [pixels])


def _rectangle(value: dict[str, Any], size: Size) -> tuple[str, Any]:
    """A corner, width and height; it is turned clockwise about the corner."""
    numbers = _in_pixels([value.get(key) for key in ("x", "y", "width", "height")], size)
    if fault := _drawing.numbers_fault(numbers, 4, "a rectangle needs x, y, width, height", size):
        return fault, None
    x, y, width, height = numbers
    corners = _drawing.box(x, y, x + width, y + height)
    corners = _drawing.turned(corners, (x, y), _degrees(value))
    return _drawing.polygon_fault(corners, size), partial(_drawing.polygons, [corners])


def _ellipse(value: dict[str, Any], size: Size) -> tuple[str, Any]:
    numbers = _in_pixels([value.get(key) for key in ("x", "y", "radiusX", "radiusY")], size)
    needed, degrees = "an ellipse needs x, y, radii above 0, and a rotation", _degrees(value)
    fault = _drawing.numbers_fault(numbers, 4, needed, size)
    if fault or min(numbers[2:]) <= 0 or math.isnan(degrees):
        return fault or needed, None
    x, y, width, height = numbers
    return "", partial(_drawing.ellipse, (x, y), (width, height), degrees)


def _degrees(value: dict[str, Any]) -> float:
    turned = value.get("rotation") or 0
    return turned if type(turned) in (int, float) and math.isfinite(turned) else math.nan
