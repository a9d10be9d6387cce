"""ingest: list the pairs of the source, and draw those that are no files yet."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from maskmill import sources
from maskmill.images import decode
from maskmill.settings import config
from maskmill.settings.config import Data, Paths
from maskmill.sources import Pair
from maskmill.system import files

_log = logging.getLogger(__name__)


def ingest(paths: Paths, data: Data) -> None:
    """Write data/raw: index.csv, and images/<id>.png, masks/<id>.png for what the source makes.

    A user's files stay where they are, unread: the index names them, relative to the repository's
    top folder.
    Raises: MaskmillError that names what is wrong with the source.
    """
    raw, source = Path(paths.raw), Path(paths.source_config)
    pairs = sources.create(config.read_yaml(source), Path(paths.source), data, source)
    rows = [_row(pair, raw) for pair in tqdm(pairs, "ingest", unit="pair", disable=None)]
    index = pd.DataFrame(rows).sort_values("id", ignore_index=True)
    _drop_strangers(raw, {*index["image"], *index["mask"]})
    files.write_text(raw / sources.INDEX, index.to_csv(index=False))
    counts = index["split"].value_counts()
    given = [f"{split} {counts[split]}" for split in config.SPLITS if split in counts]
    told = f", split given: {', '.join(given)}" if given else ""
    _log.info(
        f"ingest: {len(index)} pairs in {index['group'].nunique()} groups{told} ->"
        f" {raw / 'index.csv'}"
    )


def _row(pair: Pair, raw: Path) -> dict[str, object]:
    return {
        "id": pair.id,
        "image": _placed_file(pair.image, raw / "images" / f"{pair.id}.png"),
        "mask": _placed_file(pair.mask, raw / "masks" / f"{pair.id}.png"),
        "group": pair.group,
        "sequence": pair.sequence or pair.group,
        "order": pair.order,
        "split": pair.split,
    }


def _placed_file(side: Path | Callable[[], np.ndarray] | None, made: Path) -> str:
    """Where the file lies; it is written to `made` where there is none.

    Empty where the side is missing: validate reports it with the others.
    """
    if side is None or isinstance(side, Path):
        return "" if side is None else side.as_posix()
    decode.write_png(made, side())
    return made.as_posix()


def _drop_strangers(raw: Path, kept: set[str]) -> None:
    """Delete what is in no pair any more: a stage run by hand finds the folder as it was."""
    for path in (path for folder in ("images", "masks") for path in (raw / folder).glob("*.png")):
        if path.as_posix() not in kept:
            path.unlink()
