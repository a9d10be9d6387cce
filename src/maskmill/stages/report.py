"""report: draw the page that people open."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from maskmill import models
from maskmill.curation import manifest
from maskmill.evaluation import baselines, cost
from maskmill.evaluation.evaluate import read_confusion, read_images, read_statistics
from maskmill.images import decode
from maskmill.metrics import Labels, create
from maskmill.report import index_page as page
from maskmill.report import plots
from maskmill.report.findings import findings
from maskmill.samples.shards import Shard
from maskmill.settings import config
from maskmill.settings.config import Data, Evaluation, Intervals, Paths, Report, Slices
from maskmill.settings.network_names import spelt_out
from maskmill.stages import _lost
from maskmill.statistics import comparison, scores
from maskmill.system import files

_log = logging.getLogger(__name__)

_MANIFEST = "manifest.parquet"


def report(
    paths: Paths, data: Data, variants: tuple[str, ...], evaluation: Evaluation,
    metrics: dict[str, dict[str, Any]], intervals: Intervals, slices: Slices, report: Report,
) -> None:  # fmt: skip
    """Write reports/index.html, metrics/baselines.json, and reports/plots/ for `dvc plots`."""
    prepared, out, reports = Path(paths.prepared), Path(paths.metrics), Path(paths.reports)
    train, test = (Shard(prepared / "shards", split) for split in ("train", "test"))
    labels, table = Labels.of(data), manifest.read(prepared / _MANIFEST)
    rules = baselines.baseline_scores(train, test, data, evaluation.primary)
    scores.write_values(
        out / "baselines.json", {name.replace(" ", "_"): score for name, score in rules.items()}
    )
    selection = files.read_json(out / "selection.json")
    lead, families = page.leading_variant(selection), create(metrics, labels)
    measured = comparison.Comparison(
        {
            split: {v: read_statistics(out / split / f"{v}.parquet") for v in variants}
            for split in ("val", "test")
        },
        lead, create({}, labels), evaluation.primary, table, intervals,
    )  # fmt: skip
    cards = [files.read_json(Path(paths.models) / name / "model.json") for name in variants]
    untried = [
        network for network in models.names() if not any(_has_made(network, card) for card in cards)
    ]
    of = [
        _variant(
            paths, data, labels, name, untried,
            totals=measured.totals(name, families), differences=measured.differences(name),
        )
        for name in variants
    ]  # fmt: skip
    contents = page.ReportPage(
        data=data,
        primary=evaluation.primary,
        metrics=families,
        intervals=intervals,
        caveat=measured.caveat(),
        notice=config.read_yaml(Path(paths.source_config)).get("notice", ""),
        manifest=table,
        expectations=files.read_json(reports / "validation.json"),
        leaks=files.read_json(reports / "leakage.json"),
        train=train,
        test=test,
        augmentation=decode.image(reports / "augmentation.png", 3),
        variants=of,
        slices=measured.slices(next(v.images for v in of if v.name == lead), slices),
        baselines=rules,
        selection=selection,
        registration=files.read_json(out / "registration.json"),
        gallery=report.gallery,
        lost=_lost.read_masks(reports),
    )
    _write_plots(reports / "plots", contents, lead)
    files.write_text(reports / "index.html", page.render(contents))
    _log.info(f"report: {reports / 'index.html'}")


def _write_plots(folder: Path, contents: page.ReportPage, lead: str) -> None:
    """classes.csv of all variants, confusion.csv of the leader."""
    names = contents.data.classes
    confusion = next(v.confusion for v in contents.variants if v.name == lead)
    for name, table in (
        ("classes", plots.class_table({v.name: v.test for v in contents.variants}, names)),
        ("confusion", plots.confusion_table(confusion, names)),
    ):
        files.write_text(folder / f"{name}.csv", table.to_csv(index=False))


def _variant(
    paths: Paths, data: Data, labels: Labels, name: str, untried: list[str], **measured: Any
) -> page.VariantReport:
    """What the files say of a variant, and what was `measured`.

    Remedies name networks of `untried` alone.
    """
    model, details = Path(paths.models) / name, Path(paths.reports) / "evaluation" / name
    found = files.read_json(details / "diagnostics.json")
    return page.VariantReport(
        name=name,
        card=files.read_json(model / "model.json"),
        run=files.read_json(model / "run.json"),
        history=pd.read_csv(model / "history.csv"),
        val=scores.read_scores(Path(paths.metrics) / "val" / f"{name}.json"),
        test=scores.read_scores(Path(paths.metrics) / "test" / f"{name}.json"),
        cost=cost.read_cost(Path(paths.metrics) / "cost" / f"{name}.json"),
        confusion=read_confusion(details, data.classes),
        images=read_images(details),
        masks={path.stem: decode.mask(path) for path in sorted((details / "masks").glob("*.png"))},
        diagnostics=found,
        weaknesses=findings(found, labels, untried),
        **measured,
    )


def _has_made(network: str, card: dict[str, Any]) -> bool:
    """Whether the model of the card is of that network, with the options that its name says."""
    wanted, fixed = spelt_out(network)
    used, options = spelt_out(card.get("network") or card["variant"])
    return wanted == used and fixed.items() <= (options | card["options"]).items()
