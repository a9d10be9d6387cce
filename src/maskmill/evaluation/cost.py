"""What one prediction costs: time, memory, parameters."""

from dataclasses import asdict, dataclass
from pathlib import Path

from maskmill.system import files


@dataclass(frozen=True)
class Cost:
    """Of one variant, on the machine that evaluated it."""

    parameters: int
    ms_per_image: float  # median over the test images, one at a time
    # 10^6 bytes: weights, and the most that is held at once beside them, see `memory.memory_mb`
    memory_mb: float


def write_cost(path: Path, cost: Cost) -> None:
    """Write metrics/cost/<variant>.json."""
    files.write_json(path, asdict(cost))


def read_cost(path: Path) -> Cost:
    """What `write` wrote."""
    return Cost(**files.read_json(path))
