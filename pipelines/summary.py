"""What came out of a run, for its last lines in a terminal and for Prefect's page."""

from pathlib import Path
from typing import Any

from maskmill import config
from maskmill.evaluation import cost, scores
from maskmill.files import read_json
from pipelines import registry

_CLEAN = "test, clean part"


def comparison(params: config.Params) -> list[dict[str, str]]:
    """One row per variant, and one for the best rule without a network; all with the same columns."""
    metrics, primary = Path(params.paths.metrics), params.evaluation.primary
    rule, best = scores.best(scores.read_values(metrics / "baselines.json"))
    rows = []
    leaky = False
    for variant in params.variants:
        val, test = (scores.read_values(metrics / split / f"{variant}.json") for split in ("val", "test"))
        clean = test.get(scores.clean_name(primary))
        leaky |= clean is not None
        parameters = f"{cost.read(metrics / 'cost' / f'{variant}.json').parameters:,}"
        rows.append(_row(variant, primary, f"{val[primary]:.4f}", test[primary], clean, parameters))
    rows.append(_row(f"(rule: {rule.replace('_', ' ')})", primary, "", best, None, ""))
    return rows if leaky else [{name: cell for name, cell in row.items() if name != _CLEAN} for row in rows]


def _row(variant: str, primary: str, val: str, test: float, clean: float | None, parameters: str) -> dict[str, str]:
    cell = "" if clean is None else f"{clean:.4f}"
    return {"variant": variant, f"{primary} val": val, "test": f"{test:.4f}", _CLEAN: cell, "parameters": parameters}


def verdict(params: config.Params) -> list[str]:
    """What the gate decided, who is champion, and a warning where no variant beats the best rule."""
    said: dict[str, Any] = read_json(registry.said_in(params))
    *variants, rule = (float(row["test"]) for row in comparison(params))
    weak = [] if max(variants) > rule else ["warning: no variant is better than the best rule without a network"]
    version = f"{said['model']} version {said['version']}" if said["version"] else said["model"]
    champion = said["champion"]
    serving = f"champion: version {champion['version']} ({champion['variant']})" if champion else "no champion yet"
    return [*weak, f"gate: {version} {said['outcome']}: {said['reason']}", serving]


def text(params: config.Params) -> str:
    """The table, the verdict, and where to look."""
    rows = comparison(params)
    table = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        (f"  {row[0]:<{widths[0]}}" + "".join(f"  {row[i]:>{widths[i]}}" for i in range(1, len(row)))).rstrip()
        for row in table
    ]
    said = verdict(params)
    then = "" if said[-1] == "no champion yet" else "; then: make predict IMAGE=x.png"
    look = f"look at {Path(params.paths.reports) / 'index.html'}{then}"
    return "\n".join(["", *lines, "", *said, look])
