"""fold: train one variant on all folds but one, and score it on that one."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from maskmill.curation import manifest
from maskmill.curation.frozen import read_frozen_splits
from maskmill.evaluation import evaluate
from maskmill.inference.predict import Predictor
from maskmill.metrics import Labels, create
from maskmill.samples.shards import Shard
from maskmill.settings import state
from maskmill.settings.config import (
    Augmentation,
    Data,
    Evaluation,
    Inference,
    Paths,
    Splits,
    Train,
    Variant,
)
from maskmill.stages.augment import augment
from maskmill.stages.split import write_division
from maskmill.stages.train import train as learn
from maskmill.system.errors import MaskmillError
from maskmill.system.processes import is_first_of_training

_log = logging.getLogger(__name__)

HELD_OUT = "held_out.parquet"  # beside the model: the statistic of each image of the fold


def fold(
    paths: Paths, data: Data, splits: Splits, augmentation: Augmentation,
    models: dict[str, Variant], train: Train, evaluation: Evaluation,
    metrics: dict[str, dict[str, Any]], inference: Inference, variant: str, fold: int, folds: int,
) -> None:  # fmt: skip
    """Write folds/<fold>/<variant>/: held_out.parquet, the model and what `train` writes beside it.

    The stages split, augment and train do the work, in a folder below paths.state that is gone
    afterwards but for the checkpoints of a training that was cut off. Where the source gives the
    splits, its test split is kept.
    Raises: MaskmillError where these stages do.
    """
    own = _paths_of_fold(paths, fold, folds)
    if is_first_of_training():
        _link_inputs(paths, own)
        frozen = read_frozen_splits(Path(own.splits))
        write_division(own, data, splits.model_copy(update={"folds": folds, "fold": fold}), frozen)
        _check_same_test(paths, own)
        augment(own, data, augmentation)
    learn(own, data, models, train, evaluation, variant)
    if not is_first_of_training():
        return
    out = Path(own.models) / variant
    labels = Labels.of(data)
    result = evaluate.evaluate_split(
        Predictor(out, settings=inference), Shard(Path(own.prepared) / "shards", "val"),
        metrics=create(metrics, labels), labels=labels, primary=evaluation.primary, gallery=0,
        title=f"{variant} on fold {fold}",
    )  # fmt: skip
    evaluate.write_statistics(out / HELD_OUT, result)
    _log.info(
        f"{variant}: {evaluation.primary} {result.points()[evaluation.primary]:.4f} over fold"
        f" {fold} of {folds}"
    )
    for folder in (own.prepared, own.reports):
        shutil.rmtree(folder)


def _paths_of_fold(paths: Paths, number: int, folds: int) -> Paths:
    """Where this fold's stages read and write."""
    root = Path(paths.state) / "folds" / f"{number}of{folds}"
    beside = state.state_folder_beside(
        root / "state", Path(paths.state), (state.VERIFIED, state.WEIGHTS, state.SPOOL)
    )
    return paths.model_copy(
        update={
            "prepared": str(root / "prepared"), "reports": str(root / "reports"),
            "state": str(beside), "models": str(Path(paths.folds) / str(number)),
        }
    )  # fmt: skip


def _link_inputs(paths: Paths, own: Paths) -> None:
    """Bring in what `validate` found, and the shards, whose files need not be written again."""
    for folder in (own.prepared, own.reports):
        shutil.rmtree(folder, ignore_errors=True)
    shards = Path(own.prepared) / "shards"
    shards.mkdir(parents=True)
    Path(own.reports).mkdir(parents=True)
    for name in ("pairs.parquet", "duplicates.json"):
        shutil.copyfile(Path(paths.prepared) / name, Path(own.prepared) / name)
    shutil.copyfile(Path(paths.reports) / "validation.json", Path(own.reports) / "validation.json")
    for path in (Path(paths.prepared) / "shards").iterdir():
        try:
            os.link(path.resolve(), shards / path.name)
        except OSError:  # another disk
            shutil.copyfile(path, shards / path.name)


def _check_same_test(paths: Paths, own: Paths) -> None:
    """All folds keep away from the images on which everything is tested."""
    tables = [manifest.read(Path(part.prepared) / "manifest.parquet") for part in (paths, own)]
    whole, part = (set(table.loc[table["split"] == "test", "id"]) for table in tables)
    if whole != part:
        raise MaskmillError(
            f"{len(whole ^ part)} images test in the line or in this fold alone; freeze the split"
            f" first: cp {paths.prepared}/splits.csv {paths.splits}"
        )


def read_held_out(folder: Path) -> pd.DataFrame:
    """The statistics of the images on which the model in `folder` did not train.

    Raises: MaskmillError when they are not there.
    """
    path = folder / HELD_OUT
    if not path.exists():
        raise MaskmillError(f"{path}: no such file; train the folds first: `make folds`")
    return evaluate.read_statistics(path)
