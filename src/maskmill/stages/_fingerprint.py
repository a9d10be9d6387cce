"""A digest of what the weights of a training follow from.

A training whose digest is another does not go on from a checkpoint.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from maskmill.samples import shard_files
from maskmill.settings.config import Variant
from maskmill.settings.network_names import spelt_out
from maskmill.system import code_digest
from maskmill.training.loop import Training

_NO_EFFECT = (  # on the weights
    "data.title", "data.colours", "train.workers", "train.loader_timeout_s", "train.max_skipped",
    "train.allow_smaller_batches", "train.checkpoint_every_s", "train.checkpoints_kept",
)  # fmt: skip


def training_fingerprint(
    prepared: Path, params: dict[str, Any], training: Training, variant: Variant
) -> str:
    """A digest of all that the weights follow from: settings, data, recipe, code, torch, device."""
    params = {key: value for key, value in params.items() if key not in _NO_EFFECT}
    parts = [
        json.dumps(params, sort_keys=True, default=str), training.device, training.precision,
        torch.__version__,
        *shard_files.split_digests(prepared / "shards", ("train", "val")),
        (prepared / "augmentation.json").read_text(),
        code_digest.digest(
            code_digest.TRAINING,
            {spelt_out(variant.network)[0], *code_digest.strings_in(params)},
        ),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
