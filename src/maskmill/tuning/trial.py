"""python -m maskmill.tuning.trial FOLDER: one training with the settings in the folder.

It runs the stage's own code. A process of its own: what takes its memory, or kills it, ends this
trial and not the search.
"""

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from maskmill.settings import config, state
from maskmill.settings.config import Params
from maskmill.system import exits, files
from maskmill.system.errors import MaskmillError
from maskmill.system.logs import log_to_stdout
from maskmill.system.processes import GRACE_S, RUN, die_with_parent
from maskmill.tracking import spools

ReportScore = Callable[[int, float], bool]  # step, score -> whether to stop

SETTINGS = "params.yaml"
_POLL_S = 0.2
# the training was asked to end, and has written a checkpoint where it could
_ASKED = {signal.SIGTERM, signal.SIGINT}


def prepare_trial(folder: Path, params: Params) -> Params:
    """Write the settings of one training into `folder`, and return them.

    All that the training writes will lie there.
    """
    own_state = state.state_folder_beside(
        folder / "state", Path(params.paths.state), (state.VERIFIED, state.WEIGHTS)
    )
    paths = params.paths.model_copy(
        update={"state": str(own_state), "models": str(folder / "models")}
    )
    own = params.model_copy(update={"paths": paths})
    with files.open_atomic(folder / SETTINGS) as file:
        YAML(typ="safe", pure=True).dump(own.model_dump(), file)
    return own


def run_trial(folder: Path, variant: str, metric: str, report: ReportScore) -> float | None:
    """Train, and report each validation; the best score, or None where `report` stopped it.

    Raises: MaskmillError when the training failed; what it said stands above. SystemExit when it
        was asked to end.
    """
    history = folder / "models" / variant / "history.csv"
    command = [sys.executable, "-m", "maskmill.tuning.trial", str(folder)]
    kills = exits.memory_kills()
    process = subprocess.Popen(command, env=os.environ | {RUN: str(os.getpid())})
    told: dict[int, float] = {}
    try:
        while True:
            code = process.poll()  # first: what was written before the end is read after it
            for step, score in _scores(history, metric).items():
                if step not in told and math.isfinite(score):
                    told[step] = score
                    if report(step, score):
                        return None
            if code is not None:
                break
            time.sleep(_POLL_S)
    finally:
        _stop_process(process)
    for number in _ASKED:
        if code in (-number, 128 + number):
            sys.exit(128 + number)
    if code:
        raise MaskmillError(f"the training {exits.describe_exit(code, kills)}")
    if not told:
        raise MaskmillError(f"{history} holds no score `val_{metric}`")
    return max(told.values())


def tidy_trial(folder: Path) -> None:
    """Drop checkpoints and weights of a trial that has ended.

    History, card and facts of the run stay.
    """
    shutil.rmtree(folder / "state" / "checkpoints", ignore_errors=True)
    for weights in folder.glob("models/*/*.safetensors"):
        weights.unlink()


def spool(folder: Path) -> Path | None:
    """The spool of the trial, where nobody has sent it yet."""
    found = spools.all_in(folder / "state" / spools.FOLDER)
    return found[0] if found else None


def _scores(history: Path, metric: str) -> dict[int, float]:
    try:
        table = pd.read_csv(history)
    except FileNotFoundError:
        return {}
    return {
        int(step): float(score)
        for step, score in zip(table["step"], table[f"val_{metric}"], strict=True)
    }


def _stop_process(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(folder: Path) -> int:
    """Exit status 0 when the model is written, 2 when the user has something to mend."""
    die_with_parent()  # first: what is imported next takes seconds
    log_to_stdout()
    try:
        with files.full_disk_in_words():
            from maskmill.stages.train import train

            params = config.load(folder / SETTINGS)
            (variant,) = params.variants
            train(
                params.paths, params.data, params.models, params.train, params.evaluation, variant
            )
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
