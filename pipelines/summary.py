"""What came out of a run, for its last lines in a terminal and for Prefect's page."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from maskmill.curation import manifest
from maskmill.evaluation import cost
from maskmill.settings import config
from maskmill.statistics import scores, units
from maskmill.statistics.scores import Score
from maskmill.system.files import read_json
from pipelines import registry

_TEST, _CLEAN = "test", "test, clean part"


def comparison_rows(params: config.Params) -> list[dict[str, str]]:
    """One row per variant, and one for the best rule without a network; all have equal columns."""
    metrics, primary = Path(params.paths.metrics), params.evaluation.primary
    rule, best = scores.best_score(scores.read_values(metrics / "baselines.json"))
    rows = []
    leaky = False
    for variant in params.variants:
        val, test = (
            scores.read_scores(metrics / split / f"{variant}.json") for split in ("val", "test")
        )
        clean = test.get(scores.clean_name(primary))
        leaky |= clean is not None
        parameters = f"{cost.read_cost(metrics / 'cost' / f'{variant}.json').parameters:,}"
        rows.append(
            _row(variant, primary, f"{val[primary].value:.4f}", test[primary], clean, parameters)
        )
    rows.append(_row(f"(rule: {rule.replace('_', ' ')})", primary, "", Score(best), None, ""))
    return (
        rows
        if leaky
        else [{name: cell for name, cell in row.items() if name != _CLEAN} for row in rows]
    )


def _row(
    variant: str, primary: str, val: str, test: Score, clean: Score | None, parameters: str
) -> dict[str, str]:
    cell = "" if clean is None else scores.score_in_words(clean)
    return {
        "variant": variant, f"{primary} val": val, _TEST: scores.score_in_words(test), _CLEAN: cell,
        "parameters": parameters,
    }  # fmt: skip


def explain_intervals(params: config.Params) -> list[str]:
    """Explain the brackets behind the test scores, and what they cannot be relied on for.

    Without brackets there are no lines.
    """
    path, settings = Path(params.paths.metrics) / "test" / params.variants[0], params.intervals
    score = scores.read_scores(path.with_suffix(".json"))[params.evaluation.primary]
    if not math.isfinite(score.low):
        return []
    ids = pd.read_parquet(path.with_suffix(".parquet"), columns=["id"])["id"].tolist()
    table = manifest.read(Path(params.paths.prepared) / "manifest.parquet")
    caveat = units.caveat_of_units(
        units.units_of_images(ids, table, settings), ids, table, settings
    )
    said = f"[low, high]: {100 * settings.confidence:g} % interval, n = {score.n}"
    return [f"{said}; {caveat}" if caveat else f"{said} independent units"]


def describe_verdict(params: config.Params) -> list[str]:
    """The gate's decision, the champion, and a warning where no variant beats the best rule."""
    said: dict[str, Any] = read_json(registry.said_in(params))
    metrics, primary = Path(params.paths.metrics), params.evaluation.primary
    reached = [
        scores.read_values(metrics / "test" / f"{variant}.json")[primary]
        for variant in params.variants
    ]
    _, rule = scores.best_score(scores.read_values(metrics / "baselines.json"))
    weak = (
        []
        if any(value > rule for value in reached)
        else ["warning: no variant is better than the best rule without a network"]
    )
    version = f"{said['model']} version {said['version']}" if said["version"] else said["model"]
    champion = said["champion"]
    serving = (
        f"champion: version {champion['version']} ({champion['variant']})"
        if champion
        else "no champion yet"
    )
    return [*weak, f"gate: {version} {said['outcome']}: {said['reason']}", serving]


def summary_text(params: config.Params) -> str:
    """The table, the verdict, and where to look."""
    rows = comparison_rows(params)
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    # values and intervals align on the left
    left = {0, *(place for place, name in enumerate(rows[0]) if name in (_TEST, _CLEAN))}
    lines = [
        "  ".join(f"{cell:{'<' if i in left else '>'}{widths[i]}}" for i, cell in enumerate(row))
        for row in table
    ]
    said = describe_verdict(params)
    then = "" if said[-1] == "no champion yet" else "; then: make predict IMAGE=x.png"
    look = f"look at {Path(params.paths.reports) / 'index.html'}{then}"
    return "\n".join(
        ["", *(f"  {line}".rstrip() for line in lines), "", *explain_intervals(params), *said, look]
    )
