"""Whether a folder holds images and masks as files, and how data/source.yaml says so."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from maskmill.images import decode
from maskmill.settings.config import STRICT
from maskmill.sources import Recognised, _files, _folder_layout, _names, folder
from maskmill.sources._folder_layout import Match, PictureSet
from maskmill.sources._names import class_name
from maskmill.sources._templates import PathTemplate
from maskmill.system.errors import MaskmillError, few_of

_PAIRINGS = {
    "numbers": "zeros before numbers are dropped to find pairs",
    "case": "capitals count as small letters to find pairs",
}


def recognise(
    top: Path, files: Sequence[Path], images: str = "", masks: str = ""
) -> Recognised | None:
    """The layout of folders of images and masks; `images` and `masks` are the user's choice.

    Raises: MaskmillError where two folders could be meant.
    """
    pictures = [path for path in files if path.suffix.lower() in _files.SUFFIXES]
    sets = _folder_layout.picture_sets(top, pictures)
    if "{" in images + masks:
        match = _match_of_paths(images, masks)
    elif matches := _folder_layout.find_matches(sets, images=images, masks=masks):
        match = _folder_layout.choose(matches, sets, top, asked=bool(masks))
    else:
        return None
    every = folder.find_files(top, match.images, match.masks, match.pairing)
    match, found = _read(top, match, every)
    config = _config(match)
    if lists := _split_lists(top, files, [each.identity for each in found]):
        config["lists"] = lists
        listed = folder.listed(top, lists, found)
    else:
        listed = found
    pairs = [each for each in listed if each.image and each.masks]
    if not pairs:
        return None
    notes = [_PAIRINGS[match.pairing]] if match.pairing in _PAIRINGS else []
    notes += _notes_on_masks(match)
    if len(pairs) < len(listed):
        config["unpaired"] = "leave_out"
    if _is_stack(pairs[0].image) or _is_stack(pairs[0].masks[0][1]):
        config["pages"] = True
        notes.append("each page of a file is an image, and the file their group")
    used = {pairs_path for each in pairs for pairs_path in (each.image, *_paths(each))}
    listed_ids = {id(each) for each in listed}
    strangers = [each for each in found if id(each) not in listed_ids]
    unused = _unused(files, used, every, strangers, sets, [top / name for name in lists.values()])
    return Recognised(
        config,
        _in_words(match, lists),
        [top / name for name in lists.values()],
        _classes(match, pairs),
        notes,
        unused,
    )


def _match_of_paths(images: str, masks: str) -> Match:
    """The user's own paths: `scans/{name}_t1`. Raises: MaskmillError where one has no name."""
    for option, text in (("--images", images), ("--masks", masks)):
        if "{name}" not in text and "{object}" not in text:
            raise MaskmillError(
                f"{option}: got {text!r}; needed is a path with {{name}} in it, as the other one "
                "has: FOLDER/{name}"
            )
        PathTemplate(text, option)
    return Match(images, masks, "exact", 0)


def _read(top: Path, match: Match, found: list[folder.Files]) -> tuple[Match, list[folder.Files]]:
    """The files of each image; a word in place of `{split}` where only one split has masks."""
    labelled = {each.split for each in found if each.masks and each.image}
    if "{split}" in match.images and "{split}" in match.masks and len(labelled) == 1:
        words = [
            PurePosixPath(path.relative_to(top)).as_posix()
            for each in found
            if each.image and each.masks and (path := each.image)
        ]
        template = PathTemplate(match.images, "layout")
        place = template.match(PurePosixPath(words[0]).with_suffix("").as_posix()) or {}
        if word := place.get("split"):
            match = Match(
                match.images.replace("{split}", word),
                match.masks.replace("{split}", word),
                match.pairing,
                match.matched,
            )
            found = folder.find_files(top, match.images, match.masks, match.pairing)
    return match, found


def _paths(each: folder.Files) -> list[Path]:
    return [path for _, path in each.masks]


def _config(match: Match) -> dict[str, Any]:
    """The options, as folders and suffixes where these say all."""
    config: dict[str, Any] = {"kind": "folder"}
    sides = {"image": match.images, "mask": match.masks}
    cut = {side: text.rpartition("{name}") for side, text in sides.items()}
    plain = all(
        mark and not folder_name.endswith("_") and "/" not in suffix and "{" not in suffix
        and (not folder_name or folder_name.endswith("/"))
        and not {"{folder}", "{class}", "{object}"} & {*_places(folder_name)}
        for folder_name, mark, suffix in cut.values()
    )  # fmt: skip
    for side, (folder_name, _, suffix) in cut.items():
        config[f"{side}s"] = (folder_name.rstrip("/") or ".") if plain else sides[side]
        if plain and suffix:
            config[f"{side}_suffix"] = suffix
    order = ("kind", "images", "masks", "image_suffix", "mask_suffix")
    config = {key: config[key] for key in order if key in config}
    if match.pairing != "exact":
        config["pairing"] = match.pairing
    return config


def _places(text: str) -> list[str]:
    return [f"{{{name}}}" for name in PathTemplate(text, "layout").places]


def _notes_on_masks(match: Match) -> list[str]:
    if "{class}" in match.masks:
        return ["a mask for each class: what is not 0 in it is of the class its folder names"]
    if "{object}" in match.masks:
        return ["several masks of one image: what is not 0 in any of them is of an object"]
    return []


def _classes(match: Match, pairs: Sequence[folder.Files]) -> list[str] | None:
    if "{class}" in match.masks:
        names = sorted({class_name(name) for each in pairs for name, _ in each.masks})
        return ["background", *(name for name in names if name != "background")]
    return ["background", "object"] if "{object}" in match.masks else None


def _is_stack(path: Path | None) -> bool:
    try:
        return path is not None and decode.header(path, STRICT, page=0).pages > 1
    except decode.DecodeError:
        return False


def _in_words(match: Match, lists: dict[str, str]) -> str:
    told = f"images in {_plain(match.images)}, masks in {_plain(match.masks)}"
    return told + (f", splits of {', '.join(lists.values())}" if lists else "")


def _plain(template: str) -> str:
    """The folder where the files' names say no more."""
    return template.removesuffix("/{name}") if template != "{name}" else "."


def _unused(
    files: Sequence[Path],
    used: set[Path | None],
    found: Sequence[folder.Files],
    strangers: Sequence[folder.Files],
    sets: Sequence[PictureSet],
    lists: Sequence[Path],
) -> dict[str, list[Path]]:
    """Why -> files that lie there and are no part of the data."""
    why: dict[str, list[Path]] = defaultdict(list)
    named = {id(each) for each in strangers}
    for each in found:
        if id(each) in named and each.image:
            why["images that no list names"] += [each.image, *_paths(each)]
        elif each.image and not each.masks:
            why["images without a mask; `maskmill predict` is for them"].append(each.image)
        elif not each.image:
            why["masks without an image"] += _paths(each)
    told = {path for paths in why.values() for path in paths}
    for one in sets:
        rest = [path for path in one.names.values() if path not in used and path not in told]
        if rest:
            why[f"pictures in {one.template or '.'} that are no part of these pairs"] += rest
    known = {path for one in sets for path in one.names.values()} | {*lists}
    others = [path for path in files if path not in known]
    if others:
        endings = sorted({path.suffix.lower() or path.name for path in others})
        why[f"other files ({few_of(endings, 6)})"] += others
    return dict(why)


def _split_lists(folder: Path, files: Iterable[Path], names: Iterable[str]) -> dict[str, str]:
    """Split -> text file that names its images, a line each: `ImageSets/Segmentation/train.txt`."""
    known = {PurePosixPath(name).name for name in names} | {*names}
    found: dict[str, str] = {}
    for path in files:
        split = _names.split_of(path.stem) if _names.is_split(path.stem) else ""
        if path.suffix.lower() != ".txt" or not split or split in found:
            continue
        try:
            lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        except UnicodeDecodeError:
            continue
        listed = [Path(words[0]).stem for words in lines if words]
        if listed and all(name in known for name in listed):
            found[split] = path.relative_to(folder).as_posix()
    return found if "train" in found else {}
