"""Paths with places for what differs between files: `{split}/{folder}/images/{name}_rgb`."""

import re
from pathlib import PurePosixPath

from maskmill.system.errors import MaskmillError

PLACES = {
    "split": r"(?i:training|train|validation|valid|val|testing|test)",
    "folder": r"[^/]+",
    "name": r".+?",
    "class": r"[^/]+?",
    "object": r"[^/]*?",
}
_PLACE = re.compile(r"\{(\w*)\}|(\*)")


class PathTemplate:
    """The paths of a kind of files below a folder, without their endings.

    `{split}` is train, val or test, `{folder}` one folder's name, `{name}` what tells the image
    (with the folders in it), `{class}` a class, `{object}` anything that tells the masks of one
    image apart, `*` anything without a `/`.
    """

    def __init__(self, text: str, where: str) -> None:
        """`where` is the setting that holds the template.

        Raises: MaskmillError for a path that leads out, or a place that is not known.
        """
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts:
            raise MaskmillError(f"{where}: {text!r} leads out of its folder; name a path below it")
        self.text = text
        self.places = tuple(dict.fromkeys(name for name, star in _PLACE.findall(text) if not star))
        if unknown := [name for name in self.places if name not in PLACES]:
            allowed = ", ".join(f"{{{name}}}" for name in PLACES)
            raise MaskmillError(
                f"{where}: {text!r} holds {{{unknown[0]}}}; allowed are {allowed} and *"
            )
        self._pattern = re.compile(_as_pattern(text), re.DOTALL)

    @property
    def folder(self) -> str:
        """The folders before the first place: `images` of `images/{split}/{name}`."""
        before = _PLACE.split(self.text, maxsplit=1)[0]
        return before.rpartition("/")[0]

    def match(self, path: str) -> dict[str, str] | None:
        """What stands in the places of a path without ending; None for a path of another form."""
        found = self._pattern.fullmatch(path)
        return found and {name: value for name, value in found.groupdict().items() if value}


def _as_pattern(text: str) -> str:
    made, end = "", 0
    seen: set[str] = set()
    for place in _PLACE.finditer(text):
        made += re.escape(text[end : place.start()])
        name, end = place[1], place.end()
        if place[2]:
            made += "[^/]*"
        elif name in seen:
            made += f"(?P={name})"
        else:
            made += f"(?P<{name}>{PLACES[name]})"
            seen.add(name)
    return made + re.escape(text[end:])
