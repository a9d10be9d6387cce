"""The search in MLflow: a run for it, and below it one for each trial that trained.

MLflow away costs a line.
"""

import importlib.util
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from maskmill.settings.config import Params
from maskmill.system import files
from maskmill.tracking import lineage, owners, runs, spools, stores
from maskmill.tuning import trial
from maskmill.tuning.search import DONE, Tried

_SENT = "mlflow.json"  # in the folder of a trial whose run is recorded


class Book:
    """Records the trials of one search, each once, however often it is started."""

    def __init__(self, params: Params, folder: Path) -> None:
        self._params, self._folder = params, folder
        self._started_ms = _now_ms()
        self._store: stores.Store | None = None
        self._quiet = importlib.util.find_spec("mlflow") is None

    def write(self, tried: Sequence[Tried], *, last: bool = False) -> None:
        """Record what is not recorded yet; after an error, only the `last` writing tries again."""
        if self._quiet and not last:
            return
        try:
            self._store = self._store or stores.connect_store(
                self._params.tracking, self._params.paths
            )
            with stores.errors_in_words(self._store.uri):
                self._write(self._store, tried, last)
        except Exception as error:  # whatever it is, it must not be the end of the search
            self._quiet = True
            print(
                f"tune: not recorded in MLflow: {error}\ntune: the next `maskmill tune` records it",
                file=sys.stderr,
            )

    def _write(self, store: stores.Store, tried: Sequence[Tried], last: bool) -> None:
        parent = runs.record_run(store, self._search(tried, last))
        for one in tried:
            folder = self._folder / f"trial-{one.number}"
            if (folder / _SENT).exists():
                continue
            if (training := _training(folder, one, self._params.data.title)) is not None:
                run_id = runs.record_run(store, training)
                runs.nest_run(store, run_id, parent)
                files.write_json(folder / _SENT, {"run": run_id})

    def _search(self, tried: Sequence[Tried], last: bool) -> runs.TrainingRun:
        root, params = Path.cwd(), self._params
        settings: dict[str, Any] = {
            f"tune.{name}": value for name, value in params.tune.model_dump().items()
        }
        return runs.TrainingRun(
            key=f"tune-{self._folder.name}", variant="tune", params=settings,
            git_commit=lineage.git_commit(root), data_title=params.data.title,
            data_hash=lineage.data_hash(root, params.paths), started_ms=self._started_ms,
            ended_ms=_now_ms(), history=list(_curve(tried, params.evaluation.primary)),
            status=runs.FINISHED if last else runs.RUNNING, owner=owners.this_process(),
        )  # fmt: skip


def _training(folder: Path, tried: Tried, title: str) -> runs.TrainingRun | None:
    """What is known of the trial's training; None where there was none."""
    model = folder / "models" / tried.choice.variant
    if (model / runs.FACTS).exists():
        return runs.of_model(model, tried.choice.variant, title)
    found = trial.spool(folder)
    return spools.read(found) if found else None


def _curve(tried: Sequence[Tried], metric: str) -> Iterator[runs.MetricRow]:
    """The score of each trial that is done, and the best until then."""
    best = -float("inf")
    for one in tried:
        if one.ending == DONE and one.score is not None:
            best = max(best, one.score)
            yield {"step": one.number, f"val_{metric}": one.score, f"best_val_{metric}": best}


def _now_ms() -> int:
    return int(1000 * time.time())
