"""select: put one variant forward, by validation scores alone."""

import shutil
from pathlib import Path

from maskmill import files
from maskmill.config import Evaluation, Paths, Selection
from maskmill.evaluation import cost as costs
from maskmill.evaluation import scores as score_files
from maskmill.evaluation.select import Candidate, choose
from maskmill.inference.predict import CARD, WEIGHTS


def select(paths: Paths, variants: tuple[str, ...], evaluation: Evaluation, selection: Selection) -> None:
    """Write metrics/selection.json and challenger/, a copy of the chosen model (empty where none is good enough)."""
    candidates = {}
    for variant in variants:
        scores = score_files.read_values(Path(paths.metrics) / "val" / f"{variant}.json")
        candidates[variant] = Candidate(
            variant, scores[evaluation.primary], costs.read(Path(paths.metrics) / "cost" / f"{variant}.json").parameters
        )
    choice = choose(candidates, selection, evaluation.primary)
    challenger = Path(paths.challenger)
    shutil.rmtree(challenger, ignore_errors=True)
    challenger.mkdir(parents=True)
    if choice.challenger:
        for name in (WEIGHTS, CARD):
            files.write_bytes(challenger / name, (Path(paths.models) / choice.challenger / name).read_bytes())
    files.write_json(Path(paths.metrics) / "selection.json", choice.as_json(evaluation.primary))
    print(f"select: {choice.challenger or 'none'}: {choice.reason}")
