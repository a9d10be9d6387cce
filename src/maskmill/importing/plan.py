"""What the user wishes of an import, and all that it will write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskmill.importing.file_facts import Value
from maskmill.importing.meaning import Asked, MaskMeaning
from maskmill.importing.measure import FolderContents
from maskmill.settings.config import Data, Decoding
from maskmill.sources import Pair, Recognised


@dataclass(frozen=True)
class Wishes:
    """What the user says instead of having it guessed."""

    classes: tuple[str, ...] = ()
    background: str | None = None  # a class, or "none"
    ignore: Value | None = None
    groups: str | None = None  # a pattern, a column of the list, "folder" or "none"
    title: str | None = None
    name: str | None = None
    kind: str = ""  # of source
    images: str = ""  # folder, or template of paths
    masks: str = ""
    values: Mapping[Value, str] = field(default_factory=dict)  # stored value or #rrggbb -> class
    threshold: int | None = None
    nearest: bool = False
    split: str = ""  # "given" or "new"
    bands: tuple[int, ...] = ()
    value_range: tuple[float, float] | None = None
    keep_unlabelled: bool = False

    @property
    def asked(self) -> Asked:
        """What of this is about the values of masks."""
        return Asked(
            self.classes, self.values, self.ignore, self.background, self.threshold, self.nearest
        )


@dataclass(frozen=True)
class Plan:
    """The source, the settings, and what they rest on."""

    layout: Recognised
    pairs: list[Pair]
    contents: FolderContents
    meaning: MaskMeaning
    settings: dict[str, Any]  # key of params.yaml -> value
    data: Data  # as the settings will have it
    params_yaml: str
    changes: list[str]  # of params.yaml
    again: bool  # the data are those of the import before, whose settings stay
    notes: list[str]  # what was doubtful

    @property
    def decoding(self) -> Decoding:
        """How images will be read."""
        return self.data.decoding

    @property
    def files(self) -> list[Path]:
        """All files of the source that are used."""
        used: set[Path] = {*self.layout.files}
        for pair in self.pairs:
            for side in (pair.image, pair.mask):
                used |= {side} if isinstance(side, Path) else {*getattr(side, "files", ())}
        return sorted(used)

    @property
    def unused(self) -> dict[str, list[Path]]:
        """Why -> files that lie there and are not used."""
        used = {*self.files}
        rest = {
            why: [path for path in paths if path not in used]
            for why, paths in self.layout.unused.items()
        }
        return {why: paths for why, paths in rest.items() if paths}
