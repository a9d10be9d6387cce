"""report: draw the page that people open."""

from pathlib import Path

import pandas as pd

from maskmill import config, files
from maskmill.config import Data, Evaluation, Paths, Report
from maskmill.data import decode, manifest
from maskmill.data.shards import Shard
from maskmill.evaluation import baselines, cost, scores
from maskmill.evaluation import report as page
from maskmill.evaluation.evaluate import read_confusion, read_images


def report(paths: Paths, data: Data, variants: tuple[str, ...], evaluation: Evaluation, report: Report) -> None:
    """Write reports/index.html and metrics/baselines.json."""
    prepared, metrics, reports = Path(paths.prepared), Path(paths.metrics), Path(paths.reports)
    train, test = (Shard(prepared / "shards", split) for split in ("train", "test"))
    rules = baselines.scores(train, test, data, evaluation.primary)
    scores.write_values(metrics / "baselines.json", {name.replace(" ", "_"): score for name, score in rules.items()})
    source = config.read_yaml(Path(paths.source_config))
    contents = page.Contents(
        data=data,
        primary=evaluation.primary,
        notice=source.get("notice", ""),
        manifest=manifest.read(prepared / "manifest.parquet"),
        findings=files.read_json(reports / "validation.json"),
        leaks=files.read_json(reports / "leakage.json"),
        train=train,
        test=test,
        augmentation=decode.image(reports / "augmentation.png", 3),
        variants=[_variant(paths, data, name) for name in variants],
        baselines=rules,
        selection=files.read_json(metrics / "selection.json"),
        registration=files.read_json(metrics / "registration.json"),
        gallery=report.gallery,
    )
    files.write_text(reports / "index.html", page.render(contents))
    print(f"report: {reports / 'index.html'}")


def _variant(paths: Paths, data: Data, name: str) -> page.Variant:
    model, details = Path(paths.models) / name, Path(paths.reports) / "evaluation" / name
    return page.Variant(
        name=name,
        card=files.read_json(model / "model.json"),
        run=files.read_json(model / "run.json"),
        history=pd.read_csv(model / "history.csv"),
        val=scores.read_values(Path(paths.metrics) / "val" / f"{name}.json"),
        test=scores.read_values(Path(paths.metrics) / "test" / f"{name}.json"),
        confusion=read_confusion(details, data.classes),
        per_image=read_images(details),
        masks={path.stem: decode.mask(path) for path in sorted((details / "masks").glob("*.png"))},
        ms_per_image=cost.read(Path(paths.metrics) / "cost" / f"{name}.json").ms_per_image,
    )
