"""A user's own files: folders of images and masks below data/source.

Image and mask are paired by the file name without its ending.
"""

from collections.abc import Iterator
from pathlib import Path

from maskmill.settings.config import Data
from maskmill.sources import Pair, _files, _names
from maskmill.system.errors import MaskmillError

_SPLIT = "{split}"


def folder(
    *,
    folder: Path,
    data: Data,
    images: str = "images",
    masks: str = "masks",
    image_suffix: str = "",
    mask_suffix: str = "",
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """Pairs in order of name, from the folders `images` and `masks`.

    The suffixes are what their names end in besides.

    `{split}` in both stands for train, val and test, which then are the given split; it is found by
    itself as `{split}/images` and `images/{split}`. `groups` and `blocks`: see
    `_names.group_names`. Without them every image is its own group.
    Raises: MaskmillError when a folder is missing or empty, or two files share a name.
    """
    where = "data/source.yaml: kind.images"
    images, masks = _layout(folder, images, masks, where)
    parts = _parts(folder, images, masks, where) if _SPLIT in images else {"": ""}
    found = [
        (parts[part], *row)
        for part in parts
        for row in _pairs(folder, images, masks, image_suffix, mask_suffix, part)
    ]
    found.sort(key=lambda row: _names.natural_sort_key(row[1]))
    names = [name for _, name, _, _ in found]
    if blocks is not None and parts != {"": ""}:
        raise MaskmillError(
            "data/source.yaml: kind.blocks: the split is given by folders; delete `blocks`"
        )
    twice = len(set(names)) < len(names)  # train/1.png and test/1.png are two images
    places = _names.group_names(names, groups, blocks, "data/source.yaml: kind")
    for (split, name, image, mask), (group, sequence, order) in zip(found, places, strict=True):
        identity = _names.pair_id(f"{split}/{name}" if twice else name)
        own = groups is None and blocks is None
        yield Pair(identity, image, mask, identity if own else group, order, sequence, split)


def _layout(folder: Path, images: str, masks: str, where: str) -> tuple[str, str]:
    """`images` and `masks` with the place of `{split}` in them.

    They have one where folders for train, val and test are there.
    """
    for value in (images, masks):
        if Path(value).is_absolute() or ".." in Path(value).parts:
            raise MaskmillError(
                f"{where}, kind.masks: {value!r} leads out of {folder}; name a folder below it"
            )
    if (_SPLIT in images) != (_SPLIT in masks):
        raise MaskmillError(
            f"{where}: got {images!r} and {masks!r}; {_SPLIT} stands in both or in neither"
        )
    if _SPLIT in images:
        return images, masks
    for pattern in (f"{_SPLIT}/{{0}}", f"{{0}}/{_SPLIT}"):
        of_images, of_masks = (pattern.replace("{0}", value) for value in (images, masks))
        if images != "." and _named_splits(folder, of_images):
            return of_images, of_masks
    return images, masks


def _named_splits(folder: Path, pattern: str) -> dict[str, str]:
    """Name of a folder that stands for `{split}` in the pattern -> its split.

    Only folders that are there count.
    """
    before, _, after = pattern.partition(_SPLIT)
    top, _, prefix = before.rpartition("/")
    after, _, rest = after.partition("/")
    names: dict[str, str] = {}
    for path in sorted((folder / top).iterdir()) if (folder / top).is_dir() else []:
        word = path.name.removeprefix(prefix).removesuffix(after)
        if (
            path.name == f"{prefix}{word}{after}"
            and _names.is_split(word)
            and (path / rest).is_dir()
        ):
            names[word] = _names.split_of(word)
    return names


def _parts(folder: Path, images: str, masks: str, where: str) -> dict[str, str]:
    parts = _named_splits(folder, images) | _named_splits(folder, masks)
    if not parts:
        raise MaskmillError(
            f"{where}: {folder / images}: no folder train, val or test there; "
            f"make one, or drop {_SPLIT}"
        )
    splits = list(parts.values())
    if twice := [part for part in parts if splits.count(parts[part]) > 1]:
        raise MaskmillError(
            f"{where}: {folder}: {', '.join(twice)} are names of one split; "
            "put them into one folder"
        )
    if not images.startswith(_SPLIT):
        top = folder / images.partition(_SPLIT)[0]
        for path in _files.by_name(top).values():
            if path.relative_to(top).parts[0] not in parts:
                raise MaskmillError(
                    f"{path} stands beside {', '.join(parts)}; move it into one of them"
                )
    return parts


def _pairs(
    folder: Path, images: str, masks: str, image_suffix: str, suffix: str, part: str
) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Name, image and mask of every pair of one split, or of all where `part` is empty."""
    of_images, of_masks = (folder / value.replace(_SPLIT, part) for value in (images, masks))
    for path in (of_images, of_masks):
        if path.is_symlink():
            raise MaskmillError(
                f"{path}: a folder that is a link; DVC does not version what it leads to: copy it"
            )
    found = {
        "images": _files.by_name(
            of_images, image_suffix, without=of_masks if of_masks != of_images else None
        ),
        "masks": _files.by_name(
            of_masks, suffix, without=of_images if of_masks != of_images else None
        ),
    }
    if of_images == of_masks:
        if not suffix:
            raise MaskmillError(
                f"data/source.yaml: kind.mask_suffix: {of_images} holds images and masks; "
                "say what ends a mask's name"
            )
        found["images"] = {n: p for n, p in found["images"].items() if not p.stem.endswith(suffix)}
    for kind, path in (("images", of_images), ("masks", of_masks)):
        if not found[kind]:
            raise MaskmillError(
                f"{path}: no {kind}; put them there ({', '.join(_files.SUFFIXES)}), or change "
                f"`{kind}` or `kind` in data/source.yaml"
            )
    for name in found["images"].keys() | found["masks"].keys():
        yield name, found["images"].get(name), found["masks"].get(name)
