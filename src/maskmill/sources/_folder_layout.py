"""Which folders, and which names in them, are images and masks: found from all names at once."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from maskmill.images import decode
from maskmill.settings.config import Decoding
from maskmill.sources import _names, _pairing, _roles
from maskmill.sources._templates import PathTemplate
from maskmill.system.errors import MaskmillError, few_of

_LOOKED_AT = 5  # files of a kind that are opened to tell what they are
_FEW_VALUES = 64  # a mask holds fewer, a photograph more
_ALIKE = 0.8  # of the folders beside each other; then their names say no role


@dataclass(frozen=True)
class PictureSet:
    """The picture files of folders that differ only in their places."""

    template: str  # of the folder: "{split}/images"; "" for the top
    names: Mapping[str, Path]  # path without ending, relative to the source -> file

    @property
    def role(self) -> str:
        """What the deepest folder that says anything says."""
        told = [_roles.role_of(part) for part in PurePosixPath(self.template).parts]
        return next((role for role in reversed(told) if role), "")


@dataclass(frozen=True)
class Match:
    """Images and masks that pair."""

    images: str  # template of paths without ending
    masks: str
    pairing: _pairing.Way
    matched: int


def picture_sets(folder: Path, pictures: Iterable[Path]) -> list[PictureSet]:
    """The pictures by the template of their folder."""
    relative = {path.relative_to(folder).with_suffix("").as_posix(): path for path in pictures}
    shape = _folder_templates({PurePosixPath(name).parent.parts for name in relative})
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for name, path in relative.items():
        found[shape(PurePosixPath(name).parent.parts)][name] = path
    return [
        PictureSet(template or posixpath.commonpath(map(posixpath.dirname, names)), names)
        for template, names in sorted(found.items())
    ]


def _divided(each: PictureSet) -> list[PictureSet]:
    """The next folders of a set one by one, where no folder's name says what it holds."""
    if each.role or "{" in each.template:
        return [each]
    depth = len(PurePosixPath(each.template).parts)
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for name, path in each.names.items():
        found["/".join(PurePosixPath(name).parent.parts[: depth + 1])][name] = path
    return [PictureSet(template, names) for template, names in sorted(found.items())]


def _folder_templates(
    folders: set[tuple[str, ...]],
) -> Callable[[tuple[str, ...]], str]:
    """A function: a folder's parts -> its template."""
    below: dict[tuple[str, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for folder in folders:
        for depth, name in enumerate(folder):
            below[folder[:depth]][name].update(folder[depth + 1 :])
    variable = {parent for parent, inside in below.items() if _are_alike(inside)}

    def template(parts: tuple[str, ...]) -> str:
        made: list[str] = []
        seen, end, role = set(), 0, ""
        for depth, part in enumerate(parts):
            written, word = _roles.split_words(part)
            if word and "split" not in seen:
                seen.add("split")
                made.append(written)
                end = len(made)
            elif parts[:depth] in variable and "folder" not in seen:
                seen.add("folder")
                made.append("{folder}")
            else:
                made.append(part)
            if told := _roles.role_of(part):
                role, end = told, len(made)
        return "/".join(made[:end] if role or "folder" not in seen else made)

    return template


def _are_alike(below: Mapping[str, set[str]]) -> bool:
    """Whether folders hold the same folders of images and masks: patients, say.

    `below`: folder -> the names of all folders in it.
    """
    inside: Counter[frozenset[str]] = Counter()
    for name, parts in below.items():
        if _roles.split_words(name)[1]:
            continue
        roles = {part: _roles.role_of(part) for part in parts}
        if not _roles.role_of(name) or (re.search(r"\d", name) and "mask" in roles.values()):
            inside[frozenset(p for p in parts if roles[p] or _roles.split_words(p)[1])] += 1
    if inside.total() < 2:
        return False
    commonest, count = inside.most_common(1)[0]
    return bool(commonest) and count >= _ALIKE * inside.total()


def find_matches(sets: Sequence[PictureSet], *, images: str = "", masks: str = "") -> list[Match]:
    """All ways in which sets pair, the one with the most pairs first.

    `images`, `masks`: a folder, or a template, that the user has named.
    """
    of_masks = [one for each in sets if (one := _asked(each, masks, each.role == "mask"))]
    of_images = [one for each in sets if (one := _asked(each, images, each.role == "image"))]
    if masks and not of_masks:
        raise MaskmillError(f"--masks {masks}: no pictures are there; there are in {_listed(sets)}")
    if images and not of_images:
        raise MaskmillError(
            f"--images {images}: no pictures are there; there are in {_listed(sets)}"
        )
    found = _matches(of_images, of_masks)
    every = [one for each in sets for one in _divided(each)]
    if not found and not images:
        taken = {name for each in of_masks for name in each.names}
        found = _matches([each for each in every if not taken & each.names.keys()], of_masks)
    if not found and not masks and not images:
        found = [match for each in sets for match in _matches([each], [each])]
    if not found and not of_masks:
        found = _by_pixels(every)
    return sorted(found, key=lambda match: -match.matched)


def _asked(each: PictureSet, wanted: str, by_name: bool) -> PictureSet | None:
    """The set, or what of it is in the folder that is wanted; None where it is another."""
    plain = wanted.strip("/")
    if not plain:
        return each if by_name else None
    if plain in (each.template, each.template.replace("{split}", "").strip("/")):
        return each
    inside = {name: path for name, path in each.names.items() if name.startswith(f"{plain}/")}
    if not inside or "{" in each.template or len(inside) == len(each.names):
        return each if inside else None
    return PictureSet(plain, inside)


def _listed(sets: Sequence[PictureSet]) -> str:
    return few_of([one.template or "." for each in sets for one in _divided(each)], 12)


def _matches(images: Iterable[PictureSet], masks: Iterable[PictureSet]) -> list[Match]:
    mask_sets = list(masks)
    return [match for one in images for other in mask_sets for match in _match(one, other)]


def _match(images: PictureSet, masks: PictureSet) -> list[Match]:
    """Ways in which one set's images pair with the other's masks."""
    one_folder = images.template == masks.template
    shared = [p for p in ("{split}", "{folder}") if p in images.template and p in masks.template]
    of_images, of_masks = (_rests(each, shared) for each in (images, masks))
    names = [[key + rest for key, rest in rests] for rests in (of_images, of_masks)]
    found = [
        Match(
            _join(images.template, pairing.image),
            _join(masks.template, pairing.mask),
            pairing.pairing,
            pairing.matched,
        )
        for pairing in _pairing.pair_names(*names, one_folder=one_folder)
    ]
    if not found and "{folder}" in shared and not one_folder:
        found = _several_in_folder(images, masks, of_images, of_masks)
    return found


def _rests(each: PictureSet, shared: Sequence[str]) -> list[tuple[str, str]]:
    """(what stands in the shared places, the path below the folder) of each file."""
    template = PathTemplate(_join(each.template, "{name}"), "layout")
    rests = []
    for name in each.names:
        place = template.match(name) or {}
        key = "".join(f"{_word(place, part.strip('{}'))}\0" for part in shared)
        rests.append((key, place.get("name", name)))
    return rests


def _word(place: Mapping[str, str], name: str) -> str:
    return _names.split_of(place.get(name, "")) if name == "split" else place.get(name, "")


def _several_in_folder(
    images: PictureSet,
    masks: PictureSet,
    of_images: Sequence[tuple[str, str]],
    of_masks: Sequence[tuple[str, str]],
) -> list[Match]:
    """One image in each folder, and masks of its objects under any names."""
    counts = Counter(key for key, _ in of_images)
    if max(counts.values(), default=0) != 1:
        return []
    matched = len(counts.keys() & {key for key, _ in of_masks})
    if matched * 2 < len(counts):
        return []
    return [
        Match(_join(images.template, "{name}"), _join(masks.template, "{object}"), "exact", matched)
    ]


def _join(folder: str, rest: str) -> str:
    return f"{folder}/{rest}" if folder else rest


def _by_pixels(sets: Sequence[PictureSet]) -> list[Match]:
    """Of two folders with equal names that say nothing, the one with few values holds the masks."""
    few = [each for each in sets if _holds_few_values(each)]
    many = [each for each in sets if each not in few]
    return _matches(many, few)


def _holds_few_values(each: PictureSet) -> bool:
    """Whether the first files hold few values, or colours, as masks do."""
    for path in list(each.names.values())[:_LOOKED_AT]:
        try:
            pixels = decode.mask(path, Decoding(mask_alpha="zero"), lossy=True)
        except decode.DecodeError:
            return False
        flat = pixels.reshape(-1, pixels.shape[2]) if pixels.ndim == 3 else pixels.reshape(-1, 1)
        if len(np.unique(flat, axis=0)) > _FEW_VALUES:
            return False
    return True


def choose(
    matches: Sequence[Match], sets: Sequence[PictureSet], folder: Path, *, asked: bool = False
) -> Match:
    """The one match that can be meant; `asked`: the user has named the folder of the masks.

    Raises: MaskmillError where it is not clear.
    """
    best = matches[0]
    near = [match for match in matches if match.matched * 2 >= best.matched]
    plain = [match for match in near if not _roles.is_derived(_last(match.masks))] or near
    if len(plain) == 1:
        if not asked:
            _check_alone(plain[0], sets, folder)
        return plain[0]
    if exact := [m for m in plain if "labelids" in "".join(_roles.words_of(_last(m.masks)))]:
        return exact[0]
    kinds = {match.masks for match in plain}
    if len(kinds) == 1:
        images = sorted({match.images for match in plain})
        raise MaskmillError(
            f"{folder}: images could be {few_of(images, 8)}: each pairs with {kinds.pop()}; say "
            f"which by --images {_folder_of(images[0])}"
        )
    masks = sorted(kinds)
    raise MaskmillError(
        f"{folder}: masks could be {few_of(masks, 8)}: each pairs with the images; say which by "
        f"--masks {_folder_of(masks[0])}"
    )


def _check_alone(match: Match, sets: Sequence[PictureSet], folder: Path) -> None:
    """Raises: MaskmillError where other masks lie there, as many, whose names pair with nothing."""
    own = next((each for each in sets if match.masks.startswith(each.template)), None)
    for other in sets:
        if other.role != "mask" or other is own or _roles.is_derived(_last(other.template)):
            continue
        if match.masks.startswith(f"{other.template}/") or len(other.names) < match.matched:
            continue
        name = next(iter(other.names))
        raise MaskmillError(
            f"{folder}: masks could be {match.masks}, which pairs with the images, or "
            f"{other.template}, which holds {len(other.names)} files ({name}, ..) under names that "
            f"do not; say which by --masks {_folder_of(match.masks)}, or by paths: --images "
            f"'{_example(match.images)}' --masks '{PurePosixPath(name).parent.as_posix()}/{{name}}'"
        )


def _example(template: str) -> str:
    return template.replace("{split}", "train")


def _last(template: str) -> str:
    """The parts of a path that say what a mask is: from the folder of its role on."""
    parts = PurePosixPath(template).parts
    told = [i for i, part in enumerate(parts) if _roles.role_of(part)]
    return "/".join(parts[told[-1] if told else 0 :])


def _folder_of(template: str) -> str:
    folder, _, rest = template.rpartition("/")
    return template if rest != "{name}" else folder
