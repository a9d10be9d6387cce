"""python -m pipelines.folds N: train N folds of every variant, and score an ensemble of each.

`make folds` runs this. It writes folds/dvc.yaml, a matrix over variants and folds beside the line's
own dvc.yaml, and has DVC run it: what is done stays done, and a training that was cut off goes on.
The line itself knows nothing of it.
"""

import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from maskmill.checks.params import check
from maskmill.protection.outs import check_outs
from maskmill.settings import config
from maskmill.system import files
from maskmill.system.errors import MaskmillError
from maskmill.system.processes import die_with_parent, exit_on_sigterm, report_interrupt
from maskmill.system.repository import check_git
from pipelines import workspace

_HEAD = (
    "# Written by `make folds FOLDS={count}`: cross-validation of every variant"
    " (docs/experiments.md).\n"
)
_ALLOWED = range(2, 21)


def definition(line: dict[str, Any], count: int) -> dict[str, Any]:
    """folds/dvc.yaml, from the line's own: where it trains, and a matrix."""
    settings = "${paths.prepared}/settings"
    data = ["${paths.source}", "${paths.raw}", "${paths.weights}", "${paths.splits}"]
    data += [
        f"${{paths.prepared}}/{name}"
        for name in ("pairs.parquet", "duplicates.json", "manifest.parquet", "shards")
    ]
    model = "${paths.folds}/${item.fold}/${item.variant}"
    fold = {
        "desc": "train one variant on all folds but one, and score it there",
        "wdir": "..",
        "meta": line["stages"]["train"]["meta"],
        "matrix": {"variant": "${variants}", "fold": list(range(count))},
        "cmd": f"exec python -m maskmill.stages fold ${{item.variant}} ${{item.fold}} {count}",
        "deps": [
            f"{settings}/fold-${{item.variant}}.json",
            *data,
            "${paths.reports}/validation.json",
        ],
        "outs": [model],
    }
    together = {
        "desc": "score all held-out images, and the models together on test",
        "wdir": "..",
        "matrix": {"variant": "${variants}"},
        "cmd": f"exec python -m maskmill.stages ensemble ${{item.variant}} {count}",
        "deps": [
            f"{settings}/ensemble-${{item.variant}}.json",
            *(f"${{paths.folds}}/{number}/${{item.variant}}" for number in range(count)),
            *data[-2:],
        ],
        "metrics": ["${paths.folds}/${item.variant}.json"],
    }  # fmt: skip
    return {"vars": [f"../{config.PARAMS}"], "stages": {"fold": fold, "ensemble": together}}


def main(arguments: list[str]) -> int:
    """Exit status: DVC's, or 2 when the user has something to mend before DVC can run."""
    die_with_parent()
    exit_on_sigterm()
    try:
        with files.full_disk_in_words():
            return _run(_count(arguments))
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return report_interrupt()


def _run(count: int) -> int:
    check_git()
    params = config.load()
    check(params)
    path = Path(params.paths.folds) / "dvc.yaml"
    with workspace.exclusive_lock(Path(params.paths.state), lambda line: print(line, flush=True)):
        _write(path, definition(config.read_yaml(Path("dvc.yaml")), count), count)
        check_outs(params)
        return workspace.run_dvc("repro", str(path))


def _count(arguments: list[str]) -> int:
    if len(arguments) != 1 or not arguments[0].isdecimal() or int(arguments[0]) not in _ALLOWED:
        raise MaskmillError(
            f"folds: got {' '.join(arguments) or 'nothing'}; needed is a number of folds from"
            f" {_ALLOWED[0]} to {_ALLOWED[-1]}: make folds FOLDS=5"
        )
    return int(arguments[0])


def _write(path: Path, stages: dict[str, Any], count: int) -> None:
    """Write folds/dvc.yaml. Raises: MaskmillError where a file of the user's stands there."""
    if path.exists() and not path.read_bytes().startswith(_HEAD.partition("{")[0].encode()):
        raise MaskmillError(
            f"folds: {path} is not of `make folds`, which would write there; move it, or name"
            f" another folder under paths.folds in {config.PARAMS}"
        )
    with files.open_atomic(path) as file:
        file.write(_HEAD.format(count=count).encode())
        yaml = YAML()
        yaml.default_flow_style, yaml.width = False, 120
        yaml.dump(stages, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
