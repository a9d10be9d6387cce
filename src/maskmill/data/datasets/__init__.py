"""Where images and masks come from: one source per file, chosen by `kind` in data/source.yaml."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskmill import components
from maskmill.config import Data
from maskmill.errors import MaskmillError


@dataclass(frozen=True)
class Pair:
    """An image and its mask, not yet read.

    `group` names what must not be torn over splits (a patient, a video); `order` is the place within the group.
    A reader that is None stands for a file that is not there.
    """

    id: str
    group: str
    order: int
    read_image: Callable[[], np.ndarray] | None  # (H, W, channels) uint8
    read_mask: Callable[[], np.ndarray] | None  # (H, W) uint8, class ids


def create(config: Any, folder: Path, data: Data, where: Path) -> Iterator[Pair]:
    """The pairs of the source that data/source.yaml describes: `kind`, its options, and a `notice` for the report.

    Raises: MaskmillError for an unknown kind or option.
    """
    if not isinstance(config, dict) or "kind" not in config:
        kinds = ", ".join(components.names(__name__))
        raise MaskmillError(f"{where}: needs a line `kind: NAME`; known are {kinds}")
    options = {key: value for key, value in config.items() if key not in ("kind", "notice")}
    given = {"folder": folder, "data": data}
    pairs: Iterator[Pair] = components.create(__name__, str(config["kind"]), f"{where}: kind", given, options)
    return pairs
