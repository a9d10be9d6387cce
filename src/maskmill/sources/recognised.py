"""What a source finds when it is asked whether a folder is its layout."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Recognised:
    """The source's settings as data/source.yaml has them, and what was found, in words."""

    config: dict[str, Any]  # `kind` and its options
    told: str  # why it is this layout: "LabelMe: 12 JSON files beside their images"
    files: list[Path] = field(default_factory=list)  # besides images and masks: annotations, lists
    classes: list[str] | None = None  # where the source draws its masks itself; background first
    notes: list[str] = field(default_factory=list)  # what was doubtful, counted
    unused: dict[str, list[Path]] = field(default_factory=dict)  # why -> files that are not used
