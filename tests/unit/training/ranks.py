"""python ranks.py FOLDER DEVICES BATCH [PAUSE_S]: train so; each process writes its weights.

It trains on squares. Started once; where DEVICES is 2, it starts itself once more. The first writes
its rows, too, and its weights after one step. PAUSE_S is how long each image takes.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from maskmill import losses, models
from maskmill.images.moments import moments
from maskmill.metrics import Labels
from maskmill.samples import augmentation
from maskmill.samples.preprocessing import Preprocessing
from maskmill.settings import config
from maskmill.settings.config import Augmentation
from maskmill.system.logs import log_to_stdout
from maskmill.system.processes import die_with_parent
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loading import Loading
from maskmill.training.loop import HistoryRow, Training, Validator

SETTINGS = {
    "seed": 0, "steps": 8, "learning_rate": 0.05, "warmup_steps": 0, "val_every_steps": 3,
    "optimizer": "sgd", "device": "cpu", "precision": "fp32", "threads": 1, "workers": 0,
    "checkpoint_every_s": 0.0, "patience": 100, "clip_norm": 1.0, "ema": 0.5,
}  # fmt: skip


class Squares(list[tuple[np.ndarray, np.ndarray]]):
    """As a shard: images (32, 32, 1) and masks of squares, told apart by brightness."""

    def __init__(self, count: int, seed: int, pause_s: float = 0) -> None:
        self.pause_s = pause_s
        rng = np.random.default_rng(seed)
        for _ in range(count):
            mask = rng.integers(0, 4, (4, 4), np.uint8).repeat(8, 0).repeat(8, 1)
            self.append(
                ((60 * mask + rng.integers(0, 20, mask.shape)).astype(np.uint8)[..., None], mask)
            )
        self.ids, self.sizes = [f"p{i}" for i in range(count)], [(32, 32)] * count

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        time.sleep(self.pause_s)
        return super().__getitem__(i)


def main(folder: Path, devices: int, batch: int, pause_s: float = 0) -> None:
    changes = SETTINGS | {"devices": devices, "batch_size": batch}
    train = config.load(Path(__file__).parents[3] / "params.yaml").train.model_copy(update=changes)
    shard, val = Squares(8, 0, pause_s), Squares(3, 1)
    recipe = augmentation.build_recipe(
        Augmentation(crop_px=None, preset="none", transforms=(), preview=1), 255
    )
    torch.manual_seed(0)
    model = models.create("unet", in_channels=1, num_classes=4, feature_scale=16)
    loss = losses.create({"cross_entropy": 1.0}, 255)
    training = Training(model, loss, Preprocessing.fit(moments(image) for image, _ in shard), train)
    rows: list[HistoryRow] = []
    out, rank = folder / f"{devices}x{batch}", training.fabric.global_rank

    def write_weights(name: str) -> None:
        weights = {name: value.contiguous() for name, value in training.plain.state_dict().items()}
        safetensors.torch.save_file(weights, out / f"{name}.safetensors")

    def after_step(*_: object) -> None:
        if training.writes and not (out / "first.safetensors").exists():
            write_weights("first")

    out.mkdir(parents=True, exist_ok=True)
    hook = register_optimizer_step_post_hook(after_step)
    result = training.fit(
        Loading(shard, recipe, train, rank=training.fabric.global_rank),
        Validator(val, Labels(tuple("abcd"), (1, 2, 3), 255), "dice_foreground"),
        Checkpoints(out / "checkpoints"), rows.extend, "unet",
    )  # fmt: skip
    hook.remove()
    assert training.writes == (rank == 0)
    write_weights(f"rank{rank}")
    if training.writes:
        (out / "rows.json").write_text(json.dumps([rows, result.history]))


if __name__ == "__main__":
    die_with_parent()
    log_to_stdout()
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        int(sys.argv[3]),
        float(sys.argv[4]) if len(sys.argv) > 4 else 0,
    )
