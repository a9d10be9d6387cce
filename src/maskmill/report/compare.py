"""Runs side by side: their settings, their scores, and whether a difference exceeds chance."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from maskmill.metrics import Labels, create
from maskmill.protection.outs import check_page
from maskmill.report import charts, report_tables, templates
from maskmill.report.runs import WHAT, WORKSPACE, ReportedRun, load
from maskmill.settings.config import Intervals, Params
from maskmill.statistics import comparison, intervals, units
from maskmill.statistics.scores import Score
from maskmill.system import files
from maskmill.system.errors import MaskmillError

_ABSENT = "–"


@dataclass(frozen=True)
class ComparisonRow:
    """One variant in one run; or over several seeds, `run` being all of them."""

    variant: str
    run: str
    test: Score
    val: Score


@dataclass(frozen=True)
class Gap:
    """A variant of a run less the same of the first run; or in words why there is none."""

    variant: str
    run: str
    split: str
    score: Score | None
    reason: str = ""


def write_comparison(revisions: Sequence[str], params: Params) -> Path:
    """Write reports/compare.html about the runs of these revisions.

    Raises: MaskmillError for fewer than two, one that is named twice, and as `runs.load` does.
    """
    if len(revisions) < 2 or len(set(revisions)) < len(revisions):
        raise MaskmillError(
            f"{WHAT}: got {', '.join(revisions) or 'nothing'}; two or more different ones are "
            f"needed, each a git revision, a DVC experiment or {WORKSPACE}: maskmill report "
            f"--compare HEAD {WORKSPACE}"
        )
    with tempfile.TemporaryDirectory() as folder:
        loaded = [
            load(revision, Path(folder) / str(place)) for place, revision in enumerate(revisions)
        ]
    path = Path(params.paths.reports) / "compare.html"
    check_page(path)
    files.write_text(path, render(loaded, params.intervals))
    return path


def changed_settings(runs: Sequence[ReportedRun]) -> list[tuple[str, list[str]]]:
    """Settings that are not the same in all runs, and their value in each."""
    keys = sorted(dict.fromkeys(key for run in runs for key in run.params))
    rows = [(key, [str(run.params.get(key, _ABSENT)) for run in runs]) for key in keys]
    return [row for row in rows if len(set(row[1])) > 1]


def scores_by_run(runs: Sequence[ReportedRun]) -> list[ComparisonRow]:
    """The headline of every variant in every run, variants together."""
    none: Mapping[str, Score] = {}
    rows = []
    for variant in _variants(runs):
        for run in (run for run in runs if variant in run.variants):
            test, val = (
                run.variants[variant].scores.get(s, none).get(run.primary, Score(math.nan))
                for s in ("test", "val")
            )
            rows.append(ComparisonRow(variant, run.name, test, val))
    return rows


def means_over_seeds(runs: Sequence[ReportedRun], confidence: float) -> list[ComparisonRow]:
    """The mean of each variant over runs that differ in `train.seed` alone.

    It has its interval over seeds.
    """
    rows = []
    ordered = sorted(runs, key=lambda run: str(run.recipe))
    for _, part in groupby(ordered, key=lambda run: run.recipe):
        same = sorted(part, key=runs.index)
        if len({run.seed for run in same}) < 2:
            continue
        names = " + ".join(run.name for run in same)
        for variant in _variants(same):
            of = {
                split: [
                    run.variants[variant].scores[split][run.primary].value
                    for run in same
                    if variant in run.variants
                ]
                for split in ("test", "val")
            }
            rows.append(
                ComparisonRow(
                    variant,
                    names,
                    *(
                        intervals.mean_over_seeds(of[split], confidence)
                        for split in ("test", "val")
                    ),
                )
            )
    return rows


def differences_to_first(runs: Sequence[ReportedRun], settings: Intervals) -> list[Gap]:
    """Every variant of the later runs less the same variant of the first run.

    They are compared where both were scored on the same pixels.
    """
    first = runs[0]
    return [
        _gap(first, run, variant, split, settings)
        for run in runs[1:]
        for variant in _variants([run])
        for split in ("test", "val")
    ]


def render(runs: Sequence[ReportedRun], settings: Intervals) -> str:
    """The page as HTML; the same runs give the same text."""
    rows, seeds, differences = (
        scores_by_run(runs),
        means_over_seeds(runs, settings.confidence),
        differences_to_first(runs, settings),
    )
    whole = [score for row in (*rows, *seeds) for score in (row.test, row.val)]
    return templates.load_template("compare.html.j2").render(
        runs=runs,
        changed=changed_settings(runs),
        rows=rows,
        seeds=seeds,
        gaps=differences,
        axis=report_tables.score_axis(whole),
        gap_axis=report_tables.score_axis([gap.score for gap in differences if gap.score], (0,)),
        charts=charts,
        tables=report_tables,
        settings=settings,
        caveats={run.name: _caveat(run, settings) for run in runs},
        definitions=create({}, _labels(runs[0])).definitions,
    )


def _gap(
    first: ReportedRun, run: ReportedRun, variant: str, split: str, settings: Intervals
) -> Gap:
    if reason := _incomparable(first, run, variant, split):
        return Gap(variant, run.name, split, None, reason)
    a, b = run.variants[variant].statistics[split], first.variants[variant].statistics[split]
    ids = a["id"].tolist()
    of = units.units_of_images(ids, run.table, settings)
    made = comparison.paired_scores(
        create({}, _labels(run)), a, b, of, settings,
        independent=units.are_independent(of, ids, run.table),
    )  # fmt: skip
    return Gap(variant, run.name, split, made[run.primary])


def _incomparable(first: ReportedRun, run: ReportedRun, variant: str, split: str) -> str:
    """Why there is no difference to be had, in words; "" where there is one."""
    if variant not in first.variants:
        return f"{first.name} has no {variant}"
    if run.primary != first.primary:
        return f"the headline is another: {run.primary}, in {first.name} {first.primary}"
    meaning = [
        key
        for key in ("classes", "background", "ignore_index")
        if _value_at(run, key) != _value_at(first, key)
    ]
    if meaning:
        return (
            f"the ids in the masks mean something else: data.{meaning[0]} is not that of "
            f"{first.name}"
        )
    own, others = (set(r.variants[variant].statistics[split]["id"]) for r in (run, first))
    if own != others:
        return (
            f"not the same {split} images: {len(own & others)} of {len(own)} are also in "
            f"{first.name}"
        )
    if run.digest(split) != first.digest(split):
        return f"the same {split} images by name, but other pixels or masks"
    return ""


def _caveat(run: ReportedRun, settings: Intervals) -> str:
    ids = next(iter(run.variants.values())).statistics["test"]["id"].tolist()
    return units.caveat_of_units(
        units.units_of_images(ids, run.table, settings), ids, run.table, settings
    )


def _labels(run: ReportedRun) -> Labels:
    classes, background = tuple(_value_at(run, "classes")), _value_at(run, "background")
    foreground = tuple(i for i, name in enumerate(classes) if name != background)
    return Labels(classes, foreground, _value_at(run, "ignore_index"))


def _value_at(run: ReportedRun, key: str) -> Any:
    return run.params.get(f"data.{key}")


def _variants(runs: Sequence[ReportedRun]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.variants))
