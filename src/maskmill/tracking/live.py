"""python -m maskmill.tracking.live SPOOL DELAY_S: keep MLflow up to date while a training runs.

A process of its own, so that nothing MLflow does, or does not do, reaches the training. It has the
lowest priority, begins only with what lasts longer than DELAY_S, tries again after any error, and
lives no longer than a few seconds after the training. What it could not send, `register` or the
reaper sends.
"""

import contextlib
import importlib.util
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from maskmill.tracking import runs, spools
from maskmill.tracking.owners import Owner
from maskmill.tracking.stores import Store

_DELAY_S = 60.0  # importing MLflow takes seconds from a training that is over in a minute
_POLL_S = 0.5
_BEAT_S = 60.0  # a run whose owner is on another host is closed after 10 minutes without
_RETRY_S = 5.0
# seconds for the last sending: a server that restarts may be waited for
_LAST_S = {runs.FINISHED: 30, runs.KILLED: 8}
_QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


def start(path: Path, delay_s: float = _DELAY_S) -> None:
    """Start the process for a spool; where MLflow is not installed, there is none."""
    if importlib.util.find_spec("mlflow") is None or not path.exists():
        return
    command = [sys.executable, "-m", "maskmill.tracking.live", str(path), str(delay_s)]
    try:
        # nothing inherited: who reads the training's output never waits
        with spools.log(path).open("wb") as log:
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        print(
            f"tracking: no live curves ({error}); `register` sends them at the end", file=sys.stderr
        )


def main(path: Path, delay_s: float) -> None:
    """Send until the training is over; one that is over within `delay_s` costs nothing here."""
    _step_back()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    training = spools.read(path)
    if (
        training is None
        or training.owner is None
        or _wait_for_end(path, training.owner, within_s=delay_s)
    ):
        return
    threading.Thread(target=_end_in_time, args=(path, training.owner), daemon=True).start()
    for name, value in _QUICK.items():
        os.environ.setdefault(name, value)
    _send_spool(path, training.owner)


def _send_spool(path: Path, owner: Owner) -> None:
    store, sent, sent_at, told = None, None, 0.0, ""
    while (training := spools.read(path)) is not None and training.owner == owner:
        news = (training.status, len(training.history))
        if news == sent and time.monotonic() - sent_at < _BEAT_S:
            time.sleep(_POLL_S)
            continue
        try:
            store = store or _connect()
            runs.record_run(store, training)
        except Exception as error:  # whatever it is, it must not be the end of the live curves
            if str(error) != told:
                told = str(error)
                print(
                    f"{time.strftime('%Y-%m-%d %H:%M:%S')} {type(error).__name__}: {told}",
                    flush=True,
                )
            time.sleep(_RETRY_S if training.status == runs.RUNNING else _POLL_S)
            continue
        sent, sent_at = news, time.monotonic()
        if training.status == runs.FINISHED:
            spools.delete(path)
        if training.status != runs.RUNNING:
            return


def _connect() -> Store:
    from maskmill.settings import config
    from maskmill.tracking import stores

    params = config.load()
    return stores.connect_store(params.tracking, params.paths)


def _end_in_time(path: Path, owner: Owner) -> None:
    """Once the training is over, let the kernel end this process soon, wherever it then waits."""
    _wait_for_end(path, owner, within_s=math.inf)
    training = spools.read(path)
    status = training.status if training and training.owner == owner else runs.KILLED
    signal.alarm(_LAST_S.get(status, _LAST_S[runs.KILLED]))


def _wait_for_end(path: Path, owner: Owner, *, within_s: float) -> bool:
    """Wait for the training's end, at most `within_s`.

    A restarted training has an owner and a sender of its own.
    """
    deadline, size = time.monotonic() + within_s, -1
    while True:
        now = path.stat().st_size if path.exists() else 0
        if owner.gone:
            return True
        if now != size:  # reading costs more than looking
            training, size = spools.read(path), now
            if training is None or training.owner != owner or training.status != runs.RUNNING:
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)


def _step_back() -> None:
    """Take only the time that the training leaves.

    On Linux, where sessions share the processors evenly, a process in a session of its own must say
    so there, too.
    """
    os.nice(19)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
