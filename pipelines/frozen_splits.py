"""Splits that an experiment has made, and left to the next run of the line to freeze."""

import hashlib
from pathlib import Path
from typing import Any

from maskmill.curation.frozen import freeze_splits, read_frozen_splits
from maskmill.settings import config
from pipelines import workspace

_MADE = "splits.csv"  # in paths.prepared: what the stage split has made of data/splits.csv


def freeze_after_experiment(params: config.Params, say: workspace.Say) -> None:
    """Write the groups that an experiment has divided into data/splits.csv.

    `dvc exp run` leaves that file as it is, and the stage does not run again by itself as long as
    nothing changes: images that come then must not move the old ones. Where somebody has edited
    data/splits.csv since, or folds are divided, nothing is written.
    """
    frozen, made = Path(params.paths.splits), Path(params.paths.prepared) / _MADE
    if not made.exists() or not frozen.exists() or not workspace.LOCK.exists():
        return
    known, divided = read_frozen_splits(frozen), read_frozen_splits(made)
    if divided.split_of.keys() <= known.split_of.keys() or divided.has_folds:
        return
    locked = _digests_of_split()
    if all(locked.get(path.as_posix()) == _md5(path) for path in (frozen, made)):
        new = freeze_splits(known, divided.split_of)
        say(f"split: {len(new)} groups of an experiment keep their split from now on: {frozen}")


def _digests_of_split() -> dict[str, Any]:
    """The digests in dvc.lock of what the stage split has read and written, by path."""
    lock = config.read_yaml(workspace.LOCK)
    stage = lock.get("stages", {}).get("split", {}) if isinstance(lock, dict) else {}
    return {
        entry["path"]: entry.get("md5")
        for kind in ("deps", "outs")
        for entry in stage.get(kind, ())
    }


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
