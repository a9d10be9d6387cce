"""report: draw the page that people open."""

from pathlib import Path
from typing import Any

import pandas as pd

from maskmill import config, files, models
from maskmill.config import Data, Evaluation, Intervals, Paths, Report, Slices
from maskmill.data import decode, manifest
from maskmill.data.shards import Shard
from maskmill.evaluation import baselines, comparison, cost, diagnostics, scores, units
from maskmill.evaluation import report as page
from maskmill.evaluation import slices as slices_
from maskmill.evaluation.evaluate import read_confusion, read_images, read_statistics
from maskmill.metrics import Labels, create

_SPLITS = ("val", "test")


def report(
    paths: Paths, data: Data, variants: tuple[str, ...], evaluation: Evaluation, metrics: dict[str, dict[str, Any]],
    intervals: Intervals, slices: Slices, report: Report,
) -> None:  # fmt: skip
    """Write reports/index.html and metrics/baselines.json."""
    prepared, out, reports = Path(paths.prepared), Path(paths.metrics), Path(paths.reports)
    train, test = (Shard(prepared / "shards", split) for split in ("train", "test"))
    rules = baselines.scores(train, test, data, evaluation.primary)
    scores.write_values(out / "baselines.json", {name.replace(" ", "_"): score for name, score in rules.items()})
    labels = Labels(data.classes, data.foreground, data.ignore_index)
    table, primary = manifest.read(prepared / "manifest.parquet"), evaluation.primary
    selection = files.read_json(out / "selection.json")
    rows = {(v, split): read_statistics(out / split / f"{v}.parquet") for v in variants for split in _SPLITS}
    lead = page.leader(selection)
    ids = {split: rows[lead, split]["id"].tolist() for split in _SPLITS}
    of = {split: units.of(ids[split], table, intervals) for split in _SPLITS}
    headline = create({}, labels)  # the primary score is one of these, and they are fast

    def differences(variant: str) -> dict[str, scores.Score]:
        pairs = {split: (rows[variant, split], rows[lead, split]) for split in _SPLITS if variant != lead}
        return {s: comparison.paired(headline, a, b, of[s], intervals)[primary] for s, (a, b) in pairs.items()}

    families = create(metrics, labels)
    made = []
    for variant in variants:
        totals = rows[variant, "test"][list(families.fields)].to_numpy(float).sum(axis=0)
        made.append(_variant(paths, data, labels, variant, totals=totals, differences=differences(variant)))
    images = next(v.images for v in made if v.name == lead)
    contents = page.Contents(
        data=data,
        primary=primary,
        metrics=families,
        intervals=intervals,
        caveat=units.caveat(of["test"], ids["test"], table, intervals),
        notice=config.read_yaml(Path(paths.source_config)).get("notice", ""),
        manifest=table,
        expectations=files.read_json(reports / "validation.json"),
        leaks=files.read_json(reports / "leakage.json"),
        train=train,
        test=test,
        augmentation=decode.image(reports / "augmentation.png", 3),
        variants=made,
        slices=slices_.table(rows[lead, "test"], images, table, headline, primary, of["test"], slices, intervals),
        baselines=rules,
        selection=selection,
        registration=files.read_json(out / "registration.json"),
        gallery=report.gallery,
    )
    files.write_text(reports / "index.html", page.render(contents))
    print(f"report: {reports / 'index.html'}")


def _variant(paths: Paths, data: Data, labels: Labels, name: str, **measured: Any) -> page.Variant:
    """What the files say of a variant, and what was `measured`."""
    model, details = Path(paths.models) / name, Path(paths.reports) / "evaluation" / name
    found = files.read_json(details / "diagnostics.json")
    known = [other for other in models.names() if other != name]
    return page.Variant(
        name=name,
        card=files.read_json(model / "model.json"),
        run=files.read_json(model / "run.json"),
        history=pd.read_csv(model / "history.csv"),
        val=scores.read(Path(paths.metrics) / "val" / f"{name}.json"),
        test=scores.read(Path(paths.metrics) / "test" / f"{name}.json"),
        cost=cost.read(Path(paths.metrics) / "cost" / f"{name}.json"),
        confusion=read_confusion(details, data.classes),
        images=read_images(details),
        masks={path.stem: decode.mask(path) for path in sorted((details / "masks").glob("*.png"))},
        diagnostics=found,
        weaknesses=diagnostics.findings(found, labels, known),
        **measured,
    )
