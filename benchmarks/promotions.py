"""python benchmarks/promotions.py [PAIRS]: two challengers pass the gate at once, many times.

Each pair is two versions better than the champion, one of them by more, which two processes bring
before the gate at the same moment. The better one must be champion in the end, whoever was first.
Prints the table of docs/benchmarks.md: in one workspace on sqlite; in two workspaces on one MLflow
server, which share no lock; and by the alias alone, as a gate without a ledger does it.
"""

import argparse
import dataclasses
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from maskmill.settings import config
from maskmill.tracking import registry, stores
from maskmill.tracking.ledger import Ledger
from tests.tracking.versions import champion, gate, put

ROOT = Path(__file__).parents[1]
SPAWN = multiprocessing.get_context("spawn")  # a fork would share open databases
STEP = 0.02  # by which each version of a pair is better than the one before
Promote = Callable[[stores.Store, int], object]


@dataclasses.dataclass
class Race:
    """What came of the pairs."""

    pairs: int = 0
    wrong: int = 0  # pairs after which the better version was not champion
    dangling: int = 0  # an alias that names no version, or not the one of the ledger
    slowest_s: float = 0.0


def connect(folder: Path, uri: str, number: int) -> stores.Store:
    """The store as workspace `number` opens it."""
    params = config.load(ROOT / "params.yaml")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    return stores.connect_store(params.tracking, params.paths, folder / str(number))


def alias_alone(store: stores.Store, number: int) -> None:
    """Compare with the champion and set the alias, in two steps and without a ledger."""
    version = registry.find_version(store, store.model, number=str(number))
    now = registry.champion(store)
    key = registry.TEST_SCORES
    if now is None or version.tags[key] > now.tags[key]:  # numbers of equal length
        registry.point_alias(store, registry.CHAMPION, number)


def contend(place: int, orders: Connection, folder: Path, uri: str, promote: Promote) -> None:
    """Bring each version that is ordered before the gate, until there is no more."""
    store = connect(folder, uri, place)
    orders.send("ready")
    while (number := orders.recv()) is not None:
        began = time.monotonic()
        promote(store, number)
        orders.send(time.monotonic() - began)


def race(folder: Path, uri: str, pairs: int, promote: Promote = gate) -> Race:
    """Let two workspaces contend so many times."""
    ends = [SPAWN.Pipe() for _ in range(2)]
    runners = [
        SPAWN.Process(target=contend, args=(place, end[1], folder, uri, promote))
        for place, end in enumerate(ends)
    ]
    for runner, (_, theirs) in zip(runners, ends, strict=True):
        runner.start()
        theirs.close()  # so that the end of a runner ends this process, too
    orders = [end[0] for end in ends]
    for order in orders:
        order.recv()
    store, result = connect(folder, uri, 2), Race()
    for pair in range(pairs):
        worse, better = (put(store, round(1 + STEP * (2 * pair + k), 2)) for k in (0, 1))
        first = pair % 2
        for order, number in zip(
            orders, (worse, better) if first else (better, worse), strict=True
        ):
            order.send(number)
        took = [float(order.recv()) for order in orders]
        result.pairs += 1
        result.slowest_s = max(result.slowest_s, *took)
        result.wrong += champion(store) != better
        told = Ledger(store).read()
        if told.entries and (told.champion != champion(store) or told.broken or not told.settled):
            result.dangling += 1
    for order, runner in zip(orders, runners, strict=True):
        order.send(None)
        runner.join()
    return result


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """An MLflow server on a free port; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--workers", "2", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, start_new_session=True,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(address: str) -> None:
    """Return once it answers."""
    while True:
        try:
            urllib.request.urlopen(address, timeout=2)
        except OSError:
            time.sleep(0.2)
        else:
            return


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="?", type=int, default=1000)
    pairs = parser.parse_args().pairs
    rows: list[tuple[str, Any, bool]] = [
        ("one sqlite file", gate, False),
        ("two workspaces, one server", gate, True),
        ("by the alias alone, sqlite", alias_alone, False),
    ]
    print("| | pairs | wrong champions | dangling aliases | slowest, s | all, s |")
    print("|---|---|---|---|---|---|")
    for name, promote, served in rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder, began = Path(temporary), time.monotonic()
            if served:
                with server(folder) as address:
                    got = race(folder, address, pairs, promote)
            else:
                uri = f"sqlite:///{folder / 'mlflow.db'}"
                connect(folder, uri, 2)  # before others open it
                got = race(folder, uri, pairs, promote)
            print(
                f"| {name} | {got.pairs} | {got.wrong} | {got.dangling} | {got.slowest_s:.2f} | "
                f"{time.monotonic() - began:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
