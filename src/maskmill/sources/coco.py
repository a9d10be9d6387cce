"""COCO: annotations as JSON (polygons, or run lengths), from which the masks are drawn.

Lin et al., "Microsoft COCO: Common Objects in Context", 2014, arXiv:1405.0312; decoded by their own
pycocotools.
"""

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.settings.config import Data
from maskmill.sources import (
    Pair,
    Recognised,
    _annotated,
    _documents,
    _drawing,
    _files,
    _lookup,
    _names,
    _packed,
)
from maskmill.sources._annotated import AnnotatedImage, Annotation, Shape
from maskmill.sources._drawing import Size
from maskmill.sources._names import class_name
from maskmill.system.errors import MaskmillError, few_of

__all__ = ["class_name", "coco", "read", "recognise"]

_KIND = "COCO"
_BOX_ALONE = "objects have no outline"
_SHOWN = 5


def coco(
    *,
    folder: Path,
    data: Data,
    annotations: dict[str, str],
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The images of one or more files of annotations, with masks of class ids.

    Of two annotations that overlap the later wins.

    `annotations` maps each JSON file to the folder of its images; where train, val or test stands
    in the JSON's path, that is the given split. Pixels of no object are data.background, those of
    crowds, and of boxes without an outline, take part in nothing.
    Raises: MaskmillError for a bad file, naming the annotation.
    """
    where = "data/source.yaml: kind.annotations"
    if not annotations:
        raise MaskmillError(
            f"{where}: got {{}}; needed is one line `FILE.json: FOLDER_OF_ITS_IMAGES` at least"
        )
    found: list[AnnotatedImage] = []
    for file, images in annotations.items():
        path = _files.file_inside(folder, file, where)
        found += _images(folder, path, images, read(path), data.decoding.max_pixels)
    if len({(image.split, image.name) for image in found}) < len(found):  # told by their folders
        below = [i.image.relative_to(folder).with_suffix("") for i in found]
        found = [replace(i, name=name.as_posix()) for i, name in zip(found, below, strict=True)]
    yield from _annotated.pairs(found, _KIND, data, groups, blocks)


def read(path: Path) -> dict[str, Any]:
    """The annotations. Raises: MaskmillError when they have another form."""
    found = _documents.read_json(path)
    for key, fields in (
        ("images", ("id", "file_name")),
        ("categories", ("id", "name")),
        ("annotations", ("image_id", "category_id")),
    ):
        listed = found.get(key) if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise MaskmillError(f"{path}: not COCO: no list `{key}`")
        for place, entry in enumerate(listed):
            if not isinstance(entry, dict) or any(
                not isinstance(entry.get(field), int | str) for field in fields
            ):
                raise MaskmillError(f"{path}: {key}[{place}]: needs {' and '.join(fields)}")
    assert isinstance(found, dict)
    return found


def _images(
    folder: Path, path: Path, images: str, content: dict[str, Any], max_pixels: int | None = None
) -> Iterator[AnnotatedImage]:
    names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
    split = _names.split_of_path(path.relative_to(folder))
    of_image = defaultdict(list)
    for annotation in content["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    known = set()
    for entry in content["images"]:
        known.add(entry["id"])
        where = f"{path}, image {entry['id']}"
        file = _lookup.portable(str(entry["file_name"]))
        image = _files.file_inside(folder / images, file, where)
        size = _size(entry, path, max_pixels)
        name = _annotated.name_of_path(image.relative_to(folder / images))
        parse = partial(_annotation, of_image[entry["id"]], size, names)
        yield AnnotatedImage(image, name, split, str(path), parse)
    if strangers := sorted(map(str, of_image.keys() - known)):
        raise MaskmillError(
            f"{path}: annotations of images {', '.join(strangers[:_SHOWN])}, which `images` "
            "does not hold"
        )


def _size(entry: dict[str, Any], path: Path, limit: int | None) -> Size:
    height: Any = entry.get("height")
    width: Any = entry.get("width")
    whole = type(height) is int and type(width) is int and min(height, width) > 0
    if not whole or (limit is not None and height * width > limit):
        most = "" if limit is None else f" of at most {limit:,} px together"
        raise MaskmillError(
            f"{path}: image {entry['id']}: height {height!r}, width {width!r}; needed are whole "
            f"numbers{most} (data.decoding.max_pixels in params.yaml)"
        )
    return height, width


def _annotation(annotations: list[dict[str, Any]], size: Size, names: dict[Any, str]) -> Annotation:
    shapes = [shape for entry in annotations for shape in _shapes(entry, size, names)]
    return Annotation(sorted(shapes, key=lambda shape: not shape.counted), size)  # boxes lie below


def _shapes(entry: dict[str, Any], size: Size, names: dict[Any, str]) -> Iterator[Shape]:
    """The outlines of one object as one shape, and each polygon that cannot be drawn as another."""
    place, shape = f"annotation {entry.get('id')}", entry.get("segmentation")
    category, crowd = entry["category_id"], bool(entry.get("iscrowd"))
    if category not in names:
        yield Shape(place, fault=f"category {category!r} is not in `categories`")
    elif shape in (None, [], {}, [[]]):
        yield Shape(place, inside=_box(entry, size), ignored=True, counted=_BOX_ALONE)
    elif isinstance(shape, list):
        faults = {place: _drawing.polygon_fault(p, size) for place, p in enumerate(shape)}
        yield from (Shape(place, fault=fault) for fault in faults.values() if fault)
        if good := [polygon for number, polygon in enumerate(shape) if not faults[number]]:
            yield Shape(place, names[category], partial(_drawing.polygons, good), ignored=crowd)
    elif fault := _runs_fault(shape, size):
        yield Shape(place, fault=fault)
    else:
        yield Shape(place, names[category], partial(_decoded, shape), ignored=crowd)


def _box(entry: dict[str, Any], size: Size) -> partial[np.ndarray] | None:
    """What draws the box [x, y, width, height] of an object, where it has one."""
    box: Any = entry.get("bbox")
    if _drawing.numbers_fault(box, 4, "", size):
        return None
    left, top, width, height = box
    return partial(_drawing.polygons, [_drawing.box(left, top, left + width, top + height)])


def _runs_fault(shape: Any, size: Size) -> str:
    if not isinstance(shape, dict):
        return f"segmentation is {type(shape).__name__}; needed are polygons or run lengths"
    if shape.get("size") != list(size):
        return f"run lengths of size {shape.get('size')}; the image is {list(size)}"
    return _drawing.runs_fault(_lengths(shape), size)


def _lengths(shape: dict[str, Any]) -> Any:
    counts = shape.get("counts")
    return _packed.lengths_of_text(counts) if isinstance(counts, str) else counts


def _decoded(shape: dict[str, Any], size: Size) -> np.ndarray:
    """(H, W) bool of run lengths, which go down the columns."""
    return _drawing.alternating(_lengths(shape), (size[1], size[0])).T


def recognise(folder: Path, files: Sequence[Path]) -> Recognised | None:
    """COCO's files of objects with their images; captions, keypoints and the like are not used.

    Raises: MaskmillError for objects without outlines, for images that are missing, and where two
    files annotate the same images.
    """
    unused: dict[str, list[Path]] = defaultdict(list)
    found = {}
    for path in files:
        content = _documents.json_with_keys(path, "images", "annotations")
        if not _is_coco(content):
            continue
        if why := _unused(content):
            unused[why].append(path)
        else:
            found[path] = read(path)
    if not found:
        return None
    folders = {path: _images_folder(path, found[path], folder, files) for path in found}
    chosen = _without_rivals(found, folders, unused)
    config = {
        path.relative_to(folder).as_posix(): folders[path].relative_to(folder).as_posix()
        for path in chosen
    }
    every = []
    for path, below in zip(chosen, config.values(), strict=True):
        images = list(_images(folder, path, below, found[path]))
        every += images
        if not _has_outlines(found[path]):
            _annotated.find(images, f"{path}: {_KIND}")  # says what there is instead
    findings = _annotated.find(every, f"{few_of(chosen, _SHOWN)}: {_KIND}")
    labels = _ordered_labels([e for p in chosen for e in found[p]["categories"]], findings.labels)
    classes, merged = _annotated.class_list(labels, str(chosen[0]))
    used = {image.image for image in every}
    if others := [path for path in _lookup.ImageFiles(folder, files).paths if path not in used]:
        unused["images that no annotations name"] += others
    told = ", ".join(f"{file} with the images in {below}" for file, below in config.items())
    settings, notes = {"kind": "coco", "annotations": config}, [*findings.notes(), *merged]
    return Recognised(settings, f"{_KIND}: {told}", chosen, classes, notes, dict(unused))


def _ordered_labels(entries: Sequence[dict[str, Any]], used: Container[str]) -> list[str]:
    """Names of categories in the order of their numbers, without those that only hold others."""
    named = [(str(e["id"]).zfill(9), str(e["name"]), e.get("supercategory")) for e in entries]
    above = {holds for _, name, holds in named if name != holds}
    ordered = [name for _, name, _ in sorted(named, key=lambda entry: entry[:2])]
    return [name for name in ordered if name in used or name not in above]


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    )


def _unused(content: dict[str, Any]) -> str:
    """Why a file of COCO's form says nothing of pixels; "" where it may."""
    keys = {key for entry in content["annotations"] if isinstance(entry, dict) for key in entry}
    if not content["annotations"]:
        return "images without annotations"
    if "caption" in keys:
        return "captions, no outlines"
    if "segments_info" in keys:
        return "panoptic segments, which are read from their PNG files"
    return "" if "categories" in content else "annotations without categories"


def _has_outlines(content: dict[str, Any]) -> bool:
    return any(entry.get("segmentation") for entry in content["annotations"])


def _images_folder(
    path: Path, content: dict[str, Any], folder: Path, files: Sequence[Path]
) -> Path:
    names = [str(entry["file_name"]) for entry in content["images"]]
    if outside := [name for name in names if not _files.is_below(_lookup.portable(name))]:
        raise MaskmillError(
            f"{path}: {outside[0]!a} is not a path below the folder of the images; write it "
            "relative to that folder"
        )
    return _lookup.images_folder(path, names, folder, files, _KIND)


def _without_rivals(
    found: dict[Path, dict[str, Any]], folders: dict[Path, Path], unused: dict[str, list[Path]]
) -> list[Path]:
    """The files that are used: of several for the same images `instances_*`, or the outlines.

    Raises: MaskmillError where neither chooses one.
    """

    def rank(path: Path) -> tuple[bool, bool]:
        return path.name.startswith("instances"), _has_outlines(found[path])

    annotated: dict[Path, Path] = {}  # image -> file of annotations
    chosen = []
    for path in sorted(sorted(found), key=rank, reverse=True):
        images = {folders[path] / str(entry["file_name"]) for entry in found[path]["images"]}
        rivals = sorted({annotated[image] for image in images if image in annotated})
        if not rivals:
            annotated |= dict.fromkeys(images, path)
            chosen.append(path)
        elif rank(rivals[0]) > rank(path):
            unused[f"other annotations of the images of {rivals[0].name}"].append(path)
        else:
            raise MaskmillError(
                f"{', '.join(str(p) for p in (*rivals, path))} annotate the same images, in "
                f"{folders[path]}; keep one, and move the others out of the folder"
            )
    return sorted(chosen)
