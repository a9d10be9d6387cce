"""python benchmarks/scale.py [--folder DIR] [COUNT ..]: what a training on a million samples costs.

For each number of samples a workspace is made, whose shards hold grey images and masks of 64 x 64
px, packed by `packing.pack_samples` and named by the manifest (noise, drawn instead of decoded;
some 70 of them are val and 70 test), and in it the stage `train` runs: a UNet of `feature_scale:
16`, batches of 32, one thread, in a process of its own, without loader processes and with 2; before
the first no shard has been held against its digest yet. Measured are the time from the start of the
process to the end of its first optimizer step, images per second from there to the last, and
anonymous memory (RssAnon), which leaves out the mapped files. `loading` is the first batches of an
epoch alone. Prints the table of docs/benchmarks.md. A million samples take 8 GB in DIR, or in a
temporary folder.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
COUNTS = (1_000, 10_000, 100_000, 1_000_000)
SIDE, HELD_OUT = 64, 64
STEPS, BATCH = 150, 32
LOADED = 500  # batches
LOOK_S = 0.01
ONE = [sys.executable, str(Path(__file__).resolve()), "--one"]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(ROOT / "src"), "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    # as maskmill sets it; here pandas, and with it Arrow, comes first
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}  # fmt: skip


def make(folder: Path, count: int) -> None:
    """The workspace of so many samples; one that is there stays."""
    if (folder / "params.yaml").exists():
        return
    from maskmill.curation import manifest
    from maskmill.images import decode, labels
    from maskmill.images.digest import pixel_digest
    from maskmill.samples import augmentation, packing
    from maskmill.settings import config
    from maskmill.settings.config import Augmentation

    pool = np.random.default_rng(0).integers(0, 256, count + SIDE * SIDE, np.uint8)
    classes = pool >> 6

    def image(path: Path, *_: Any) -> np.ndarray:
        return pool[int(path.stem) :][: SIDE * SIDE].reshape(SIDE, SIDE, 1)

    def mask(path: Path, *_: Any) -> np.ndarray:
        return classes[int(path.stem) :][: SIDE * SIDE].reshape(SIDE, SIDE)

    params = config.load(ROOT / "params.yaml")
    names = [f"{i:07d}" for i in range(count)]
    sample = pd.DataFrame([{"id": "0", "group": "g", "sequence": "s", "order": 0, "split": ""}])
    for side, picture in (("image", image), ("mask", mask)):
        decode.write_png(folder / f"{side}.png", picture(Path("0")))
        sample[side] = str(folder / f"{side}.png")
    table, _ = manifest.build(sample, params.data, None)
    # all columns that the manifest has
    table = table.loc[np.zeros(count, int)].reset_index(drop=True)
    table["id"], table["group"] = names, [f"group{i // 100}" for i in range(count)]
    for side, column, picture in (("image", "sha256_pixels", image), ("mask", "sha256_mask", mask)):
        table[side] = [f"data/source/{side}s/{name}.png" for name in names]
        table[column] = [pixel_digest(picture(Path(name))) for name in names]
    held_out = (
        np.arange(count) // (count // (2 * HELD_OUT)),
        np.arange(count) % (count // (2 * HELD_OUT)),
    )
    table["split"] = np.where(held_out[1] > 0, "train", np.where(held_out[0] % 2, "test", "val"))
    table["clean"] = True
    prepared = folder / params.paths.prepared
    decode.image, labels.read_ids = image, mask  # type: ignore[assignment]
    packing.pack_samples(prepared / "shards", table, params.data)
    manifest.write(prepared / "manifest.parquet", table)
    light = Augmentation(crop_px=None, preset="light", transforms=(), preview=1)
    augmentation.build_recipe(light, params.data.ignore_index).save(prepared / "augmentation.json")
    settings = YAML().load(ROOT / "params.yaml")
    settings["variants"] = ["unet"]
    settings["models"]["unet"] = {"feature_scale": 16}
    settings["train"] |= {
        "steps": STEPS,
        "batch_size": BATCH,
        "warmup_steps": 2,
        "val_every_steps": STEPS,
    }
    YAML().dump(settings, folder / "params.yaml")


def train(since: float) -> None:
    """The stage in this process, watched; `since`: when the process was started."""
    import maskmill.stages.train  # noqa: F401
    from maskmill.stages.__main__ import main
    from maskmill.training.loop import Training

    imported, steps, optimize = time.time(), [], Training._optimize

    def timed(training: Training, *batch: Any) -> None:
        optimize(training, *batch)
        steps.append(time.time())

    Training._optimize = timed  # type: ignore[method-assign]
    if status := main(["train", "unet"]):
        sys.exit(status)
    speed = BATCH * (len(steps) - 1) / (steps[-1] - steps[0])
    print(json.dumps({"imports": imported - since, "first": steps[0], "images_per_s": speed}))


def load() -> None:
    """Batches without a network."""
    from maskmill.samples.augmentation import Recipe
    from maskmill.samples.dataset import training_batches
    from maskmill.samples.shards import Shard
    from maskmill.settings import config

    prepared = Path(config.load().paths.prepared)
    shard, recipe = Shard(prepared / "shards", "train"), Recipe.load(prepared / "augmentation.json")
    batches = iter(
        training_batches(shard, recipe, batch=BATCH, seed=0, first=0, last=LOADED + 1, workers=0)
    )
    next(batches)
    start = time.perf_counter()
    for _ in batches:
        pass
    print(json.dumps({"images_per_s": BATCH * LOADED / (time.perf_counter() - start)}))


def measure(workspace: Path, what: str, **train: Any) -> dict[str, float]:
    """What a process of this task says, with its memory in MB.

    Memory is anonymous memory, of the process and of its loader processes.
    """
    values = YAML().load(workspace / "params.yaml")
    values["train"] |= train
    YAML().dump(values, workspace / "params.yaml")
    since = time.time()
    command = [*ONE, what, "--since", str(since)]
    process = psutil.Popen(
        command, cwd=workspace, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    seen: list[tuple[float, float, float]] = []
    loaders: list[psutil.Process] = []
    while process.poll() is None:
        if len(seen) % 20 == 0:
            loaders = [child for child in process.children() if _is_loader(child)]
        seen.append(
            (time.time(), _anonymous_mb(process), max(map(_anonymous_mb, loaders), default=0.0))
        )
        time.sleep(LOOK_S)
    out = process.stdout.read()
    if process.returncode:
        sys.exit(f"{what} in {workspace} ended with {process.returncode}: {out}")
    said: dict[str, float] = json.loads(out.splitlines()[-1])
    first = said.pop("first", since)
    return said | {
        "start_up": first - since,
        "highest": max(main for _, main, _ in seen),
        "later": statistics.median(main for at, main, _ in seen if at > first),
        "loader": max(loader for *_, loader in seen),
    }


def _is_loader(child: psutil.Process) -> bool:
    """Forked; the process that sends to MLflow is another program."""
    try:
        return child.cmdline() == child.parent().cmdline()
    except psutil.Error:
        return False


def _anonymous_mb(process: psutil.Process) -> float:
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(
        (int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon")), 0.0
    )


def run(folder: Path, counts: list[int]) -> None:
    """Print the table."""
    head = [
        "samples", "loader processes", "start-up, s", "of it imports, s", "training, images/s",
        "memory at its highest", "in training", "of a loader process", "loading, images/s",
    ]  # fmt: skip
    for row in (head, ["---"] * len(head)):
        print(f"| {' | '.join(row)} |")
    for count in counts:
        workspace = folder / str(count)
        subprocess.run(
            [*ONE, "make", "--folder", str(workspace), str(count)], check=True, env=ENVIRONMENT
        )
        for workers in (0, 2):
            for old in (
                "models",
                ".maskmill/checkpoints",
                *([] if workers else [".maskmill/verified"]),
            ):
                shutil.rmtree(workspace / old, ignore_errors=True)
            found = measure(
                workspace, "train", workers=workers, threads=1, steps=STEPS, val_every_steps=STEPS
            )
            loading = {} if workers else measure(workspace, "load")
            row = [
                f"{count:,}", str(workers), f"{found['start_up']:.1f}", f"{found['imports']:.1f}",
                f"{found['images_per_s']:.0f}", f"{found['highest']:.0f} MB",
                f"{found['later']:.0f} MB", f"{found['loader']:.0f} MB" if workers else "",
                f"{loading['images_per_s']:,.0f}" if loading else "",
            ]  # fmt: skip
            print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Print the table, or do one thing in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "counts", nargs="*", type=int, default=COUNTS, help="samples; default: those of the docs"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where the workspaces are made and stay; default: a temporary one",
    )
    parser.add_argument("--one", choices=["make", "train", "load"], help=argparse.SUPPRESS)
    parser.add_argument("--since", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one == "make":
        make(given.folder, *given.counts)
    elif given.one == "train":
        train(given.since)
    elif given.one == "load":
        load()
    elif given.folder:
        run(given.folder, given.counts)
    else:
        with tempfile.TemporaryDirectory(prefix="maskmill-scale-") as name:
            run(Path(name), given.counts)


if __name__ == "__main__":
    main()
