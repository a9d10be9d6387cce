"""The state of a training on disk: safetensors named by their own digest, so that half a file is never believed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from maskmill import files

_KEPT = 2  # newest files; the one before the last is there for the day the last one is damaged


@dataclass
class State:
    """Everything a training needs to go on as if nothing had happened."""

    step: int  # optimizer steps done
    tensors: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # JSON values


class Checkpoints:
    """A folder of checkpoints of one training."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, state: State) -> None:
        """Write one file atomically, then drop all but the newest two.

        Raises: DiskFullError; the earlier checkpoints are still there.
        """
        facts = {"step": str(state.step), "facts": json.dumps(state.facts)}
        content = safetensors.torch.save({k: v.contiguous() for k, v in state.tensors.items()}, metadata=facts)
        digest = hashlib.sha256(content).hexdigest()[:16]
        files.write_bytes(self._folder / f"step-{state.step:08d}-{digest}.safetensors", content)
        for path in self._newest_first()[_KEPT:]:
            path.unlink()

    def latest(self) -> State | None:
        """The newest checkpoint whose bytes match the digest in its name, or None."""
        for path in self._newest_first():
            if files.sha256(path)[:16] == path.stem.rsplit("-", 1)[-1]:
                return _read(path)
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("step-*.safetensors"), reverse=True)


def _read(path: Path) -> State:
    with safetensors.safe_open(path, framework="pt") as file:
        facts: Mapping[str, str] = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return State(int(facts["step"]), tensors, json.loads(facts["facts"]))
