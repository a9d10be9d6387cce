"""COCO: annotations as JSON (polygons, or run lengths), from which the masks are drawn.

Lin et al., "Microsoft COCO: Common Objects in Context", 2014, arXiv:1405.0312; decoded by their own
pycocotools.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.settings.config import Data
from maskmill.sources import Pair, _files, _names
from maskmill.system.errors import MaskmillError


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
    crowds take part in nothing.
    Raises: MaskmillError for a bad file, naming the annotation.
    """
    where = "data/source.yaml: kind.annotations"
    if not annotations:
        raise MaskmillError(
            f"{where}: got {{}}; needed is one line `FILE.json: FOLDER_OF_ITS_IMAGES` at least"
        )
    if data.background is None or data.values is not None:
        raise MaskmillError(
            f"params.yaml: data.background {data.background!r}, data.values {data.values!r}; "
            "COCO leaves pixels without an object, and its masks are drawn as ids: name the class "
            "of those pixels, and set values: null"
        )
    found = [
        row
        for file, images in annotations.items()
        for row in _images(folder, file, images, data, where)
    ]
    found.sort(key=lambda row: _names.natural_sort_key(row[1]))
    names = [name for _, name, _, _ in found]
    twice = len(set(names)) < len(names)
    places = _names.group_names(names, groups, blocks, "data/source.yaml: kind")
    for (split, name, image, draw), (group, sequence, order) in zip(found, places, strict=True):
        identity = _names.pair_id(f"{split}/{name}" if twice else name)
        own = groups is None and blocks is None
        yield Pair(identity, image, draw, identity if own else group, order, sequence, split)


def read(path: Path) -> dict[str, Any]:
    """The annotations.

    Raises: MaskmillError when they have another form.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise MaskmillError(f"{path}: not readable as JSON: {error}") from None
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
    folder: Path, file: str, images: str, data: Data, where: str
) -> Iterator[tuple[str, str, Path, partial[np.ndarray]]]:
    path = _files.file_inside(folder, file, where)
    content = read(path)
    names = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
    ids = {
        key: data.classes.index(class_name(name))
        for key, name in names.items()
        if class_name(name) in data.classes
    }
    of_image = defaultdict(list)
    for annotation in content["annotations"]:
        if annotation.get("category_id") not in ids:
            category = annotation.get("category_id")
            raise MaskmillError(
                f"{path}: annotation {annotation.get('id')}: category {category!r} "
                f"({names.get(category)}) is none of data.classes in params.yaml, "
                f"{', '.join(data.classes)}; add it there"
            )
        of_image[annotation["image_id"]].append(annotation)
    known = set()
    for entry in content["images"]:
        known.add(entry["id"])
        image = _files.file_inside(
            folder / images, str(entry["file_name"]), f"{path}, image {entry['id']}"
        )
        size = _size(entry, path, data)
        draw = partial(_draw, of_image[entry["id"]], size, ids, data, path)
        name = image.relative_to(folder / images).with_suffix("").as_posix()
        yield _split(file), name, image, draw
    if strangers := sorted(map(str, of_image.keys() - known)):
        raise MaskmillError(
            f"{path}: annotations of images {', '.join(strangers[:5])}, which `images` does not "
            "hold"
        )


def class_name(category: str) -> str:
    """A category's name as a class name: what MLflow takes in the name of a metric."""
    kept = "".join(c if c.isalnum() or c in "_ .:-" else "_" for c in category.strip())
    return kept if kept[:1].isalnum() or kept[:1] == "_" else f"_{kept}"


def _split(file: str) -> str:
    said = [
        split for part in reversed(Path(file).parts) if (split := _names.split_of(Path(part).stem))
    ]
    return said[0] if said else ""


def _size(entry: dict[str, Any], path: Path, data: Data) -> tuple[int, int]:
    height, width = entry.get("height"), entry.get("width")
    limit = data.decoding.max_pixels
    if not (
        isinstance(height, int)
        and isinstance(width, int)
        and min(height, width) > 0
        and height * width <= limit
    ):
        raise MaskmillError(
            f"{path}: image {entry['id']}: height {height!r}, width {width!r}; "
            f"needed are whole numbers of at most {limit:,} px together (data.decoding.max_pixels "
            "in params.yaml)"
        )
    return height, width


def _draw(
    annotations: list[dict[str, Any]],
    size: tuple[int, int],
    ids: dict[Any, int],
    data: Data,
    path: Path,
) -> np.ndarray:
    """(height, width) uint8 class ids."""
    assert data.background is not None
    drawn = np.full(size, data.classes.index(data.background), np.uint8)
    for annotation in annotations:
        inside = _inside(annotation, size, f"{path}: annotation {annotation.get('id')}")
        drawn[inside] = (
            data.ignore_index if annotation.get("iscrowd") else ids[annotation["category_id"]]
        )
    return drawn


def _inside(annotation: dict[str, Any], size: tuple[int, int], where: str) -> np.ndarray:
    """(height, width) bool, true in the object."""
    from pycocotools import mask as runs

    shape = annotation.get("segmentation")
    if isinstance(shape, list):
        polygons = [_polygon(polygon, size, where) for polygon in shape]
        if not polygons:
            return np.zeros(size, bool)
        encoded = runs.merge(runs.frPyObjects(polygons, *size))
    elif isinstance(shape, dict):
        encoded = _runs(shape, size, where)
    else:
        raise MaskmillError(
            f"{where}: segmentation is {type(shape).__name__}; needed are polygons or run lengths"
        )
    return np.asarray(runs.decode(encoded), bool)


def _polygon(polygon: Any, size: tuple[int, int], where: str) -> list[float]:
    # pycocotools walks along every edge, so a vertex far away would cost memory without end
    reach = 2 * max(size)
    numbers = isinstance(polygon, list) and all(
        type(v) in (int, float) and isfinite(v) for v in polygon
    )
    if not numbers or len(polygon) < 6 or len(polygon) % 2 or max(map(abs, polygon)) > reach:
        raise MaskmillError(
            f"{where}: a polygon needs three or more points x, y, within {reach} px; "
            f"got {str(polygon)[:80]}"
        )
    return list(polygon)


def _runs(shape: dict[str, Any], size: tuple[int, int], where: str) -> Any:
    from pycocotools import mask as runs

    counts = shape.get("counts")
    if shape.get("size") != list(size):
        raise MaskmillError(
            f"{where}: run lengths of size {shape.get('size')}; the image is {list(size)}"
        )
    if isinstance(counts, str):
        counts = _unpacked(counts)
    lengths = (
        counts
        if isinstance(counts, list) and all(type(n) is int and n >= 0 for n in counts)
        else []
    )
    if sum(lengths) != size[0] * size[1]:  # pycocotools would fill the rest with what is in memory
        raise MaskmillError(f"{where}: run lengths that do not fill {size[0]} x {size[1]} px")
    return runs.frPyObjects({"size": list(size), "counts": lengths}, *size)


def _unpacked(text: str) -> list[int]:
    """The run lengths in COCO's compressed text.

    A character from 48 up holds 5 bits; from the fourth on the lengths are differences.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (code & 16) << (shift - 4)
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts if not shift else []
