"""Images whose masks are drawn from annotations: what the sources of such files share."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maskmill.images import decode
from maskmill.settings.config import IGNORE, Data
from maskmill.sources import Pair, _names
from maskmill.sources._drawing import Size
from maskmill.system.errors import MaskmillError, few_of

BACKGROUND = ("background", "_background_")  # labels of the pixels of no object, in small letters
IGNORED = ("__ignore__", IGNORE)  # labels of pixels that take part in nothing
MAX_CLASSES = 250
_MAX_FAULTS = 0.05  # of all annotations; more are no slips
_SHOWN = 5

Place = tuple[str, str]  # file, annotation


@dataclass(frozen=True)
class Shape:
    """One annotation of an image: what it covers and is, or why it is not drawn."""

    place: str  # in its file: "annotation 4", "line 3"
    label: str = ""
    inside: Callable[[Size], np.ndarray] | None = None  # size -> (H, W) bool
    ignored: bool = False  # its pixels take part in nothing
    box: bool = False  # a rectangle, which may stand around an object
    counted: str = ""  # what is said of such annotations: "points are not drawn"
    fault: str = ""  # why it cannot be drawn


@dataclass(frozen=True)
class Annotation:
    """What a file says of one image."""

    shapes: list[Shape]  # later ones cover earlier ones
    size: Size | None = None  # of the image, where the file says it


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and where its annotation is read, which is done anew each time: it may be large."""

    image: Path
    name: str  # of the image below its folder, without ending
    split: str
    source: str  # what an error names: the file of annotations
    read: Callable[[], Annotation] = field(repr=False)


@dataclass(frozen=True)
class DrawnMask:
    """The mask of an annotated image; called, it gives (H, W) uint8 class ids."""

    annotated: AnnotatedImage
    data: Data = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """None but those that the source names: they are of many masks."""
        return ()

    def __call__(self) -> np.ndarray:
        found = self.annotated.read()
        size = self._size(found.size)
        drawn = np.full(size, background_id(self.data), np.uint8)
        for shape in found.shapes:
            if shape.inside is None:
                continue
            where = f"{self.annotated.source}: {shape.place}"
            value = self.data.ignore_index
            if not shape.ignored:
                value = class_id(shape.label, self.data, where)
            try:
                drawn[shape.inside(size)] = value
            except ValueError as error:  # found only where its pixels are unpacked
                raise MaskmillError(f"{where}: {error}") from None
        return drawn

    def _size(self, said: Size | None) -> Size:
        """The image's height and width as it is decoded, which the annotation must have, too."""
        image, decoding = self.annotated.image, self.data.decoding
        try:
            found = decode.header(image, decoding)
        except decode.DecodeError:
            if said is None or said[0] * said[1] > decoding.max_pixels:
                raise
            return said  # validate names the image
        size, turned = (found.height, found.width), ""
        if found.orientation >= 5 and decoding.exif == "upright":
            size = (found.width, found.height)
            turned = f", as its EXIF orientation {found.orientation} turns it"
        if said is not None and said != size:
            raise MaskmillError(
                f"{self.annotated.source}: annotates an image of {said[1]} x {said[0]} px; {image} "
                f"has {size[1]} x {size[0]}{turned}; bring back the image that was annotated"
            )
        return size


def annotated(
    image: Path, folder: Path, source: str, read: Callable[[], Annotation], split: str = ""
) -> AnnotatedImage:
    """An image with the name and the split of its place; the `split` of its annotation goes before.

    Folders called images, or after a split, are no part of the name: they are no group.
    """
    relative = image.relative_to(folder)
    split = split or _names.split_of_path(relative.parent)
    return AnnotatedImage(image, name_of_path(relative), split, source, read)


def name_of_path(path: Path) -> str:
    """The name of the image at a path below its folder, without folders that tell no group."""
    told = [p for p in path.parts[:-1] if p.lower() != "images" and not _names.split_of(p)]
    return "/".join([*told, path.stem])


def background_id(data: Data) -> int:
    """The id of the pixels of no object. Raises: MaskmillError where the settings have none."""
    if data.background is None or data.values is not None:
        raise MaskmillError(
            f"params.yaml: data.background {data.background!r}, data.values {data.values!r}; "
            "annotations leave pixels without an object, and their masks are drawn as ids: name "
            "the class of those pixels, and set values: null"
        )
    return data.classes.index(data.background)


def class_id(label: str, data: Data, where: str) -> int:
    """The id of a label's class, or that of ignored pixels.

    Raises: MaskmillError where data.classes has no such class.
    """
    name = _names.class_name(label)
    if name in data.classes:
        return data.classes.index(name)
    if label.lower() in BACKGROUND:
        return background_id(data)
    if label.lower() in IGNORED:
        return data.ignore_index
    raise MaskmillError(
        f"{where}: {label!a} is none of data.classes in params.yaml, {', '.join(data.classes)}; "
        "add it there"
    )


@dataclass
class Findings:
    """What all annotations of a source hold."""

    labels: dict[str, str] = field(default_factory=dict)  # of classes -> where it stands first
    drawn: int = 0
    boxes: int = 0  # of those that are drawn
    counted: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))  # by why
    boxed: set[str] = field(default_factory=set)  # of those: whose pixels are ignored
    faults: list[str] = field(default_factory=list)
    empty: int = 0  # images without anything that is drawn

    def add(self, source: str, shape: Shape) -> None:
        """Count an annotation of a file."""
        if shape.fault:
            self.faults.append(f"{source}: {shape.place}: {shape.fault}")
        elif shape.counted:
            self.counted[shape.counted].append((source, shape.place))
            self.boxed |= {shape.counted} if shape.inside else set()
        else:
            self.drawn += 1
            self.boxes += shape.box
            if not shape.ignored and shape.label.lower() not in (*BACKGROUND, *IGNORED):
                self.labels.setdefault(shape.label, f"{source}: {shape.place}")

    @property
    def total(self) -> int:
        """All annotations."""
        return self.drawn + len(self.faults) + sum(map(len, self.counted.values()))

    def not_drawn(self) -> list[str]:
        """What is not drawn, and why."""
        return [f"{why}: {len(places)} ({_listed(places)})" for why, places in self.counted.items()]

    def notes(self) -> list[str]:
        """What a user should know."""
        told = [
            f"{said}; the pixels in their boxes are ignored" if why in self.boxed else said
            for why, said in zip(self.counted, self.not_drawn(), strict=True)
        ]
        if self.boxes == self.drawn:
            told.append(
                f"all shapes are rectangles, and drawn as such: {self.boxes}; if they are boxes "
                "around objects, they are no outlines"
            )
        if self.faults:
            told.append(
                f"annotations that cannot be drawn are left out: {len(self.faults)} of "
                f"{self.total}: {few_of(self.faults, _SHOWN, '; ')}"
            )
        return told


def _listed(places: Sequence[Place]) -> str:
    """The first places, of one file as "FILE: annotation 1, annotation 2"."""
    source = places[0][0]
    if all(other == source for other, _ in places):
        return f"{source}: {few_of([place for _, place in places], _SHOWN)}"
    return few_of([f"{other}: {place}" for other, place in places], _SHOWN)


def find(images: Iterable[AnnotatedImage], kind: str) -> Findings:
    """Read all annotations, of a kind that an error names: "COCO".

    Raises: MaskmillError where more than 5 % of them cannot be drawn, or none has an outline.
    """
    found = Findings()
    for image in images:
        drawn = found.drawn
        for shape in image.read().shapes:
            found.add(image.source, shape)
        found.empty += found.drawn == drawn
    bad, total = len(found.faults), found.total
    if bad > _MAX_FAULTS * total and (bad > 1 or bad == total):
        raise MaskmillError(
            f"{found.faults[0]}; {bad} of {total} annotations cannot be drawn, and at most "
            f"{_MAX_FAULTS:.0%} are left out; mend or delete them"
        )
    if not found.labels:
        told = "; ".join(found.not_drawn()) or "there is no annotation at all"
        raise MaskmillError(
            f"{kind} without outlines: {told}; export objects with polygons or masks"
        )
    return found


def class_list(labels: Iterable[str], where: str) -> tuple[list[str], list[str]]:
    """The classes of labels, background first, and what is said where two labels become one.

    Raises: MaskmillError where they are too many.
    """
    of_class: dict[str, list[str]] = {}
    for label in dict.fromkeys(labels):
        if label.lower() not in (*BACKGROUND, *IGNORED):
            of_class.setdefault(_names.class_name(label), []).append(label)
    if len(of_class) >= MAX_CLASSES:
        raise MaskmillError(
            f"{where}: {len(of_class)} labels ({few_of(list(of_class), _SHOWN)}); at most "
            f"{MAX_CLASSES - 1} can be learnt beside the background; join them, or delete some"
        )
    merged = [
        f"the labels {' and '.join(ones)} are one class, {name}"
        for name, ones in of_class.items()
        if len(ones) > 1
    ]
    return ["background", *of_class], merged


def pairs(
    images: Sequence[AnnotatedImage],
    kind: str,
    data: Data,
    groups: str | None,
    blocks: int | None,
) -> Iterator[Pair]:
    """The pairs in order of name, with masks of class ids; an error names the `kind`: "COCO".

    Raises: MaskmillError for annotations that cannot be drawn, labels of no class, and settings
    without a background.
    """
    background_id(data)
    for label, where in find(images, kind).labels.items():
        class_id(label, data, where)
    ordered = sorted(images, key=lambda image: _names.natural_sort_key(image.name))
    _check_annotated_once(ordered)
    names = [image.name for image in ordered]
    same = len(set(names)) < len(names)
    own = groups is None and blocks is None
    places = _names.group_names(names, groups, blocks, "data/source.yaml: kind")
    for image, (given, sequence, order) in zip(ordered, places, strict=True):
        identity = _names.pair_id(f"{image.split}/{image.name}" if same else image.name)
        group, drawn = identity if own else given, DrawnMask(image, data)
        yield Pair(identity, image.image, drawn, group, order, sequence, image.split)


def _check_annotated_once(images: Iterable[AnnotatedImage]) -> None:
    sources: dict[tuple[str, Path], str] = {}
    for image in images:
        other = sources.setdefault((image.split, image.image), image.source)
        if other != image.source:
            raise MaskmillError(
                f"{image.image}: is annotated by {other} and by {image.source}; keep one"
            )
