"""python benchmarks/line.py [SEED ..]: how long the main job takes, and what its champion scores.

For each seed in a fresh clone, on this processor as it is, and with the kernels of one that has
AVX2 alone.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from maskmill.settings.config import read_yaml
from pipelines import workspace
from tests.pipelines.conftest import change_params

PROCESSORS = {
    "this one": {},
    "AVX2 alone": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
}
UNITS_S = {"s": 1, "min": 60, "h": 3600}
EXPECTED = re.compile(r"^(\w+): .* px: about ([\d.]+) (s|min|h),", re.MULTILINE)


def main(seeds: list[int]) -> None:
    print(
        "| kernels | seed | line, s | trainings, s (said before) | put forward | val | test |"
        " look-up table |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for seed in seeds:
        for name, environment in PROCESSORS.items():
            with tempfile.TemporaryDirectory() as folder:
                print(
                    f"| {name} | {seed} | {row(Path(folder) / 'repository', seed, environment)} |",
                    flush=True,
                )


def row(root: Path, seed: int, environment: dict[str, str]) -> str:
    """Run the line in a clone; time, trainings, scores."""
    subprocess.run(["git", "clone", "--quiet", ".", root], check=True)
    change_params(root, {"train.seed": seed})
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.local"],
        cwd=root, env=workspace.dvc_environment() | environment | {"PYTHONPATH": str(root / "src")},
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    took_s = time.monotonic() - start
    assert done.returncode == 0, done.stdout + done.stderr
    said = {
        variant: float(number) * UNITS_S[unit]
        for variant, number, unit in EXPECTED.findall(done.stdout)
    }
    trained = {v: json.loads((root / f"models/{v}/run.json").read_text())["seconds"] for v in said}
    verdict = json.loads((root / "metrics/registration.json").read_text())
    champion = json.loads((root / "metrics/selection.json").read_text())["challenger"]
    outcome = "" if verdict["champion"] else " (refused)"
    primary = read_yaml(root / "params.yaml")["evaluation"]["primary"]
    scores = [
        json.loads((root / f"metrics/{split}/{champion}.json").read_text())[primary]
        for split in ("val", "test")
    ]
    table = re.search(r"look-up table\)\s+([\d.]+)", done.stdout)
    assert table, done.stdout
    times = " + ".join(f"{trained[variant]:.0f} ({said[variant]:.0f})" for variant in said)
    return (
        f"{took_s:.0f} | {times} | {champion}{outcome} | {scores[0]['value']:.4f} | "
        f"{scores[1]['value']:.4f} [{scores[1]['low']:.3f}, {scores[1]['high']:.3f}] | {table[1]}"
    )


if __name__ == "__main__":
    for variable in ("MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE"):  # as a user has it
        os.environ.pop(variable, None)
    main([int(seed) for seed in sys.argv[1:]] or [0, 1, 2])
