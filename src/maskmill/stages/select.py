"""select: put one variant forward, by validation scores and costs alone."""

import logging
import shutil
from pathlib import Path

from maskmill.curation import manifest
from maskmill.decisions.select import Candidate, choose_variant
from maskmill.evaluation.cost import read_cost
from maskmill.evaluation.evaluate import read_statistics
from maskmill.inference.predict import CARD, WEIGHTS
from maskmill.metrics import Labels, create
from maskmill.settings.config import Data, Evaluation, Intervals, Paths, Selection
from maskmill.statistics import units
from maskmill.statistics.intervals import paired_differences
from maskmill.statistics.scores import Score, read_scores
from maskmill.system import files

_log = logging.getLogger(__name__)


def select(
    paths: Paths, variants: tuple[str, ...], data: Data, evaluation: Evaluation,
    intervals: Intervals, selection: Selection,
) -> None:  # fmt: skip
    """Write metrics/selection.json and challenger/, a copy of the chosen model.

    challenger/ is empty where no model is good enough.
    """
    metrics, primary = Path(paths.metrics), evaluation.primary
    candidates = [
        Candidate(
            variant,
            read_scores(metrics / "val" / f"{variant}.json")[primary],
            read_cost(metrics / "cost" / f"{variant}.json"),
        )
        for variant in variants
    ]
    tables = {
        variant: read_statistics(metrics / "val" / f"{variant}.parquet") for variant in variants
    }
    ids, described = (
        tables[variants[0]]["id"].tolist(),
        manifest.read(Path(paths.prepared) / "manifest.parquet"),
    )
    of_image = units.units_of_images(ids, described, intervals)
    families = create({}, Labels.of(data))  # the primary metric is of these

    statistics = {
        variant: table.set_index("id").loc[ids, list(families.fields)].to_numpy()
        for variant, table in tables.items()
    }

    def compare(a: str, b: str) -> Score:
        return paired_differences(
            families, statistics[a], statistics[b], of_image, intervals, only=primary
        )[primary]

    choice = choose_variant(
        candidates,
        compare,
        selection,
        primary,
        units.caveat_of_units(of_image, ids, described, intervals),
    )
    challenger = Path(paths.challenger)
    shutil.rmtree(challenger, ignore_errors=True)
    challenger.mkdir(parents=True)
    if choice.challenger:
        for name in (WEIGHTS, CARD):
            files.write_bytes(
                challenger / name, (Path(paths.models) / choice.challenger / name).read_bytes()
            )
    files.write_json(metrics / "selection.json", choice.as_json(primary, selection))
    _log.info(f"select: {choice.challenger or 'none'}: {choice.reason}")
    if choice.caveat:
        _log.info(f"select: {choice.caveat}")
