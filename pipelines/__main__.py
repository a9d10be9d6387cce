"""python -m pipelines: run the flow `training` now, in this process; what `make flow` runs."""

import os
import sys
from pathlib import Path


def main() -> int:
    """Exit status 0 when the flow has completed, 1 when it has not."""
    os.environ.setdefault("PREFECT_HOME", str(Path(".maskmill/prefect").resolve()))
    os.environ.setdefault("PREFECT_API_URL", "http://127.0.0.1:4299/api")
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from maskmill import config
    from pipelines import summary
    from pipelines.training import training

    state = training(return_state=True)
    if not state.is_completed():
        print(f"error: {state.message}", file=sys.stderr)
        return 1
    print(summary.text(config.load()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
