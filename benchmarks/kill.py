"""python benchmarks/kill.py: a killed training ends as one that was left alone.

SIGKILL comes at random moments. A tiny network on drawn squares, one thread, a checkpoint after
every step, so that about half of the kills fall into the writing of one. Each round trains from
nothing, is killed `--kills` times, started again each time, and ends; its weights, best weights and
rows are held against those of a training that was left alone. Children are forked, so a kill costs
no import. Prints the table of docs/benchmarks.md; exit status 1 where anything differs.
"""

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from maskmill import losses, models
from maskmill.images.moments import moments
from maskmill.metrics import Labels
from maskmill.samples import augmentation
from maskmill.samples.preprocessing import Preprocessing
from maskmill.settings import config
from maskmill.settings.config import Augmentation
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loading import Loading
from maskmill.training.loop import Training, Validator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.unit.training.ranks import Squares  # noqa: E402

SETTINGS = {
    "seed": 0, "steps": 60, "batch_size": 2, "learning_rate": 1e-2, "warmup_steps": 2,
    "val_every_steps": 7, "patience": 1000, "device": "cpu", "precision": "fp32", "threads": 1,
    "workers": 0, "checkpoint_every_s": 0.0, "ema": 0.9, "clip_norm": 1.0,
}  # fmt: skip


def train(folder: Path) -> str:
    """Train to the end in `folder`, and return a digest of all that came out.

    The training starts from the folder's checkpoint where there is one.
    """
    settings = config.load(ROOT / "params.yaml").train.model_copy(update=SETTINGS)
    shard, val = Squares(8, 0), Squares(2, 1)
    flip = ({"HorizontalFlip": {"p": 0.5}},)
    recipe = augmentation.build_recipe(
        Augmentation(crop_px=None, preset="none", transforms=flip, preview=1), 255
    )
    torch.manual_seed(0)
    model = models.create("unet", in_channels=1, num_classes=4, feature_scale=16)
    loss = losses.create({"cross_entropy": 1.0, "dice": 1.0}, 255)
    training = Training(
        model, loss, Preprocessing.fit(moments(image) for image, _ in shard), settings
    )
    validation = Validator(val, Labels(tuple("abcd"), (1, 2, 3), 255), "dice_foreground")
    result = training.fit(
        Loading(shard, recipe, settings), validation, Checkpoints(folder), lambda rows: None, "unet"
    )
    digest = hashlib.sha256(json.dumps([result.history, result.best_step]).encode())
    for tensors in (training.plain.state_dict(), result.weights):
        for name in sorted(tensors):
            digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def child(folder: Path, out: Path) -> None:
    """Train quietly, and leave the digest."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        out.write_text(train(folder))


def start(folder: Path, out: Path) -> multiprocessing.context.ForkProcess:
    process = multiprocessing.get_context("fork").Process(target=child, args=(folder, out))
    process.start()
    return process


def run(kills: int, rounds: int) -> bool:
    """Print the table; whether every round ended as it should."""
    rng, equal, killed, writing, lost = random.Random(0), 0, 0, 0, []
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        began = time.monotonic()
        start(root / "whole", root / "expected").join()
        seconds = time.monotonic() - began
        expected = (root / "expected").read_text()
        for number in range(rounds):
            folder, out, done = root / str(number), root / f"{number}.digest", 0
            while done < kills and not out.exists():
                before = _step(folder)
                process = start(folder, out)
                process.join(rng.uniform(0.05, 0.05 + 2 * seconds / (kills + 1)))
                if process.is_alive():
                    os.kill(process.pid, signal.SIGKILL)
                    process.join()
                    done += 1
                    writing += any(folder.glob(".*.part"))
                    lost.append(_step(folder) - before)
            start(folder, out).join()
            killed += done
            equal += out.read_text() == expected and not any(folder.glob(".*"))
            print(
                f"round {number + 1} of {rounds}: {killed} kills so far, {equal} rounds equal",
                file=sys.stderr,
            )
    print("| SIGKILLs | in the middle of a checkpoint's write | trainings that ended bit-equal |")
    print("|---|---|---|")
    print(f"| {killed} | {writing} | {equal} of {rounds} |")
    print(f"\nmean steps between two kills: {np.mean(lost):.1f} of {SETTINGS['steps']}")
    return equal == rounds


def _step(folder: Path) -> int:
    """Of the newest checkpoint."""
    return max((int(path.name[5:13]) for path in folder.glob("step-*.safetensors")), default=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10, help="in each training")
    parser.add_argument("--rounds", type=int, default=22, help="trainings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sys.exit(0 if run(given.kills, given.rounds) else 1)
