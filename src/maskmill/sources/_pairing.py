"""How the names of images and of their masks belong together, found by comparing all of them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from maskmill.sources import _names, _roles

_NUMBERED = re.compile(r"[_\-. ]?\d+")
_SEPARATORS = "_-. "


Way = Literal["exact", "numbers", "case"]


@dataclass(frozen=True)
class NamePairing:
    """Templates of the rest of both paths below their folders, and how many images have a mask."""

    image: str
    mask: str
    matched: int
    pairing: Way = "exact"


def pair_names(
    images: Sequence[str], masks: Sequence[str], *, one_folder: bool
) -> list[NamePairing]:
    """Ways in which names of images and masks pair, the first that finds any.

    Several where one way leads to several masks of an image. `one_folder`: both are the names of
    one folder.
    """
    if one_folder:
        return _by_ending(images, masks, shortest=True) or _by_last_word(images)
    ways = (_exact, _by_class_folder, _by_ending, _by_case, _by_numbers, _by_own_ends)
    enough = max(1, min(len(images), len(masks)) // 4)
    for way in ways:
        if found := [pairing for pairing in way(images, masks) if pairing.matched >= enough]:
            return found
    return []


def _exact(images: Sequence[str], masks: Sequence[str]) -> list[NamePairing]:
    return [NamePairing("{name}", "{name}", len({*images} & {*masks}))]


def _by_class_folder(images: Sequence[str], masks: Sequence[str]) -> list[NamePairing]:
    """masks/cat/1, masks/dog/1 of images/1."""
    known = {*images}
    classes: dict[str, set[str]] = defaultdict(set)
    for mask in masks:
        name, _, rest = mask.partition("/")
        if rest in known:
            classes[name].add(rest)
    if len(classes) < 2:
        return []
    matched = set().union(*classes.values())
    return [NamePairing("{name}", "{class}/{name}", len(matched))]


def _by_ending(
    images: Sequence[str], masks: Sequence[str], *, shortest: bool = False
) -> list[NamePairing]:
    """1_mask of 1; 1_gt_ids and 1_gt_colour of 1_left; 1_mask, 1_mask_1 and 1_mask_2 of 1.

    Of several images whose names a mask's begins with it is that of the longest, or `shortest`.
    """
    for suffix in ("", _common_suffix(images)):
        cores = {image.removesuffix(suffix) for image in images if image.endswith(suffix)}
        endings: Counter[str] = Counter()
        of_core: dict[str, list[str]] = defaultdict(list)
        for mask in masks:
            parts = [part for part in _beginnings(mask) if part in cores]
            parts = [part for part in parts if mask[len(part)] in _SEPARATORS]
            core = parts[-1 if shortest else 0] if parts else None
            if core is not None:
                endings[mask[len(core) :]] += 1
                of_core[core].append(mask[len(core) :])
        if not endings:
            continue
        base, _ = endings.most_common(1)[0]
        if _has_numbered(base, of_core.values()):
            count = sum(base in found for found in of_core.values())
            return [NamePairing(f"{{name}}{suffix}", f"{{name}}{base}{{object}}", count)]
        found = [
            NamePairing(f"{{name}}{suffix}", f"{{name}}{ending}", count)
            for ending, count in endings.items()
            if count * 4 >= len(cores) and not ending[1:].isdecimal()
        ]
        if found:
            return found
    return []


def _has_numbered(base: str, found: Iterable[Sequence[str]]) -> bool:
    """Whether some image has masks `_mask` and `_mask_1`."""
    return any(
        base in endings
        and any(
            _NUMBERED.fullmatch(ending.removeprefix(base))
            for ending in endings
            if ending != base and ending.startswith(base)
        )
        for endings in found
    )


def _by_last_word(names: Sequence[str]) -> list[NamePairing]:
    """1_image and 1_label in one folder."""
    cores: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if match := re.search(r"[_\-. ][A-Za-z]+$", name):
            cores[match[0]].add(name[: match.start()])
    masks = [ending for ending in cores if _roles.role_of(ending) == "mask"]
    images = [ending for ending in cores if ending not in masks]
    found = [
        NamePairing(f"{{name}}{of_image}", f"{{name}}{of_mask}", len(shared))
        for of_mask in masks
        for of_image in images
        if len(shared := cores[of_image] & cores[of_mask]) * 2 >= len(cores[of_mask])
    ]
    return sorted(found, key=lambda pairing: -pairing.matched)


def _by_own_ends(images: Sequence[str], masks: Sequence[str]) -> list[NamePairing]:
    """image_1 and mask_1, 1_rgb and 1_gt: what all images, and all masks, begin and end with."""
    for with_prefix in (False, True):
        ends = []
        for names in (images, masks):
            prefix = _common_prefix(names) if with_prefix else ""
            ends.append((prefix, _common_suffix([name.removeprefix(prefix) for name in names])))
        cores = [
            {name[len(prefix) : len(name) - len(suffix)] for name in names}
            for names, (prefix, suffix) in zip((images, masks), ends, strict=True)
        ]
        if shared := cores[0] & cores[1]:
            image, mask = (f"{prefix}{{name}}{suffix}" for prefix, suffix in ends)
            return [NamePairing(image, mask, len(shared))]
    return []


def _by_numbers(images: Sequence[str], masks: Sequence[str]) -> list[NamePairing]:
    """1 and 0001."""
    keys = [{str(_names.natural_sort_key(name)) for name in names} for names in (images, masks)]
    if len(keys[0]) < len(images) or len(keys[1]) < len(masks):
        return []
    return [NamePairing("{name}", "{name}", len(keys[0] & keys[1]), "numbers")]


def _by_case(images: Sequence[str], masks: Sequence[str]) -> list[NamePairing]:
    """Img_1 and img_1."""
    keys = [{name.lower() for name in names} for names in (images, masks)]
    if len(keys[0]) < len(images) or len(keys[1]) < len(masks):
        return []
    return [NamePairing("{name}", "{name}", len(keys[0] & keys[1]), "case")]


def _beginnings(name: str) -> Iterable[str]:
    """All beginnings, the longest first, without the whole."""
    return (name[:end] for end in range(len(name) - 1, 0, -1))


def _common_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to the first digit or within a word to its end."""
    prefix = _shared_start(names)
    return re.sub(r"\d+$", "", prefix)


def _common_suffix(names: Sequence[str]) -> str:
    """What all names end with, from a separator before a letter on; or nnU-Net's `_0000`."""
    common = _shared_start([name[::-1] for name in names])[::-1]
    if match := re.search(r"[_\-. ][A-Za-z][\w\-. ]*$", common):
        return match[0]
    return "_0000" if common.endswith("_0000") else ""


def _shared_start(names: Sequence[str]) -> str:
    """The longest beginning that all names have."""
    first, last = min(names), max(names)
    end = 0
    while end < min(len(first), len(last)) and first[end] == last[end]:
        end += 1
    return first[:end]
