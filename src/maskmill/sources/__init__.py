"""Where images and masks come from: one source per file, chosen by `kind` in data/source.yaml."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maskmill.settings.config import Data
from maskmill.sources import _names
from maskmill.system import components
from maskmill.system.errors import MaskmillError

INDEX = "index.csv"  # in data/raw
Side = Path | Callable[[], np.ndarray] | None  # a user's file; what makes the pixels; not there


@dataclass(frozen=True)
class Pair:
    """An image and its mask, not yet read.

    `id` can be a file's name. `group` names what must not be torn over splits (a patient, a video);
    `order` is the place within `sequence` (a video, a stack), which is the group where it is empty.
    `split` is the one that the source gives, or empty.
    """

    id: str
    image: Side  # (H, W, channels) uint8
    mask: Side  # (H, W); class ids where it is made, stored values where it is a file
    group: str
    order: int
    sequence: str = ""
    split: str = ""


@dataclass(frozen=True)
class Recognised:
    """A folder's layout: the settings with which a source reads it, and what should be told."""

    config: dict[str, Any]  # what data/source.yaml will hold: kind and its options
    told: str  # why it is this layout, in words: "LabelMe: 12 JSON files beside their images"
    files: list[Path] = field(default_factory=list)  # besides images and masks: annotations, lists
    classes: list[str] | None = None  # where the source draws its masks, background first
    notes: list[str] = field(default_factory=list)  # what is doubtful, and was counted
    unused: dict[str, list[Path]] = field(default_factory=dict)  # why -> files that are not used


Recogniser = Callable[[Path, Sequence[Path]], Recognised | None]


def recognisers() -> dict[str, Recogniser]:
    """Kind of source -> its function `recognise(folder, files)`, of all sources that have one.

    `files` are all regular files below `folder`. None says that the folder is not laid out so; a
    MaskmillError that it is, and cannot be used: another source may read the folder nevertheless.
    """
    return components.functions(__name__, "recognise")


def create(config: Any, folder: Path, data: Data, where: Path) -> list[Pair]:
    """The pairs of the source that data/source.yaml describes.

    The file has `kind`, its options, and a `notice` for the report.

    Raises: MaskmillError for an unknown kind or option, and for names that not every system can
        keep.
    """
    if not isinstance(config, dict) or "kind" not in config:
        kinds = ", ".join(components.names(__name__))
        raise MaskmillError(f"{where}: needs a line `kind: NAME`; known are {kinds}")
    options = {key: value for key, value in config.items() if key not in ("kind", "notice")}
    given = {"folder": folder, "data": data}
    pairs: Iterable[Pair] = components.create(
        __name__, str(config["kind"]), f"{where}: kind", given, options
    )
    listed = list(pairs)
    _names.check_names(
        (pair.id, _names.pair_in_words(pair.id, pair.image, pair.mask)) for pair in listed
    )
    if not listed:
        raise MaskmillError(
            f"{where}: the source holds no pairs; put files into {folder}, or choose another `kind`"
        )
    return listed


def read_index(raw: Path) -> pd.DataFrame:
    """The pairs as `ingest` listed them; a missing file is "".

    Columns: id, image, mask, group, sequence, order, split.
    """
    texts = dict.fromkeys(("id", "image", "mask", "group", "sequence", "split"), str)
    return pd.read_csv(raw / INDEX, dtype=texts, keep_default_na=False)
