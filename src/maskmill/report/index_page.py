"""The page that people open: which variant, how sure, where it fails, what to try.

It is readable without a network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from maskmill.evaluation.cost import Cost
from maskmill.metrics import Metrics
from maskmill.metrics.calibration import Calibration
from maskmill.report import charts, report_pictures, report_tables, templates
from maskmill.report.findings import Weakness
from maskmill.samples.shards import Shard
from maskmill.settings.config import SPLITS, Data, Intervals
from maskmill.statistics import scores
from maskmill.statistics.scores import Score
from maskmill.statistics.slices import Table

SECTIONS = {
    "answer": "Answer", "gate": "Gate", "comparison": "Variants", "classes": "Classes",
    "weaknesses": "Weaknesses", "slices": "Slices", "images": "Images", "scores": "All scores",
    "data": "Data", "provenance": "Provenance", "definitions": "Definitions",
}  # fmt: skip


@dataclass(frozen=True)
class VariantReport:
    """All that the page says of one variant."""

    name: str
    card: Mapping[str, Any]  # model.json
    run: Mapping[str, Any]  # run.json
    history: pd.DataFrame
    val: Mapping[str, Score]
    test: Mapping[str, Score]
    # split -> its primary score minus the leader's; empty for the leader
    differences: Mapping[str, Score]
    cost: Cost
    confusion: np.ndarray  # (K, K), rows truth
    images: pd.DataFrame  # id, score and facts of each test image
    masks: Mapping[str, np.ndarray]  # id -> predicted (H, W)
    diagnostics: Mapping[str, Any]
    weaknesses: Sequence[Weakness]
    totals: np.ndarray  # (S,) the statistic of the whole test split


@dataclass(frozen=True)
class ReportPage:
    """What the page is drawn from."""

    data: Data
    primary: str
    metrics: Metrics
    intervals: Intervals
    caveat: str  # why the intervals cannot carry a claim; empty: they can
    notice: str
    manifest: pd.DataFrame
    expectations: Sequence[Mapping[str, Any]]
    leaks: Sequence[Mapping[str, Any]]  # those that params.yaml allows; others stop the line
    train: Shard
    test: Shard
    augmentation: np.ndarray  # (H, W, 3) the preview sheet
    variants: Sequence[VariantReport]
    slices: Table  # of the leader, worst first
    baselines: Mapping[str, float]
    selection: Mapping[str, Any]
    registration: Mapping[str, Any]
    gallery: int
    # of the images that lost most against the champion: id and scores, both models' masks
    lost: Sequence[tuple[Mapping[str, Any], np.ndarray, np.ndarray]] = ()


def leading_variant(selection: Mapping[str, Any]) -> str:
    """The variant put forward; where none is good enough, the one that leads."""
    return str(selection["challenger"] or selection["variants"][0]["variant"])


def render(contents: ReportPage) -> str:
    """The page as HTML; the same contents give the same text."""
    lead = next(v for v in contents.variants if v.name == leading_variant(contents.selection))
    ordered = [lead, *(v for v in contents.variants if v is not lead)]
    drawn = report_pictures.Pictures(contents.data, contents.test)
    return templates.load_template("report.html.j2").render(
        c=contents,
        lead=lead,
        variants=ordered,
        sections=SECTIONS,
        charts=charts,
        tables=report_tables,
        best_baseline=scores.best_score(contents.baselines),
        curves=_curves(contents.primary, ordered),
        reliability=_reliability(contents.metrics, lead),
        splits=_splits(contents),
        galleries={v.name: drawn.galleries(v.images, v.masks, contents.gallery) for v in ordered},
        lost=[drawn.pair_of_models(*row) for row in contents.lost],
        samples=drawn.samples(contents.train),
        augmentation=drawn.sheet(contents.augmentation),
        pictures=drawn,
    )


def _curves(primary: str, variants: Sequence[VariantReport]) -> Sequence[tuple[str, str]]:
    """Training loss and validation score by step: what it is, and the chart."""
    made = []
    for column, name, zero in (
        ("loss", "training loss", True),
        (f"val_{primary}", f"{primary} on val", False),
    ):
        lines = [
            charts.Series(v.name, v.history["step"].tolist(), v.history[column].tolist(), place)
            for place, v in enumerate(variants)
        ]
        made.append((name, charts.line_chart(lines, x="optimizer step", y=name, zero=zero)))
    return made


def _reliability(metrics: Metrics, variant: VariantReport) -> str:
    """The reliability diagram; nothing where `metrics.calibration` is not measured."""
    family = metrics.families.get("calibration")
    if not isinstance(family, Calibration):
        return ""
    own = metrics.split(torch.from_numpy(variant.totals))["calibration"]
    confidence, right, pixels = (part.tolist() for part in family.reliability(own))
    every = max(1.0, sum(pixels))
    return charts.reliability_diagram(confidence, right, [n / every for n in pixels])


def _splits(contents: ReportPage) -> list[dict[str, Any]]:
    """A row per split: images, groups, sizes, and each class's share of its valid pixels."""
    rows = []
    for split in SPLITS:
        part = contents.manifest[contents.manifest["split"] == split]
        pixels = np.array([part[f"px_{name}"].sum() for name in contents.data.classes], dtype=float)
        sizes = [
            f"{h:.0f} x {w:.0f}"
            for h, w in sorted(set(zip(part["height"], part["width"], strict=True)))
        ]
        some = (
            f"{len(sizes)} sizes, {sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else "".join(sizes)
        )
        rows.append({
            "name": split, "images": len(part), "groups": part["group"].nunique(), "sizes": some,
            "shares": pixels / max(1.0, pixels.sum()),
        })  # fmt: skip
    return rows
