"""Outlines, brushes and run lengths as annotation tools export them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from tests.strangers.pictures import SIZE, Drawn, Scene, save, scene, times_255, write

CAT = (8, 8, 32, 24)  # x, y of the first pixel, and of the first beyond: even, for all formats
DOG = (36, 20, 56, 40)
Changed = Callable[[dict[str, Any]], None]


def labelme(top: Path) -> Drawn:
    """A JSON file beside each photograph."""
    drawn = _photographs(top, "p{:02d}.jpg")
    for name, made in drawn.items():
        shapes = [
            {"label": label, "points": _corners(box), "shape_type": "polygon", "flags": {}}
            for label, box in _boxes(made)
        ]
        content = {
            "version": "5.0.1", "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None,
            "imageHeight": SIZE[0], "imageWidth": SIZE[1],
        }  # fmt: skip
        write(top / f"{name}.json", json.dumps(content))
    return drawn


def coco_as_downloaded(top: Path) -> Drawn:
    """train2017 and val2017, with instances, captions and key points of each."""
    drawn: Drawn = {}
    for split, count, first in (("train2017", 8, 0), ("val2017", 4, 40)):
        drawn |= _coco(top, split, count, first)
        instances = (top / f"annotations/instances_{split}.json").read_text()
        write(top / f"annotations/person_keypoints_{split}.json", instances)
    captions = {"images": [], "annotations": [{"id": 1, "caption": "x"}]}
    write(top / "annotations/captions_train2017.json", json.dumps(captions))
    return drawn


def coco_boxes(top: Path) -> Drawn:
    """Objects with empty outlines."""
    return _coco(top, change=lambda annotation: annotation.update(segmentation=[]))


def coco_without_outlines(top: Path) -> Drawn:
    """Objects without the key of outlines."""
    return _coco(top, change=lambda annotation: annotation.pop("segmentation"))


def coco_with_a_line(top: Path) -> Drawn:
    """One polygon of two points among the others."""

    def change(annotation: dict[str, Any]) -> None:
        if annotation["id"] == 4:
            annotation["segmentation"].append([5, 5, 9, 9])

    return _coco(top, change=change)


def coco_with_a_lost_image(top: Path) -> Drawn:
    """An image that is named is not there."""
    drawn = _coco(top)
    (top / "train/0007.jpg").unlink()
    return drawn


def yolo(top: Path) -> Drawn:
    """Ultralytics' YOLO: polygons in parts of the image's size, names in data.yaml."""
    write(top / "data.yaml", "train: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n")
    drawn: Drawn = {}
    for split, count, first in (("train", 8, 0), ("val", 3, 40)):
        made = _photographs(top, f"images/{split}/{{:02d}}.jpg", count, first)
        for name, each in made.items():
            lines = [
                " ".join(map(str, [("cat", "dog").index(label), *_parts(box)]))
                for label, box in _boxes(each)
            ]
            write(top / f"labels/{split}/{name}.txt", "\n".join(lines) + "\n")
        drawn |= made
    return drawn


def cvat_images(top: Path) -> Drawn:
    """CVAT for images: one XML file."""
    drawn = _photographs(top, "images/{:02d}.jpg")
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>"]
    for place, (name, made) in enumerate(drawn.items()):
        head = f'id="{place}" name="{name}.jpg" width="{SIZE[1]}" height="{SIZE[0]}"'
        lines.append(f"<image {head}>")
        for label, box in _boxes(made):
            points = ";".join(f"{x}.0,{y}.0" for x, y in _corners(box))
            lines.append(f"<polygon label={quoteattr(label)} points={quoteattr(points)}/>")
        lines.append("</image>")
    write(top / "annotations.xml", "\n".join([*lines, "</annotations>"]))
    return drawn


def steel_run_lengths(top: Path) -> Drawn:
    """Severstal: ImageId, ClassId and runs down the columns, from pixel 1."""
    drawn = _photographs(top, "train_images/{:08x}.jpg")
    rows = ["ImageId,ClassId,EncodedPixels"]
    for name, made in drawn.items():
        runs = _runs((made.ids == 1).T.ravel())
        rows.append(f"{name}.jpg,3,{' '.join(map(str, runs))}")
    write(top / "train.csv", "\n".join(rows) + "\n")
    return {name: Scene(made.image, (made.ids == 1).astype(np.uint8)) for name, made in
            drawn.items()}  # fmt: skip


def label_studio_brushes(top: Path) -> Drawn:
    """Label Studio's PNG export: a file per task and class, which names no image."""
    drawn = _photographs(top, "images/pic{}.jpg")
    for place, made in enumerate(drawn.values(), start=1):
        for number, label in ((1, "Cat"), (2, "Dog")):
            name = f"task-{place}-annotation-{place + 6}-by-1-tag-{label}-0.png"
            save(top / "masks" / name, times_255((made.ids == number).astype(np.uint8)))
    return drawn


def _photographs(top: Path, path: str, count: int = 8, first: int = 0) -> Drawn:
    """Photographs of two boxes, a cat's and a dog's, that move from one to the next."""
    drawn: Drawn = {}
    for seed in range(first, first + count):
        ids = np.zeros(SIZE, np.uint8)
        for number, (left, upper, right, lower) in enumerate((CAT, DOG), start=1):
            shift = 2 * (seed % 4)
            ids[upper : lower + shift, left : right + shift] = number
        image = scene(seed).image // 2 + ids[..., None] * np.uint8(60)
        save(top / path.format(seed), image)
        drawn[Path(path.format(seed)).stem] = Scene(image, ids)
    return drawn


def _boxes(made: Scene) -> list[tuple[str, tuple[int, int, int, int]]]:
    found = []
    for number, label in ((1, "cat"), (2, "dog")):
        rows, columns = np.nonzero(made.ids == number)
        box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        found.append((label, box))
    return found


def _corners(box: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    left, upper, right, lower = box
    return [(left, upper), (right, upper), (right, lower), (left, lower)]


def _parts(box: tuple[int, int, int, int]) -> list[float]:
    return [part for x, y in _corners(box) for part in (x / SIZE[1], y / SIZE[0])]


def _runs(inside: np.ndarray) -> list[int]:
    """Start, from 1, and length of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    pairs = edges.reshape(-1, 2)
    return [int(value) for start, end in pairs for value in (start + 1, end - start)]


def _coco(
    top: Path, split: str = "train", count: int = 8, first: int = 0, change: Changed | None = None
) -> Drawn:
    drawn = _photographs(top, f"{split}/{{:04d}}.jpg", count, first)
    content: dict[str, Any] = {
        "images": [], "annotations": [],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }  # fmt: skip
    for place, (name, made) in enumerate(drawn.items()):
        content["images"].append(
            {"id": place, "file_name": f"{name}.jpg", "height": SIZE[0], "width": SIZE[1]}
        )
        for category, (_, box) in enumerate(_boxes(made), start=1):
            left, upper, right, lower = box
            annotation = {
                "id": len(content["annotations"]) + 1, "image_id": place, "iscrowd": 0,
                "category_id": category, "bbox": [left, upper, right - left, lower - upper],
                "area": 1, "segmentation": [[value for xy in _corners(box) for value in xy]],
            }  # fmt: skip
            if change is not None:
                change(annotation)
            content["annotations"].append(annotation)
    write(top / f"annotations/instances_{split}.json", json.dumps(content))
    return drawn
