"""select: put one variant forward, by validation scores and costs alone."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from maskmill.curation import manifest
from maskmill.decisions.select import Candidate, VariantChoice, choose_variant
from maskmill.evaluation.cost import read_cost
from maskmill.evaluation.evaluate import read_statistics
from maskmill.inference.predict import CARD, WEIGHTS
from maskmill.metrics import Labels, create
from maskmill.settings.config import Data, Evaluation, Intervals, Paths, Selection
from maskmill.statistics import units
from maskmill.statistics.intervals import paired_differences
from maskmill.statistics.optimism import score_of_the_best
from maskmill.statistics.scores import Score, clean_name, read_scores
from maskmill.system import files

_log = logging.getLogger(__name__)


def select(
    paths: Paths, variants: tuple[str, ...], data: Data, evaluation: Evaluation,
    intervals: Intervals, selection: Selection,
) -> None:  # fmt: skip
    """Write metrics/selection.json and challenger/, a copy of the chosen model.

    challenger/ is empty where no model is good enough.
    """
    metrics = Path(paths.metrics)
    tables = {
        variant: read_statistics(metrics / "val" / f"{variant}.parquet") for variant in variants
    }
    rows, name, caveat = _deciding_images(tables[variants[0]], evaluation)
    candidates = [
        Candidate(
            variant,
            read_scores(metrics / "val" / f"{variant}.json")[name],
            read_cost(metrics / "cost" / f"{variant}.json"),
        )
        for variant in variants
    ]
    choice = _choose(
        candidates, tables, rows, caveat, paths, data, evaluation, intervals, selection
    )
    challenger = Path(paths.challenger)
    shutil.rmtree(challenger, ignore_errors=True)
    challenger.mkdir(parents=True)
    if choice.challenger:
        for name in (WEIGHTS, CARD):
            files.write_bytes(
                challenger / name, (Path(paths.models) / choice.challenger / name).read_bytes()
            )
    files.write_json(metrics / "selection.json", choice.as_json(name, selection))
    _log.info(f"select: {choice.challenger or 'none'}: {choice.reason}")
    for line in filter(None, (choice.winner.in_words(), choice.caveat)):
        _log.info(f"select: {line}")


def _deciding_images(table: pd.DataFrame, evaluation: Evaluation) -> tuple[list[str], str, str]:
    """The images that decide, the score over them, and what is to be said of that.

    Where some leak, those that do not decide; where all do, there is nothing else than all.
    """
    clean = table[table["clean"]]["id"].tolist()
    if not evaluation.clean or len(clean) == len(table):
        return table["id"].tolist(), evaluation.primary, ""
    if clean:
        return clean, clean_name(evaluation.primary), ""
    return table["id"].tolist(), evaluation.primary, "every validation image leaks, which flatters"


def _choose(
    candidates: list[Candidate], tables: dict[str, pd.DataFrame], ids: list[str], caveat: str,
    paths: Paths, data: Data, evaluation: Evaluation, intervals: Intervals, selection: Selection,
) -> VariantChoice:  # fmt: skip
    """Compare the variants in pairs by the images `ids`."""
    described = manifest.read(Path(paths.prepared) / "manifest.parquet")
    of_image = units.units_of_images(ids, described, intervals)
    independent = units.are_independent(of_image, ids, described)
    families = create({}, Labels.of(data))  # the primary metric is of these
    statistics = {
        variant: table.set_index("id").loc[ids, list(families.fields)].to_numpy()
        for variant, table in tables.items()
    }

    def compare(a: str, b: str) -> Score:
        return paired_differences(
            families, statistics[a], statistics[b], of_image, intervals, only=evaluation.primary,
            independent=independent,
        )[evaluation.primary]  # fmt: skip

    def corrected(variants: Sequence[str]) -> float:
        rivals = [statistics[variant] for variant in variants]
        return score_of_the_best(families, rivals, of_image, intervals, evaluation.primary)

    caveats = [caveat, units.caveat_of_units(of_image, ids, described, intervals)]
    return choose_variant(
        candidates, compare, selection, evaluation.primary, "; ".join(filter(None, caveats)),
        corrected,
    )  # fmt: skip
