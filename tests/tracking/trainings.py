"""A small process that trains line by line as a test says, and what MLflow has of it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.tracking.conftest import ROOT

CODE = """
import sys, time
from pathlib import Path
from maskmill.tracking import live, spools
facts = spools.Facts("f1", "unet", {"train.seed": 0}, git_commit="c0ffee", \
data_title="cells", data_hash="0123.dir")
made = spools.begin_spool(Path(".maskmill/spool"), facts)
if sys.argv[1] == "live":
    live.start(made.path, 0.0)
print(made.key, flush=True)
for line in sys.stdin:
    if line == "end\\n":
        made.finish()
        break
    start = time.monotonic()
    made.add([{"step": int(line), "loss": 1 / int(line), "val_dice": 0.5}])
    print(time.monotonic() - start, flush=True)
"""


class Trainer:
    """A training in `root`, with or without its sender, towards the MLflow at `uri`."""

    def __init__(self, root: Path, uri: str = "", *, live: bool = True) -> None:
        (root / ".maskmill/checkpoints/unet/f1").mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / "params.yaml", root)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")
        }
        environment |= {"MLFLOW_TRACKING_URI": uri} if uri else {}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, "live" if live else "alone"],
            cwd=root, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.key = self.process.stdout.readline().strip()
        self.spool = root / f".maskmill/spool/{self.key}.jsonl"

    def add(self, *steps: int) -> float:
        """Rows of the history; gives the seconds that the slowest one took."""
        took_s = []
        for step in steps:
            self.process.stdin.write(f"{step}\n")
            self.process.stdin.flush()
            took_s.append(float(self.process.stdout.readline()))
        return max(took_s)

    def end(self) -> float:
        """Finish; gives the seconds until the process was gone and nothing held its output open."""
        start = time.monotonic()
        self.process.communicate("end\n", timeout=60)
        return time.monotonic() - start

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=10)

    def senders(self) -> list[int]:
        """Processes that send this training's spool."""
        return [
            pid
            for pid in processes()
            if str(self.spool.name) in command(pid) and "tracking.live" in command(pid)
        ]


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command(pid: int) -> str:
    try:  # empty for a zombie
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return condition()
