"""python benchmarks/start.py: how long a stage imports and exits, with and without quick.py."""

import statistics
import subprocess
import sys
import time

from maskmill import stages
from maskmill.system import components

ROUNDS = 5
PLAIN = "import maskmill.stages.{0}"
QUICK = """
from maskmill.system import quick
with quick.imports_without_gc():
    import maskmill.stages.{0}
quick.exit_at_once(0)
"""


def main() -> None:
    print("| stage | plain, s | quick, s |\n|---|---|---|")
    for stage in components.names(stages.__name__):
        print(
            f"| {stage} | {median_s(PLAIN.format(stage)):.1f} |"
            f" {median_s(QUICK.format(stage)):.1f} |",
            flush=True,
        )


def median_s(code: str) -> float:
    """Of some processes that run the code, after one that compiles it."""
    times = []
    for _ in range(ROUNDS + 1):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.monotonic() - begun)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
