"""The state of a training on disk: safetensors files named by their own digest.

By the digest, half a file is never believed.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from maskmill.system import files

_SHARE = 0.02  # of the time, at most, that goes to checkpoints
_LONGEST_S = (
    900.0  # without one, however long they take: a disk may have hung once, or the machine slept
)
_BYTES_PER_S = 200e6  # that a slow machine brings to the disk, until it is known what one takes


@dataclass
class TrainingState:
    """Everything a training needs to go on as if nothing had happened."""

    step: int  # optimizer steps done
    tensors: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # JSON values


class Checkpoints:
    """A folder of checkpoints of one training: the newest `kept`.

    Each holds the best weights so far, too. The one before the newest is there for the day the
    newest is damaged.
    """

    def __init__(self, folder: Path, kept: int = 2) -> None:
        self._folder, self._kept = folder, kept
        self._began = self._saved = time.monotonic()
        self._written, self._spent_s, self._expected_s = 0, 0.0, 0.0

    def expect(self, size: int) -> None:
        """Say how many bytes a checkpoint will have.

        So the first is not written before it is worth its time.
        """
        self._expected_s = size / _BYTES_PER_S

    def due(self, every_s: float) -> bool:
        """Whether the last one is `every_s` old, or more where writing takes long; 0: always.

        All together take at most 2 % of the time since the start, but for the one at the end, and
        for one after 15 minutes without.
        """
        now, next_s = (
            time.monotonic(),
            (self._spent_s / self._written if self._written else self._expected_s),
        )
        seldom = self._spent_s + next_s <= _SHARE * (now - self._began)
        age = now - self._saved
        return not every_s or (age >= every_s and (seldom or age >= _LONGEST_S))

    def save(self, state: TrainingState, began: float | None = None) -> None:
        """Write one file atomically, then drop older ones, and what a killed writer left.

        `began`: `time.monotonic()` of when the state was begun to be made, which counts as writing.
        Raises: DiskFullError; the earlier checkpoints are still there.
        """
        began = time.monotonic() if began is None else began
        facts = {"step": str(state.step), "facts": json.dumps(state.facts)}
        content = safetensors.torch.save(
            {k: v.contiguous() for k, v in state.tensors.items()}, metadata=facts
        )
        digest = hashlib.sha256(content).hexdigest()[:16]
        files.write_bytes(self._folder / f"step-{state.step:08d}-{digest}.safetensors", content)
        for path in (*self._newest_first()[self._kept :], *self._folder.glob(".step-*.part")):
            path.unlink()
        self._saved = time.monotonic()
        self._spent_s += self._saved - began
        self._written += 1

    def latest(self) -> TrainingState | None:
        """The newest checkpoint whose bytes match the digest in its name, or None."""
        for path in self._newest_first():
            if files.sha256(path)[:16] == path.stem.rsplit("-", 1)[-1]:
                return _read(path)
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("step-*.safetensors"), reverse=True)


def _read(path: Path) -> TrainingState:
    with safetensors.safe_open(path, framework="pt") as file:
        facts: Mapping[str, str] = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return TrainingState(int(facts["step"]), tensors, json.loads(facts["facts"]))
