"""python benchmarks/sampling.py: what rare-class weighting and foreground crops cost a loader.

The loader has no processes. Images per second of processor time, one thread, of 256 x 256 crops
without further transforms from grey images, each with three classes in rectangles; median of 20
epochs after 1 to warm up. Then the order of one epoch of a million images. Prints the tables of
docs/benchmarks.md, and the load of the machine.
"""

import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from maskmill.images import decode
from maskmill.images.digest import pixel_digest
from maskmill.samples import augmentation, packing, sampling, shards
from maskmill.samples.dataset import training_batches
from maskmill.settings import config
from maskmill.settings.config import Augmentation, Sampling

EPOCHS, IMAGES, CLASSES = 21, 16, 4
SIDES = (512, 2048)
SETTINGS = {
    "off": sampling.PLAIN,
    "`rare_below: 0.5`": Sampling(rare_below=0.5, foreground_crops=0.0, crop_classes="equal"),
    "`foreground_crops: 0.33`": Sampling(
        rare_below=0.0, foreground_crops=0.33, crop_classes="equal"
    ),
    "`foreground_crops: 1.0`, `rare`": Sampling(
        rare_below=0.0, foreground_crops=1.0, crop_classes="rare"
    ),
}


def make_shard(folder: Path, side: int) -> shards.Shard:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(IMAGES):
        mask = np.zeros((side, side), np.uint8)
        for k in range(1, CLASSES if i % 4 == 0 else CLASSES - 1):
            y, x = rng.integers(0, side - side // 8, 2)
            mask[y : y + side // 8, x : x + side // 8] = k
        image = rng.integers(0, 256, (side, side, 1), dtype=np.uint8)
        paths = {kind: folder / f"{kind}{i:02d}.png" for kind in ("image", "mask")}
        decode.write_png(paths["image"], image)
        decode.write_png(paths["mask"], mask)
        digests = {"sha256_pixels": pixel_digest(image), "sha256_mask": pixel_digest(mask)}
        rows.append(
            {"id": f"{i:02d}", "split": "train", "clean": True, **digests}
            | {k: str(p) for k, p in paths.items()}
        )
    data = config.load().data.model_copy(
        update={"classes": ("background", "a", "b", "c"), "values": None}
    )
    packing.pack_samples(folder / "shards", pd.DataFrame(rows), data)
    return shards.Shard(folder / "shards", "train")


def images_per_s(shard: shards.Shard, settings: Sampling) -> float:
    recipe = augmentation.build_recipe(
        Augmentation(crop_px=(256, 256), preset="none", transforms=(), preview=1), 255
    )
    pixels = np.stack([np.bincount(mask.ravel(), minlength=CLASSES) for _, mask in shard])
    sampler = sampling.create_sampler(settings, pixels, range(1, CLASSES), recipe.crop_px)
    batches = training_batches(
        shard, recipe, batch=IMAGES, seed=0, first=0, last=EPOCHS, workers=0, sampler=sampler
    )  # fmt: skip
    times, start = [], time.process_time()
    for _ in batches:
        now = time.process_time()
        times.append(now - start)
        start = now
    return IMAGES / statistics.median(times[1:])


def seconds_of_order(weights: np.ndarray | None, samples: int = 1_000_000) -> float:
    start = time.process_time()
    sampling.one_epoch(samples, weights, np.random.default_rng(0))
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print("| `train.sampling` | " + " | ".join(f"{side} px, images/s" for side in SIDES) + " |")
    print("|---|" + "---|" * len(SIDES))
    with tempfile.TemporaryDirectory() as folder:
        made = [make_shard(Path(folder) / str(side), side) for side in SIDES]
        for name, settings in SETTINGS.items():
            print(
                f"| {name} | "
                + " | ".join(f"{images_per_s(shard, settings):.0f}" for shard in made)
                + " |"
            )
    weights = np.random.default_rng(1).uniform(1, 3, 1_000_000)
    for name, given in (("each image alike", None), ("weighted", weights)):
        print(f"order of one epoch of 1,000,000 images, {name}: {seconds_of_order(given):.3f} s")
    print(f"load of the machine: {' '.join(Path('/proc/loadavg').read_text().split()[:3])}")


if __name__ == "__main__":
    main()
