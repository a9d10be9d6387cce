"""A user's own files: images and masks below data/source, paired by what their paths share."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from maskmill.settings.config import SPLITS, Data
from maskmill.sources import Pair, Recognised, _files, _names, _pages
from maskmill.sources._made import BackgroundMask, ObjectMasks
from maskmill.sources._names import class_name
from maskmill.sources._templates import PathTemplate
from maskmill.system.errors import MaskmillError

_WHERE = "data/source.yaml: kind"
Key = tuple[str, ...]  # what stands in the places that images and masks share
Unpaired = Literal["refuse", "leave_out", "background"]
Pairing = Literal["exact", "numbers", "case"]
Lists = Annotated[dict[str, str], Field(min_length=1)]


@dataclass
class Files:
    """The files of one image."""

    identity: str = ""  # folder and name, as paths have them
    split: str = ""
    image: Path | None = None
    masks: list[tuple[str, Path]] = field(default_factory=list)  # class or "", file


def folder(
    *,
    folder: Path,
    data: Data,
    images: str = "images",
    masks: str = "masks",
    image_suffix: str = "",
    mask_suffix: str = "",
    pairing: Pairing = "exact",
    unpaired: Unpaired = "refuse",
    lists: Lists | None = None,
    pages: bool = False,
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """Pairs in order of name.

    `images` and `masks` are folders, whose files pair where their names without ending, and
    without the suffixes, are equal; or templates of paths with `{name}` in them, see
    `_templates`. `{split}` gives the split; a folder of masks or images may hold
    `{split}/images` or `images/{split}` by itself. `{class}` and `{object}` in `masks` stand for
    several masks of one image.

    pairing: "numbers" drops the zeros before numbers in names, "case" takes capitals for small
        letters.
    unpaired: what becomes of an image without a mask: it is reported and stops the line
        ("refuse"), it is left out, with masks without an image, or it is all background.
    lists: split -> text file with a name a line; an image that no list names is left out.
    pages: each file is a stack; each of its pages is an image, and the stack their group.
    groups, blocks: see `_names.group_names`; without them every image is its own group.

    Raises: MaskmillError when a folder is missing or empty, or two files share a name.
    """
    of_images, of_masks = _templates(folder, images, masks, image_suffix, mask_suffix)
    found = _find(folder, of_images, of_masks, pairing)
    if lists is not None:
        found = listed(folder, lists, found)
    if unpaired == "leave_out":
        found = [files for files in found if files.image and files.masks]
    found.sort(key=lambda files: _names.natural_sort_key(files.identity))
    if pages:
        yield from _pages.pairs(found, data, groups, blocks)
        return
    names = [files.identity for files in found]
    if blocks is not None and any(files.split for files in found):
        raise MaskmillError(f"{_WHERE}.blocks: the split is given by folders; delete `blocks`")
    twice = len(set(names)) < len(names)  # train/1.png and test/1.png are two images
    places = _names.group_names(names, groups, blocks, _WHERE)
    several = bool({"class", "object"} & {*of_masks.places})
    for files, (group, sequence, order) in zip(found, places, strict=True):
        name = f"{files.split}/{files.identity}" if twice else files.identity
        identity = _names.pair_id(name)
        own = identity if groups is None and blocks is None else group
        mask = _mask(files, data, several=several, unpaired=unpaired)
        yield Pair(identity, files.image, mask, own, order, sequence, files.split)


def _mask(
    files: Files, data: Data, *, several: bool, unpaired: Unpaired
) -> Path | ObjectMasks | BackgroundMask | None:
    if not files.masks:
        empty = unpaired == "background" and files.image is not None
        return BackgroundMask(files.image, data) if empty and files.image else None
    if not several:
        return files.masks[0][1]
    parts = tuple(sorted(files.masks, key=lambda part: _names.natural_sort_key(str(part[1]))))
    return ObjectMasks(tuple((name and class_name(name), path) for name, path in parts), data)


def _templates(
    folder: Path, images: str, masks: str, image_suffix: str, mask_suffix: str
) -> tuple[PathTemplate, PathTemplate]:
    for text in (images, masks):
        PathTemplate(text, f"{_WHERE}.images, kind.masks")
    if "{name}" not in images:
        for path in (folder / images, folder / masks):
            if path.is_symlink():
                raise MaskmillError(
                    f"{path}: a folder that is a link; DVC does not version what it leads to: "
                    "copy it"
                )
        images, masks = _with_split(folder, images, masks)
        if images == masks and not mask_suffix:
            raise MaskmillError(
                f"{_WHERE}.mask_suffix: {folder / images} holds images and masks; say what ends a "
                "mask's name"
            )
        images, masks = f"{images}/{{name}}{image_suffix}", f"{masks}/{{name}}{mask_suffix}"
    return tuple(  # type: ignore[return-value]
        PathTemplate(text.removeprefix("./"), f"{_WHERE}.{key}")
        for key, text in (("images", images), ("masks", masks))
    )


def _with_split(folder: Path, images: str, masks: str) -> tuple[str, str]:
    """The folders with `{split}` in them where folders train, val and test are there."""
    if "{split}" in images or "{split}" in masks or images == ".":
        return images, masks
    for pattern in ("{split}/{0}", "{0}/{split}"):
        of_images, of_masks = (pattern.replace("{0}", text) for text in (images, masks))
        top = folder / PathTemplate(of_images, _WHERE).folder
        for path in sorted(top.iterdir()) if top.is_dir() else []:
            inside = path / images if pattern.startswith("{split}") else path
            if _names.is_split(path.name) and inside.is_dir():
                return of_images, of_masks
    return images, masks


def find_files(folder: Path, images: str, masks: str, pairing: Pairing) -> list[Files]:
    """The files of each image, by templates with `{name}`. Raises: MaskmillError as `folder`."""
    return _find(
        folder,
        PathTemplate(images, f"{_WHERE}.images"),
        PathTemplate(masks, f"{_WHERE}.masks"),
        pairing,
    )


def recognise(
    top: Path, files: Sequence[Path], images: str = "", masks: str = ""
) -> Recognised | None:
    """Whether `top` holds images and masks as files, see `_folder_recognition`."""
    from maskmill.sources import _folder_recognition  # which reads by this module

    return _folder_recognition.recognise(top, files, images, masks)


def _find(folder: Path, images: PathTemplate, masks: PathTemplate, pairing: Pairing) -> list[Files]:
    shared = [name for name in ("split", "folder", "name") if name in images.places]
    shared = [name for name in shared if name in masks.places]
    found: dict[Key, Files] = defaultdict(Files)
    spoken: dict[Key, dict[str, str]] = {}  # split -> the word that a path has for it
    counts = {"images": 0, "masks": 0}
    beside: list[Path] = []
    for path in _files.regular_files(folder) if folder.is_dir() else ():
        if path.suffix.lower() not in _files.SUFFIXES:
            continue
        plain = path.relative_to(folder).with_suffix("").as_posix()
        of_image, of_mask = images.match(plain), masks.match(plain)
        if of_image and of_mask:  # images/masks/a, or a_mask beside a
            deeper = len(images.folder) > len(masks.folder)
            of_image, of_mask = (of_image, None) if deeper else (None, of_mask)
        if of_image is None and of_mask is None:
            beside += [path] if _is_beside(path, folder, images) else []
            continue
        place = of_image or of_mask or {}
        key = _key(place, shared, pairing)
        files = found[key]
        _take_split(files, place, spoken.setdefault(key, {}))
        if of_image is not None:
            counts["images"] += 1
            if files.image is not None:
                _raise_twice(files.image, path)
            files.image, files.identity = path, _identity(of_image)
        elif of_mask is not None:
            counts["masks"] += 1
            if files.masks and not {"class", "object"} & {*masks.places}:
                _raise_twice(files.masks[0][1], path)
            files.masks.append((of_mask.get("class", ""), path))
            files.identity = files.identity or _identity(of_mask)
    words = _check_splits(found.values(), spoken.values(), folder, images)
    if beside:
        raise MaskmillError(
            f"{beside[0]} stands beside {', '.join(words)}; move it into one of them"
        )
    for kind, template in (("images", images), ("masks", masks)):
        if not counts[kind]:
            _raise_empty(kind, folder / template.folder)
    return list(found.values())


def _key(place: Mapping[str, str], shared: Iterable[str], pairing: Pairing) -> Key:
    """What an image and its mask have in common."""
    parts = []
    for name in shared:
        text = unicodedata.normalize("NFC", place.get(name, ""))
        if name == "split":
            text = _names.split_of(text)
        elif pairing == "numbers":
            text = "".join(str(number) if number >= 0 else rest for number, rest in
                           _names.natural_sort_key(text))  # fmt: skip
        elif pairing == "case":
            text = text.lower()
        parts.append(text)
    return tuple(parts)


def _identity(place: Mapping[str, str]) -> str:
    """Folder and name; the name alone where the folder says the same."""
    parts = [place[name] for name in ("folder", "name") if name in place]
    return unicodedata.normalize("NFC", "/".join(dict.fromkeys(parts)))


def _take_split(files: Files, place: Mapping[str, str], spoken: dict[str, str]) -> None:
    if word := place.get("split"):
        split = _names.split_of(word)
        spoken[split] = word
        files.split = split


def _is_beside(path: Path, folder: Path, images: PathTemplate) -> bool:
    """Whether an image stands beside the folders of the splits."""
    after = images.text[len(images.folder) :].lstrip("/")
    if not after.startswith("{split}/") or not images.folder:
        return False
    top = folder / images.folder
    return path.is_relative_to(top) and not _names.is_split(path.relative_to(top).parts[0])


def _check_splits(
    found: Iterable[Files], spoken: Iterable[Mapping[str, str]], folder: Path, images: PathTemplate
) -> list[str]:
    """The words that paths have for splits.

    Raises: MaskmillError where no file tells a split, or two folders say one.
    """
    if "split" not in images.places:
        return []
    words: dict[str, set[str]] = defaultdict(set)
    for told in spoken:
        for split, word in told.items():
            words[split].add(word)
    if not any(files.split for files in found):
        raise MaskmillError(
            f"{_WHERE}.images: {folder / images.folder}: no folder train, val or test there; make "
            "one, or drop {split}"
        )
    for several in words.values():
        if len(several) > 1:
            raise MaskmillError(
                f"{_WHERE}.images: {folder}: {', '.join(sorted(several))} are names of one split; "
                "put them into one folder"
            )
    return sorted(set().union(*words.values()))


def listed(folder: Path, lists: Mapping[str, str], found: list[Files]) -> list[Files]:
    """The images that the lists name, with their splits."""
    if unknown := [split for split in lists if split not in SPLITS]:
        raise MaskmillError(
            f"{_WHERE}.lists: {unknown[0]!r} is no split; allowed are {', '.join(SPLITS)}"
        )
    by_name = {files.identity: files for files in found}
    kept = []
    for split, name in lists.items():
        path = _files.file_inside(folder, name, f"{_WHERE}.lists.{split}")
        for line, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
            if not (listed := text.split()):
                continue
            files = by_name.get(listed[0]) or by_name.get(Path(listed[0]).stem)
            if files is None:
                raise MaskmillError(f"{path}, line {line}: no image is called {listed[0]!r}")
            if files.split and files.split != split:
                raise MaskmillError(
                    f"{path}, line {line}: {listed[0]} is in {files.split} already; name it once"
                )
            if not files.split:
                kept.append(files)
            files.split = split
    return kept


def _raise_twice(one: Path, other: Path) -> None:
    raise MaskmillError(
        f"{one} and {other} have one name ({one.name!a}, {other.name!a}); a pair is found by it: "
        "rename one"
    )


def _raise_empty(kind: str, path: Path) -> None:
    raise MaskmillError(
        f"{path}: no {kind}; put them there ({', '.join(_files.SUFFIXES)}), or change `{kind}` or "
        "`kind` in data/source.yaml"
    )
