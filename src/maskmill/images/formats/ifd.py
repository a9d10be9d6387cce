"""The tags of a TIFF file, and of EXIF, which is one."""

import struct
from dataclasses import dataclass

from maskmill.images.formats.header import DamageError

# whole numbers; no other tag is needed
_TYPES = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
_ORIENTATION = 274
_MAX_PAGES = 10_000


@dataclass(frozen=True)
class Tag:
    """Where the values of one tag stand."""

    kind: str  # of struct
    count: int
    at: int


@dataclass(frozen=True)
class Page:
    """One image file directory."""

    content: bytes
    order: str  # "<" or ">"
    tags: dict[int, Tag]

    def values(self, number: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """All values of a tag."""
        tag = self.tags.get(number)
        if tag is None:
            return default
        return struct.unpack_from(f"{self.order}{tag.count}{tag.kind}", self.content, tag.at)

    def value(self, number: int, default: int) -> int:
        """The first value of a tag."""
        return (self.values(number) or (default,))[0]


def pages(content: bytes) -> list[Page]:
    """Return all pages.

    Raises: DamageError for a broken or circular chain; struct.error for one that is cut off.
    """
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None:
        raise DamageError("no TIFF header")
    (version,) = struct.unpack_from(f"{order}H", content, 2)
    big = version == 43
    at = (
        struct.unpack_from(f"{order}Q", content, 8)[0]
        if big
        else struct.unpack_from(f"{order}I", content, 4)[0]
    )
    found: list[Page] = []
    seen = set()
    while at:
        if at in seen or len(found) == _MAX_PAGES:
            raise DamageError("its pages form a circle")
        seen.add(at)
        tags, at = _directory(content, at, order, big)
        found.append(Page(content, order, tags))
    return found


def orientation(exif: bytes) -> int:
    """Return the orientation that an EXIF block states, 1..8.

    It is 1 where the block states none or is damaged, as viewers do.
    """
    try:
        return orientation_of(pages(exif)[0])
    except (DamageError, struct.error, IndexError):
        return 1


def orientation_of(page: Page) -> int:
    """The orientation that a page states, 1..8; cameras write 0 where they do not know it."""
    stated = page.value(_ORIENTATION, 1)
    return stated if 1 <= stated <= 8 else 1


def _directory(content: bytes, at: int, order: str, big: bool) -> tuple[dict[int, Tag], int]:
    head, entry, follow, inline = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    (count,) = struct.unpack_from(order + head, content, at)
    at += struct.calcsize(order + head)
    size = struct.calcsize(order + entry) + inline
    if at + count * size > len(content):
        raise DamageError("cut off: its directory of tags ends beyond the file")
    tags = {}
    for i in range(count):
        here = at + i * size
        number, kind, values = struct.unpack_from(order + entry, content, here)
        place = here + size - inline
        if kind in _TYPES:
            if values * struct.calcsize(_TYPES[kind]) > inline:
                (place,) = struct.unpack_from(order + follow, content, place)
            tags[number] = Tag(_TYPES[kind], values, place)
    (following,) = struct.unpack_from(order + follow, content, at + count * size)
    return tags, following
