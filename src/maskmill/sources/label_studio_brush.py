"""Label Studio: its export of brushes as PNG files, one for each label of a task.

They are called `task-12-annotation-7-by-1-tag-Cat-0.png`, and no file says which image is task 12.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from maskmill.images import decode
from maskmill.settings.config import STRICT, Data
from maskmill.sources import Pair, Recognised, _annotated, _documents, _files, _names
from maskmill.sources._annotated import AnnotatedImage, Annotation, Shape
from maskmill.sources._drawing import Size
from maskmill.sources._lookup import ImageFiles
from maskmill.system.errors import MaskmillError, few_of

_KIND = "Label Studio"
_NAME = re.compile(
    r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-(?:.*-tag|[^-]*-[^-]*)-(?P<label>.+)-\d+"
)
_DRAWN = 128  # of 255; strokes have soft rims
_SHOWN = 5


def label_studio_brush(
    *,
    folder: Path,
    data: Data,
    tasks: dict[int, str],
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The images of `tasks` (number -> image), with masks of class ids drawn from the PNG files.

    Of several annotations of one task the one with the highest number is taken; of two labels that
    overlap the later by name wins. Folders called train, val and test give the split.
    Raises: MaskmillError for a task that has no image, or no brush.
    """
    images = _images(folder, _brushes(_files.regular_files(folder)), tasks)
    yield from _annotated.pairs(images, _KIND, data, groups, blocks)


def recognise(folder: Path, files: Sequence[Path]) -> Recognised | None:
    """PNG files of brushes, where no JSON export says the same, and an image for each task.

    Raises: MaskmillError where there are more or fewer images than tasks.
    """
    of_task = _brushes(files)
    if not of_task or any(_documents.json_with_keys(p, "original_width") for p in files):
        return None
    brushes = {brush.path for listed in of_task.values() for brush in listed}
    known = ImageFiles(folder, [path for path in files if path not in brushes])
    if len(known.paths) != len(of_task):
        raise MaskmillError(
            f"{folder}: brushes of {len(of_task)} tasks of {_KIND}, and {len(known.paths)} images; "
            "their names do not say which image is which task's: export the project as JSON, too, "
            "and put that file beside them"
        )
    names = [path.relative_to(folder).as_posix() for path in known.paths]
    tasks = dict(zip(sorted(of_task), sorted(names, key=_names.natural_sort_key), strict=True))
    images = _images(folder, of_task, tasks)
    findings = _annotated.find(images, f"{folder}: {_KIND}")
    classes, notes = _annotated.class_list(sorted(findings.labels), str(folder))
    first = min(tasks)
    notes += [
        *findings.notes(),
        f"no file says which image a task is of: taken in order, task {first} is {tasks[first]}, "
        f"task {max(tasks)} is {tasks[max(tasks)]}; look at the overlays, and mend `tasks` in "
        "data/source.yaml, or import the JSON export",
    ]
    older = [path for listed in of_task.values() for path in _older(listed)]
    unused = {"brushes of an older annotation of their task": older} if older else {}
    settings = {"kind": "label_studio_brush", "tasks": tasks}
    told = f"{_KIND}: {len(brushes)} PNG files of brushes for {len(tasks)} images"
    used = sorted(brushes - set(older))
    return Recognised(settings, told, used, classes, notes, unused)


@dataclass(frozen=True)
class _Brush:
    path: Path
    annotation: int
    label: str


def _brushes(files: Iterator[Path] | Sequence[Path]) -> dict[int, list[_Brush]]:
    """Task -> its brushes."""
    found: dict[int, list[_Brush]] = defaultdict(list)
    for path in files:
        if path.suffix.lower() == ".png" and (match := _NAME.fullmatch(path.stem)):
            brush = _Brush(path, int(match["annotation"]), match["label"])
            found[int(match["task"])].append(brush)
    return dict(found)


def _older(brushes: Sequence[_Brush]) -> list[Path]:
    last = max(brush.annotation for brush in brushes)
    return [brush.path for brush in brushes if brush.annotation < last]


def _images(
    folder: Path, of_task: dict[int, list[_Brush]], tasks: dict[int, str]
) -> list[AnnotatedImage]:
    where = "data/source.yaml: kind.tasks"
    for kind, lacking in (
        ("image", of_task.keys() - tasks.keys()),
        ("brush", tasks.keys() - of_task.keys()),
    ):
        if lacking:
            raise MaskmillError(
                f"{where}: no {kind} for task {few_of(sorted(lacking), _SHOWN)}; name the image of "
                "each task that has brushes, and of no other"
            )
    images = []
    for task, name in tasks.items():
        image, older = _files.file_inside(folder, name, where), set(_older(of_task[task]))
        brushes = [brush for brush in of_task[task] if brush.path not in older]
        brushes.sort(key=lambda brush: (brush.label, brush.path.name))
        source, read = str(brushes[0].path.parent), partial(_annotation, brushes)
        images.append(_annotated.annotated(image, folder, source, read))
    return images


def _annotation(brushes: Sequence[_Brush]) -> Annotation:
    return Annotation([Shape(b.path.name, b.label, partial(_pixels, b.path)) for b in brushes])


def _pixels(path: Path, size: Size) -> np.ndarray:
    """(H, W) bool, true where the stroke covers half of a pixel or more.

    Raises: ValueError for a file of another size, or of other values than a brush has.
    """
    stored = decode.mask(path, STRICT)
    grey = stored.max(axis=2) if stored.ndim == 3 else stored
    if grey.shape != size:
        height, width = grey.shape
        raise ValueError(
            f"{width} x {height} px; its image has {size[1]} x {size[0]}; is it another task's?"
        )
    if 0 < grey.max() < _DRAWN or grey.max() > 255:
        raise ValueError(f"values up to {grey.max()}; a brush has 0 and 255")
    return np.asarray(grey >= _DRAWN)
