"""What the weights of a training follow from: with another such digest, it does not go on from a checkpoint."""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

import maskmill
from maskmill import models
from maskmill.data import shard_files
from maskmill.training.loop import Training

_CODE = (  # what decides the weights, beside the pixels, whose digests are taken
    "data/augmentation.py", "data/dataset.py", "data/moments.py", "data/preprocessing.py",
    "data/sampling.py", "losses", "metrics/__init__.py", "metrics/confusion.py", "training", "models/weights.py",
)  # fmt: skip
_NO_EFFECT = (  # on the weights
    "data.title", "data.colours", "train.workers", "train.loader_timeout_s", "train.max_skipped",
    "train.allow_smaller_batches", "train.checkpoint_every_s", "train.checkpoints_kept",
)  # fmt: skip


def of(prepared: Path, params: dict[str, Any], training: Training, variant: str) -> str:
    """A digest of all that the weights follow from: settings, data, recipe, code, torch, device."""
    params = {key: value for key, value in params.items() if key not in _NO_EFFECT}
    parts = [
        json.dumps(params, sort_keys=True, default=str), training.device, training.precision, torch.__version__,
        *shard_files.digests(prepared / "shards", ("train", "val")),
        (prepared / "augmentation.json").read_text(), *(path.read_text() for path in sorted(code(variant))),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def code(variant: str) -> set[Path]:
    """The files of maskmill that decide the weights; of the networks' those that this variant imports."""
    root = Path(maskmill.__file__).parent
    found = {p for part in _CODE for p in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))}
    to_read = [root / "models/__init__.py", root / f"models/networks/{variant}.py"]
    while to_read:
        path = to_read.pop()
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{models.__name__}."):
                named = (root.parent / node.module.replace(".", "/")).with_suffix(".py")
                to_read += [named] if named not in found else []
    return found
