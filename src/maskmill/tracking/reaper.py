"""python -m maskmill.tracking.reaper: send what still waits on this disk, and close abandoned runs.

An abandoned run is one whose training is gone.
"""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.system.files import full_disk_in_words
from maskmill.tracking import runs, spools, stores
from maskmill.tracking.owners import Owner
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

# after so long without a sign of life, a training on another host counts as gone
_SILENT_MS = 10 * 60 * 1000


def close_abandoned_runs(store: Store) -> list[str]:
    """Send every spool of a training that is over, then close every abandoned run.

    Returns: one line for each run closed.
    """
    abandoned = {run.info.run_id: run for run in _running(store) if _reason(run)}
    _replay(store)
    with store.lock():
        for run in _running(store):
            if _reason(run):
                abandoned[run.info.run_id] = run
                runs.close_run(store, run, 0)
    return [
        f"run {run_id[:12]} of {run.data.tags.get('variant')} closed as {runs.KILLED}:"
        f" {_reason(run)}"
        for run_id, run in abandoned.items()
        if store.client.get_run(run_id).info.status == runs.KILLED
    ]


def _replay(store: Store) -> None:
    for path in spools.all_in(store.state / spools.FOLDER):
        training = spools.read(path)
        if training is None or training.status == runs.RUNNING:
            continue
        runs.record_run(store, training)
        if training.status == runs.FINISHED or not _can_go_on(store.state, training):
            spools.delete(path)


def _can_go_on(state: Path, training: runs.TrainingRun) -> bool:
    """Whether a checkpoint may be there from which a killed training goes on, as the same run."""
    return (state / "checkpoints" / training.variant / training.fingerprint).exists()


def _running(store: Store) -> "list[Run]":
    found = store.client.search_runs([store.experiment_id], f"attributes.status = '{runs.RUNNING}'")
    return [run for run in found if runs.OWNER in run.data.tags]


def _reason(run: "Run") -> str:
    """Why its training counts as gone; "" where it does not."""
    owner = Owner(**json.loads(run.data.tags[runs.OWNER]))
    silent_ms = 1000 * time.time() - int(run.data.tags.get(runs.SEEN, run.info.start_time))
    if owner.gone:
        return f"its process {owner.pid} is gone"
    if not owner.here and silent_ms > _SILENT_MS:
        return (
            f"nothing was heard of it for {silent_ms / 60_000:.0f} minutes; it ran on"
            f" {owner.host.split()[0]}"
        )
    return ""


def main() -> int:
    """Exit status 0, or 2 when MLflow cannot be asked."""
    try:
        with full_disk_in_words():
            params = config.load()
            store = stores.connect_store(params.tracking, params.paths)
            with stores.errors_in_words(store.uri):
                closed = close_abandoned_runs(store)
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(closed or ["no run was left open"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
