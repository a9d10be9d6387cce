"""python benchmarks/overhead.py [up] [away] [hanging] [rows] [save] [large]: the cost of records.

Records are the log and the checkpoints of a training. `up`, `away`, `hanging`: the shipped data and
the first shipped variant, with MLflow's server up, away (nothing listens) and hanging (it accepts,
and never answers), at `val_every_steps` as shipped and at 1; "of a step" is the time inside `log`
over the time of all optimizer steps. `rows`: one call of `log` when the history is long. `save`:
the shipped variants, each for 50 s, `large`: resnet50_unet at full width for three minutes, ended
by SIGTERM; the checkpoint that SIGTERM asks for is told apart. Each training is the stage `train`,
in a process of its own. Prints the tables of docs/benchmarks.md.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT / "src"),
    "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
}
ROWS = ("up", "away", "hanging", "rows", "save", "large")
STEPS = {52: 52, 1: 24}  # val_every_steps: steps
LENGTHS = (10, 1_000, 10_000)
LARGE, SECONDS, LARGE_SECONDS = "resnet50_unet", 50.0, 170.0
MANY = 1_000_000  # steps that no training here comes to


def prepare(folder: Path) -> None:
    """The shipped data, as far as `train` needs them."""
    shutil.copytree(
        ROOT / "data", folder / "data", ignore=shutil.ignore_patterns("raw", "prepared")
    )
    shutil.copy(ROOT / "params.yaml", folder)
    for stage in ("ingest", "validate", "split", "augment"):
        command = [sys.executable, "-m", "maskmill.stages", stage]
        subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def train(variant: str, seconds: float) -> None:
    """Run the stage in this process, with a clock at everything that is measured.

    With 0 seconds it runs to its last step.
    """
    from maskmill.stages import train as stage
    from maskmill.stages.__main__ import main
    from maskmill.training.loop import Training

    times: dict[str, list[float]] = {"fit": [], "step": [], "log": [], "save": []}

    def timed(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return act(*given, **named)
            finally:
                times[name].append(time.perf_counter() - start)

        return watched

    make = stage._history_writer
    stage._history_writer = lambda *given: timed("log", make(*given))
    Training.fit = timed("fit", Training.fit)  # type: ignore[method-assign]
    Training._optimize = timed("step", Training._optimize)  # type: ignore[method-assign]
    Training._save = timed("save", Training._save)  # type: ignore[method-assign]
    if seconds:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with contextlib.suppress(SystemExit):
        main(["train", variant])
    sizes = [path.stat().st_size for path in Path(".maskmill/checkpoints").rglob("*.safetensors")]
    print(json.dumps(times | {"mb": [size / 1e6 for size in sizes]}))


def run(
    folder: Path, variant: str, uri: str = "", seconds: float = 0.0, **changes: Any
) -> dict[str, Any]:
    """One training in a process of its own, and what its clocks say."""
    for name in (".maskmill/checkpoints", ".maskmill/spool", "models"):
        shutil.rmtree(folder / name, ignore_errors=True)
    values = YAML().load(ROOT / "params.yaml")
    values["train"] |= changes
    if variant not in values["variants"]:
        values["variants"].append(variant)
        values["models"][variant] = {}
    YAML().dump(values, folder / "params.yaml")
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--one",
        variant,
        "--seconds",
        str(seconds),
    ]
    environment = ENVIRONMENT | ({"MLFLOW_TRACKING_URI": uri} if uri else {})
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@contextlib.contextmanager
def server(state: str, folder: Path) -> Iterator[str]:
    """The address of a tracking server that is up, away or hanging."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        uri = f"http://127.0.0.1:{port}"
        if state == "hanging":
            yield uri
            return
    if state == "away":
        yield uri
        return
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=1):
                break
            time.sleep(0.5)
        yield uri
    finally:
        process.terminate()
        process.wait()


def log(folder: Path, state: str) -> None:
    """The table of one state of the tracking server."""
    from maskmill.settings import config

    variant = config.load(ROOT / "params.yaml").variants[0]
    table(
        [
            "tracking server",
            "`val_every_steps`",
            "rows",
            "ms in `log`",
            "longest",
            "ms of a step",
            "of a step",
        ]
    )
    with server(state, folder) as uri:
        for every, steps in STEPS.items():
            found = run(folder, variant, uri, steps=steps, val_every_steps=every, patience=steps)
            rows, seconds = found["log"], found["step"]
            row(
                state, every, len(rows), f"{1000 * statistics.mean(rows):.1f}",
                f"{1000 * max(rows):.1f}", f"{1000 * statistics.median(seconds):.0f}",
                f"{sum(rows) / sum(seconds):.2%}",
            )  # fmt: skip


def rows(folder: Path) -> None:
    """The table of long histories."""
    from maskmill.stages.train import _history_writer
    from maskmill.tracking import spools
    from maskmill.tracking.spools import Facts

    table(
        [
            "rows before",
            "after a restart, ms for all of them",
            "ms for one more",
            "`history.csv`, kB",
        ]
    )
    for length in LENGTHS:
        facts = Facts(f"{length}", "unet", {}, git_commit="", data_title="", data_hash="")
        spool = spools.begin_spool(folder / "spool", facts)
        made = [
            {"step": 52 * i, "loss": 1 / (i + 3), "learning_rate": 4e-3, "val_dice": 0.1}
            for i in range(length + 20)
        ]
        add = _history_writer(folder / f"{length}", spool)
        times = []
        for part in (made[:length], *([row] for row in made[length:])):
            start = time.perf_counter()
            add(part)
            times.append(1000 * (time.perf_counter() - start))
        size = (folder / f"{length}" / "history.csv").stat().st_size / 1000
        row(f"{length:,}", f"{times[0]:.0f}", f"{statistics.median(times[1:]):.1f}", f"{size:,.0f}")


def save(folder: Path, variants: Sequence[str], seconds: float) -> None:
    """The table of checkpoints, at `checkpoint_every_s` as shipped."""
    table(
        ["variant", "checkpoint, MB", "written", "s each", "of the time", "with the one at the end"]
    )
    for variant in variants:
        found = run(folder, variant, seconds=seconds, steps=MANY, patience=MANY)
        *before, last = found["save"]
        (whole,) = found["fit"]
        row(
            variant, f"{max(found['mb']):.0f}", len(before),
            f"{statistics.mean([*before, last]):.2f}", f"{sum(before) / (whole - last):.2%}",
            f"{(sum(before) + last) / whole:.2%}",
        )  # fmt: skip


def table(head: list[str]) -> None:
    row(*head)
    row(*["---"] * len(head))


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def main() -> None:
    """Print the tables, or do one training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "rows", nargs="*", choices=[*ROWS, []], help="tables to make; all if not given"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        train(given.one, given.seconds)
        return
    from maskmill.settings import config

    with tempfile.TemporaryDirectory(prefix="maskmill-overhead-") as name:
        folder = Path(name)
        prepare(folder)
        for what in given.rows or ROWS:
            print(f"\n`{what}`\n", flush=True)
            if what in ("up", "away", "hanging"):
                log(folder, what)
            elif what == "rows":
                rows(folder)
            elif what == "save":
                save(folder, config.load(ROOT / "params.yaml").variants, SECONDS)
            else:
                save(folder, [LARGE], LARGE_SECONDS)


if __name__ == "__main__":
    main()
