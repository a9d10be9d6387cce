"""evaluate: score one variant on the validation and the test split."""

from pathlib import Path

from maskmill import files
from maskmill.config import Data, Evaluation, Paths, Report
from maskmill.data.shards import Shard
from maskmill.evaluation import evaluate as evaluation_
from maskmill.evaluation import scores as score_files
from maskmill.inference.predict import Predictor


def evaluate(paths: Paths, data: Data, evaluation: Evaluation, report: Report, variant: str) -> None:
    """Write metrics/val/<variant>.json, metrics/test/<variant>.json, reports/evaluation/<variant>/ and its timing."""
    predictor = Predictor(Path(paths.models) / variant)
    folder = Path(paths.reports) / "evaluation" / variant
    for split in ("val", "test"):
        shard = Shard(Path(paths.prepared) / "shards", split)
        result = evaluation_.evaluate(
            predictor, shard, foreground=data.foreground, primary=evaluation.primary, gallery=report.gallery,
            title=f"{variant} on {split}",
        )  # fmt: skip
        scores = result.scores | {"parameters": predictor.card.parameters}
        score_files.write(Path(paths.metrics) / split / f"{variant}.json", scores)
        print(f"{variant}: {evaluation.primary} {scores[evaluation.primary]:.4f} over {len(shard)} {split} images")
        if (clean := score_files.clean_name(evaluation.primary)) in scores:
            print(f"{variant}: {clean} {scores[clean]:.4f} over {sum(shard.clean)} of them that do not leak")
    evaluation_.write_details(folder, result, data.classes)
    timing = {"ms_per_image": round(result.ms_per_image, 2), "images": len(shard)}
    files.write_json(folder / "timing.json", timing)
