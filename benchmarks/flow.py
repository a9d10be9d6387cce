"""python benchmarks/flow.py: what the flow costs over `dvc repro`, and how fast `maskmill up` is.

The flow runs once with all stages to do and once with none. In a clone with tiny trainings, from an
empty cache each time, so that every stage does its work; the two are run in turn. The limit of the
flow is `dvc repro` itself.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.services.conftest import Servers

ROUNDS = 3
COMMANDS = {"dvc repro": ("-m", "dvc", "repro"), "make flow": ("-m", "pipelines")}
OUTS = (
    "dvc.lock",
    ".dvc/cache",
    ".dvc/tmp",
    "data/raw",
    "data/prepared",
    "models",
    "challenger",
    "metrics",
    "reports",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Servers(Path(folder) / "repository")
        fresh = seconds(workspace, "-m", "maskmill", "up")
        try:
            whole: dict[str, list[float]] = {name: [] for name in COMMANDS}
            nothing: dict[str, list[float]] = {name: [] for name in COMMANDS}
            for _ in range(ROUNDS):
                for name, command in COMMANDS.items():
                    empty(workspace.root)
                    whole[name].append(seconds(workspace, *command))
                    nothing[name].append(seconds(workspace, *command))
        finally:
            workspace.maskmill("down")
    print(f"| median of {ROUNDS}, s | every stage | no stage |\n|---|---|---|")
    for name in COMMANDS:
        print(
            f"| `{name}` | {statistics.median(whole[name]):.1f} |"
            f" {statistics.median(nothing[name]):.1f} |"
        )
    more = statistics.median(f - d for d, f in zip(*whole.values(), strict=True))
    print(
        f"\nthe flow takes {more:.1f} s more on real work; `maskmill up` from nothing:"
        f" {fresh:.1f} s"
    )


def seconds(workspace: Servers, *command: str) -> float:
    start = time.monotonic()
    done = workspace.run(sys.executable, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - start


def empty(root: Path) -> None:
    for name in OUTS:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(root / ".maskmill/checkpoints", ignore_errors=True)


if __name__ == "__main__":
    main()
