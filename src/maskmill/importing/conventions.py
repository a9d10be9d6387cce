"""How masks are written: ids and void, 0 and 255, a number per object, edges that were blurred."""

from collections.abc import Mapping, Sequence

from maskmill.importing.file_facts import Value
from maskmill.importing.measure import FolderContents
from maskmill.system.errors import MaskmillError, few_of

VOID = 255
_NEAR = 32  # so near to black or white counts as blurred from it
_CLASS = 0.03  # of the pixels; a value of more is no blur
_BLURRED = 0.95  # of the pixels lie so near, or have a colour that fills 3 x 3 px
_NUMBERED_MASKS, _NUMBERED_TOPS = 5, 3


def masks_of_conventions(found: FolderContents) -> tuple[int, int]:
    """How many masks hold 1, and how many hold 255."""
    return found.holding[1], found.holding[255]


def are_two(found: FolderContents) -> bool:
    """Whether some masks are of 0 and 1, and others of 0 and 255, and none of 1 and 255.

    Raises: MaskmillError where those of one kind are so few that the others may be meant.
    """
    if set(found.values) != {0, 1, 255} or found.pairs_of_values[1, 255]:
        return False
    few, many = sorted(masks_of_conventions(found))
    if few * 10 < many:
        raise MaskmillError(
            f"{found.holding[1]} masks hold 0 and 1, {found.holding[255]} hold 0 and 255, and none "
            "holds 1 and 255: two conventions for one thing, or pixels of no class in a few masks? "
            'Say which: --values "0=background,1=foreground,255=foreground", or --ignore 255'
        )
    return True


def is_numbered(found: FolderContents) -> bool:
    """Whether each mask holds 0, 1, .., k with a k of its own: a number per object."""
    tops = {top for top in found.numbered if top}
    masks = sum(found.numbered.values())
    everything = masks == len(found.plain) and not found.coloured
    return everything and masks >= _NUMBERED_MASKS and len(tops) >= _NUMBERED_TOPS and max(tops) > 2


def check_blurred(found: FolderContents) -> None:
    """Raises: MaskmillError where edges were smoothed, or saved with loss, with what helps."""
    way = "--threshold 128 takes what is brighter for the object"
    soft = found.edges - found.solid
    if (near := _share_near_ends(found, soft)) >= _BLURRED:
        kind = f" ({len(found.lossy)} of them are JPEG or the like)" if found.lossy else ""
        raise MaskmillError(
            f"masks hold {len(found.values)} values, {near:.1%} of the pixels near 0 or 255"
            f"{kind}: two classes with blurred edges. {way}"
        )
    if found.lossy:
        raise MaskmillError(
            f"{len(found.lossy)} masks were saved with loss, which changes ids: "
            f"{few_of(found.lossy, 3)}. Export them as PNG; of two classes, {way}"
        )
    solid = [value for value in found.values if value in found.solid]
    kept = sum(found.values[value] for value in solid)
    rest = sum(found.values[value] for value in soft)
    if len(soft) > len(solid) >= 2 and kept >= _BLURRED * (kept + rest):
        table = ",".join(
            f"{value}={name}"
            for value, name in zip(sorted(solid, key=str), numbered_names(len(solid)), strict=True)
        )
        colours = isinstance(solid[0], str)
        help_with = f'--values "{table}" --nearest' if colours else way
        raise MaskmillError(
            f"masks hold {len(soft)} {'colours' if colours else 'values'} on thin edges alone "
            f"beside {len(solid)} that fill areas "
            f"({list_values({v: found.values[v] for v in solid})}): blurred edges. "
            f"Export the masks without smoothing, or: {help_with}"
        )


def _share_near_ends(found: FolderContents, soft: set[Value]) -> float:
    """The share of pixels near 0 and near 255, where these are two clusters; 0 elsewhere.

    Ids and one 255, and values between that fill areas, are none.
    """
    numbers = [value for value in found.values if isinstance(value, int)]
    low = [value for value in numbers if value <= _NEAR]
    high = [value for value in numbers if 255 - _NEAR <= value <= 255]
    between = [value for value in numbers if _NEAR < value < 255 - _NEAR]
    inner = [value for value in low + high if value not in (0, 255)]
    total = sum(found.values.values())
    if any(found.values[v] > _CLASS * total for v in inner) and not found.lossy:
        return 0
    blurred = len(high) > 1 if not between else 2 * len(soft.intersection(between)) >= len(between)
    if len(numbers) < 4 or max(numbers) > 255 or not low or not high:
        return 0
    if not (blurred or found.lossy):
        return 0
    return sum(found.values[value] for value in low + high) / sum(found.values.values())


def is_ids_and_void(values: Sequence[Value]) -> bool:
    """Whether they are 0, 1, .., k and 255, which marks pixels of no class since PASCAL VOC."""
    return len(values) > 2 and list(values) == [*range(len(values) - 1), VOID]


def numbered_names(count: int) -> list[str]:
    """class_0, class_1, .. for classes that nobody has named."""
    return [f"class_{place}" for place in range(count)]


def list_values(found: Mapping[Value, int]) -> str:
    """Values with their shares of the pixels, in one line."""
    total = sum(found.values())
    parts = [f"{v} ({found[v] / total:.2%})" if total else f"{v}" for v in sorted(found, key=str)]
    if all(isinstance(v, int) for v in found):
        parts = [f"{v} ({found[v] / total:.2%})" if total else f"{v}" for v in sorted(found)]
    return few_of(parts, 20)
