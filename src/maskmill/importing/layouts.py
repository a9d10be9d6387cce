"""Find out which source of `maskmill.sources` reads a folder, and with which options."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskmill.sources import _files, _names, table
from maskmill.system.errors import MaskmillError

_IMAGES = {
    "image", "images", "img", "imgs", "jpegimages", "photos", "frames", "scans",
    "input", "inputs", "originals", "x",
}  # fmt: skip
_MASKS = {
    "mask", "masks", "label", "labels", "gt", "gts", "groundtruth", "truth",
    "annot", "annotation", "annotations",
    "seg", "segmentation", "segmentations", "segmentationclass", "target", "targets", "y",
}  # fmt: skip
_SUFFIX = re.compile(
    r"[_\-. ](mask|masks|label|labels|lbl|seg|segmentation|gt|annot|annotation|l)$", re.IGNORECASE
)
_ENDING = re.compile(r"[_\-. ][A-Za-z]\w*$")
_WORDS = "training|train|validation|valid|val|testing|test"
_SPLIT = re.compile(
    rf"^(?:{_WORDS})(?=[_-]|annot|mask|label|image|$)|(?<=[_-])(?:{_WORDS})$", re.IGNORECASE
)


@dataclass(frozen=True)
class FolderLayout:
    """The source's settings as data/source.yaml has them, and what was found, in words."""

    config: dict[str, Any]
    told: str
    # besides images and masks: the list, the annotations
    files: list[Path] = field(default_factory=list)
    columns: tuple[str, ...] = ()  # of the list


def recognise(folder: Path) -> FolderLayout:
    """The layout of `folder`. Raises: MaskmillError that says which layouts are known."""
    found = list(_files.regular_files(folder))
    if made := _recognise_coco(folder, found) or _table(folder, found) or _folders(folder, found):
        return made
    raise MaskmillError(
        f"{folder}: no layout that is known. Known are: a folder `images` and a folder `masks` with"
        " equal names but for the ending, or masks named like their image and `_mask`; either"
        " once, or once for train, val and test; a CSV with the columns image,mask; COCO's JSON."
        " docs/own-data.md shows each"
    )


def _recognise_coco(folder: Path, found: Sequence[Path]) -> FolderLayout | None:
    annotations = {
        path: content
        for path in found
        if path.suffix == ".json" and (content := _annotations(path))
    }
    if not annotations:
        return None
    config = {
        path.relative_to(folder).as_posix(): _images_of(path, names, found, folder)
        for path, names in annotations.items()
    }
    if twice := [name for name, count in Counter(config.values()).items() if count > 1]:
        several = [file for file, images in config.items() if images == twice[0]]
        raise MaskmillError(
            f"{folder}: {', '.join(several)} annotate the images of one folder, {twice[0]}; keep"
            " one, and move the others out of the folder"
        )
    told = "COCO: " + ", ".join(
        f"{file} with the images in {images}" for file, images in config.items()
    )
    return FolderLayout({"kind": "coco", "annotations": config}, told, list(annotations))


def _annotations(path: Path) -> list[str]:
    """File names of the images, where the file holds COCO's segmentations."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
        shapes = (
            any("segmentation" in entry for entry in found["annotations"]) and found["categories"]
        )
        return [str(entry["file_name"]) for entry in found["images"]] if shapes else []
    except (ValueError, RecursionError, KeyError, TypeError):  # some other JSON
        return []


def _images_of(path: Path, names: Sequence[str], found: Iterable[Path], folder: Path) -> str:
    """Return the folder below which the image files lie.

    It is the annotations' own, one of the same split, or any.
    """
    split = _names.split_of(path.stem)
    parents = {parent for file in found for parent in file.parents if parent.is_relative_to(folder)}
    ordered = sorted(
        parents,
        key=lambda p: (
            p != path.parent,
            not split or _names.split_of(p.name) != split,
            len(p.parts),
            str(p),
        ),
    )
    there = [
        p
        for p in ordered
        if names and all((p / name).is_file() for name in names[:20] if _is_plain(name))
    ]
    if not there:
        raise MaskmillError(
            f"{path}: its images ({', '.join(names[:3])}, ..) are nowhere below {folder};"
            " put them there"
        )
    return there[0].relative_to(folder).as_posix()


def _is_plain(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _table(folder: Path, found: Sequence[Path]) -> FolderLayout | None:
    lists = [path for path in found if path.suffix.lower() == ".csv" and _is_list(path)]
    if len(lists) > 1:
        named = ", ".join(str(path.relative_to(folder)) for path in lists)
        raise MaskmillError(f"{folder}: several lists of images and masks: {named}; keep one")
    if not lists:
        return None
    name = lists[0].relative_to(folder).as_posix()
    columns, others = table.columns(lists[0])
    told = f"a list, {name}, with the columns {', '.join(columns)}"
    told += f"; not used: {', '.join(others)}" if others else ""
    return FolderLayout({"kind": "table", "file": name}, told, lists, columns)


def _is_list(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        first = file.readline(10_000)
    header = next(csv.reader([first.replace(";", ",").replace("\t", ",")]), [])
    return {"image", "mask"} <= {cell.strip().lower() for cell in header}


def _folders(folder: Path, found: Sequence[Path]) -> FolderLayout | None:
    pictures = [path for path in found if path.suffix.lower() in _files.SUFFIXES]
    roles: dict[str, set[str]] = {"image": set(), "mask": set(), "": set()}
    untold = []
    for parent in {path.parent.relative_to(folder) for path in pictures}:
        pattern, role = _pattern(parent.parts)
        if (pattern, role) == (".", ""):
            untold.append(parent)
        else:
            roles[role].add(pattern)
    if untold:
        roles[""].add(Path(os.path.commonpath(untold)).as_posix())
    if not roles["mask"]:
        return _one_folder(folder, sorted(roles["image"] | roles[""]), pictures)
    candidates = roles["image"] or roles[""]
    for kind, patterns in (("images", candidates), ("masks", roles["mask"])):
        if len(patterns) > 1:
            raise MaskmillError(
                f"{folder}: {kind} could be in {', '.join(sorted(patterns))}; keep one and move the"
                " others out, or name it in data/source.yaml (docs/own-data.md)"
            )
    if not candidates:
        return None
    (images,), (masks,) = candidates, roles["mask"]
    if ("{split}" in images) != ("{split}" in masks):
        raise MaskmillError(
            f"{folder}: images are in {images}, masks in {masks}: only one of them is split;"
            " split both"
        )
    config: dict[str, Any] = {"kind": "folder", "images": images, "masks": masks}
    config |= _suffixes(_stems(folder, images, pictures), _stems(folder, masks, pictures))
    return FolderLayout(config, f"images in {images}, masks in {masks}" + _config_in_words(config))


def _pattern(parts: tuple[str, ...]) -> tuple[str, str]:
    """Return a folder's path up to what tells its role, and the role.

    In the path, `{split}` stands for train, val or test.
    """
    made: list[str] = []
    role, end, split = "", 0, False
    for place, part in enumerate(parts, start=1):
        rest = part
        if not split and (match := _SPLIT.search(part)):
            rest, split, end = part[: match.start()] + part[match.end() :], True, place
            made.append(part[: match.start()] + "{split}" + part[match.end() :])
        else:
            made.append(part)
        words = set(re.findall(r"[a-z]+", rest.lower())) | {re.sub(r"[^a-z]", "", rest.lower())}
        if words & _MASKS and role != "mask":  # images/masks holds masks
            role, end = "mask", place
        elif words & _IMAGES and not role:
            role, end = "image", place
    return "/".join(made[:end]) or ".", role


def _one_folder(
    folder: Path, patterns: Sequence[str], pictures: Sequence[Path]
) -> FolderLayout | None:
    """Images and masks in one folder, told apart by what ends a mask's name."""
    counts = Counter(match[0] for path in pictures if (match := _SUFFIX.search(path.stem)))
    if not counts or len(patterns) != 1:
        return None
    suffix = counts.most_common(1)[0][0]
    images = {path.stem for path in pictures if not path.stem.endswith(suffix)}
    masks = {path.stem.removesuffix(suffix) for path in pictures if path.stem.endswith(suffix)}
    if len(images & masks) * 2 < len(masks):
        return None
    config = {"kind": "folder", "images": patterns[0], "masks": patterns[0], "mask_suffix": suffix}
    return FolderLayout(config, f"images and masks in {patterns[0]}" + _config_in_words(config))


def _stems(folder: Path, pattern: str, pictures: Sequence[Path]) -> set[str]:
    inside = re.compile(
        re.escape(pattern).replace(r"\{split\}", r"[A-Za-z]+") + "/" if pattern != "." else ""
    )
    return {path.stem for path in pictures if inside.match(path.relative_to(folder).as_posix())}


def _suffixes(images: set[str], masks: set[str]) -> dict[str, str]:
    """What has to be cut off the names so that images and masks have the same."""
    if len(images & masks) * 2 >= min(len(images), len(masks)):
        return {}
    endings = Counter(
        mask[len(name) :] for mask in masks for name in _name_prefixes(mask) if name in images
    )
    if endings and (best := endings.most_common(1)[0])[1] * 2 >= len(masks):
        return {"mask_suffix": best[0]}
    ends = [
        {match[0] for stem in stems if (match := _ENDING.search(stem))} for stems in (images, masks)
    ]
    if all(len(end) == 1 for end in ends):
        of_image, of_mask = (end.pop() for end in ends)
        if {s.removesuffix(of_image) for s in images} & {s.removesuffix(of_mask) for s in masks}:
            return {"image_suffix": of_image, "mask_suffix": of_mask}
    return {}


def _name_prefixes(stem: str) -> Iterable[str]:
    return (stem[:end] for end in range(len(stem) - 1, 0, -1))


def _config_in_words(config: dict[str, Any]) -> str:
    ends = [
        f"{key.removesuffix('_suffix')} names end in {config[key]}"
        for key in ("image_suffix", "mask_suffix")
        if key in config
    ]
    return f" ({', '.join(ends)})" if ends else ""
