"""python benchmarks/peers/training.py [--data DIR] [ROW ..]: training steps of maskmill and peers.

Needs the environment of `make bench-peers`. One network, segmentation_models.pytorch's U-Net on a
ResNet-34, with the same crops, batches and cross-entropy, trained by: (a) a bare torch loop on
batches that lie in memory, ready; (b) smp and Lightning's Trainer on PNG files and albumentations,
in fp32 and NCHW, as its users run it; (c) the same in bf16; rows in between, each with one setting
more; and maskmill: its loop, recipe, shards, guards and progress. Everything runs in one process,
taking turns, on the pairs of DIR/images and DIR/masks or on generated ones of 360 x 480 px. A turn
trains WARM_UP steps and then those that are timed; a figure is the median of the turns, a ratio the
median of the turns' ratios. A checkpoint falls into none of them, nor a validation that is worth
its name: `benchmarks/overhead.py` measures what they cost. All sides stand in one file, long as it
is, so that what each does can be held beside the others.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import albumentations as A
import cv2
import lightning
import numpy as np
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from albumentations.pytorch import ToTensorV2
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

sys.path.append(str(Path(__file__).parents[1]))
from pairs import ROOT, as_png, generate, index_of
from peers.networks import LIKE_SMP

from maskmill import losses, models
from maskmill.curation.manifest import build
from maskmill.metrics import Labels
from maskmill.models.describe import multiply_adds
from maskmill.samples import augmentation
from maskmill.samples.packing import pack_samples
from maskmill.samples.preprocessing import Preprocessing
from maskmill.samples.shard_files import moments_of
from maskmill.samples.shards import Shard
from maskmill.settings import config
from maskmill.settings.config import Augmentation, Train
from maskmill.training import hardware
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loading import Loading
from maskmill.training.loop import Training, Validator

CROP, IGNORED, RATE, WARM_UP = (256, 256), 11, 1e-3, 4
VAL_PX = 64  # side of the one image that the loop validates on
OURS = "maskmill, as it chooses itself"
OWN = f"maskmill, with its own resnet34_unet and {LIKE_SMP}"


class Setting(NamedTuple):
    """What a row is."""

    precision: str = "fp32"
    channels_last: bool = False
    fused: bool = False
    workers: int = 2


class Files(Dataset[tuple[Tensor, Tensor]]):
    """PNG files, read and varied as in the examples of smp and albumentations."""

    def __init__(self, folder: Path, standard: Preprocessing) -> None:
        self.pairs = list(
            zip(*(sorted((folder / side).iterdir()) for side in ("images", "masks")), strict=True)
        )
        vary = [
            A.RandomCrop(*CROP),
            A.HorizontalFlip(),
            A.Normalize(standard.mean, standard.std),
            ToTensorV2(),
        ]
        self.vary = A.Compose(vary)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        image = cv2.cvtColor(cv2.imread(str(self.pairs[i][0])), cv2.COLOR_BGR2RGB)
        out = self.vary(image=image, mask=cv2.imread(str(self.pairs[i][1]), cv2.IMREAD_UNCHANGED))
        return out["image"], out["mask"].long()


class Bench:
    """The data, and how each side trains `steps` steps on it.

    A side gives the seconds of the timed steps, which are the last ones.
    """

    def __init__(self, folder: Path, args: argparse.Namespace) -> None:
        self.args, self.folder = args, folder
        self.png = as_png(args.data or generate(folder / "generated"), folder / "png")
        index, data = index_of(self.png)
        table, _ = build(index, data, None)
        pack_samples(folder / "shards", table.assign(split="train", clean=True), data)
        self.shard, self.classes = Shard(folder / "shards", "train"), data.classes
        self.standard = Preprocessing.fit([moments_of(folder / "shards", "train")])
        flip = ({"HorizontalFlip": {"p": 0.5}},)
        self.recipe = augmentation.build_recipe(
            Augmentation(crop_px=CROP, preset="none", transforms=flip, preview=1), IGNORED
        )
        self.waited_s = 0.0

    def network(self) -> nn.Module:
        torch.manual_seed(0)
        return smp.Unet("resnet34", encoder_weights=None, classes=len(self.classes))

    def like_smp(self) -> nn.Module:
        torch.manual_seed(0)
        return models.create(
            "resnet34_unet", in_channels=3, num_classes=len(self.classes), **LIKE_SMP
        )

    def settings(self, **changed: Any) -> Train:
        steps = WARM_UP + self.args.steps
        values = {
            "steps": steps, "val_every_steps": WARM_UP, "batch_size": self.args.batch,
            "learning_rate": RATE, "losses": {"cross_entropy": 1.0}, "threads": self.args.threads,
            "warmup_steps": 1, "patience": steps, "checkpoint_every_s": 1e9,
            "device": self.args.device,
        }  # fmt: skip
        return config.load(ROOT / "params.yaml").train.model_copy(update=values | changed)

    def maskmill(self, network: Callable[[], nn.Module] | None = None, **changed: Any) -> float:
        train = self.settings(**changed)
        image, mask = self.shard[0]
        validation = Validator(
            Small((image[:VAL_PX, :VAL_PX], mask[:VAL_PX, :VAL_PX])),  # type: ignore[arg-type]
            Labels(self.classes, tuple(range(1, len(self.classes))), IGNORED), "dice_foreground",
        )  # fmt: skip
        loss = losses.create(train.losses, IGNORED)
        training = Training((network or self.network)(), loss, self.standard, train)
        cuda = training.device == "cuda"
        workers = hardware.loader_workers(train, training.device)
        loading = Waiting(self.shard, self.recipe, train, workers=workers, pin=cuda)
        marks = []
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            training.fit(
                loading,
                validation,
                Checkpoints(Path(name)),
                lambda row: marks.append(time.perf_counter()),
                "unet",
            )
        self.waited_s = loading.waited[-1] - loading.waited[WARM_UP]
        return marks[-1] - marks[0]

    def lightning(self, setting: Setting) -> float:
        marks: list[float] = []
        module = Module(self.network(), setting, marks)
        if setting.channels_last:
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        batches = DataLoader(
            Files(self.png, self.standard), self.args.batch, shuffle=True,
            num_workers=setting.workers, drop_last=True, pin_memory=self.args.device == "cuda",
        )  # fmt: skip
        lightning.Trainer(
            accelerator=self.args.device, devices=1, max_steps=WARM_UP + self.args.steps,
            logger=False, precision="bf16-mixed" if setting.precision == "bf16" else "32-true",
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        ).fit(module, batches)  # fmt: skip
        return marks[-1] - marks[WARM_UP - 1]

    def bare(self, setting: Setting) -> float:
        device, steps = self.args.device, WARM_UP + self.args.steps
        memory = torch.channels_last if setting.channels_last else torch.contiguous_format
        model = self.network().to(device, memory_format=memory).train()  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(model.parameters(), RATE, fused=setting.fused)
        loading = Loading(self.shard, self.recipe, self.settings())
        batches = [
            (
                self.standard.apply(x).to(device).contiguous(memory_format=memory),
                y.long().to(device),
            )
            for (x, y), _ in zip(loading(0), range(4), strict=False)
        ]
        for step in range(steps):
            if step == WARM_UP:
                start = self.now()
            x, y = batches[step % len(batches)]
            with torch.autocast(device, torch.bfloat16, setting.precision == "bf16"):
                loss = F.cross_entropy(model(x), y, ignore_index=IGNORED)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return self.now() - start

    def now(self) -> float:
        if self.args.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def sides(self) -> dict[str, Callable[[], float]]:
        bf16, best = Setting("bf16"), Setting("bf16", channels_last=True, fused=True)
        return {
            OURS: self.maskmill,
            "(a) bare loop, batches in memory: bf16, channels_last, fused AdamW": lambda: self.bare(
                best
            ),
            "(b) smp, Lightning, PNG, albumentations: fp32, NCHW": lambda: self.lightning(
                Setting()
            ),
            "(c) the same in bf16": lambda: self.lightning(bf16),
            "(c) and channels_last": lambda: self.lightning(bf16._replace(channels_last=True)),
            "(c), channels_last and fused AdamW": lambda: self.lightning(best),
            "(c), channels_last, fused AdamW, no loader process": lambda: self.lightning(
                best._replace(workers=0)
            ),
            "bare loop: fp32, NCHW": lambda: self.bare(Setting()),
            "maskmill in fp32": lambda: self.maskmill(precision="fp32"),
            "maskmill with 2 loader processes": lambda: self.maskmill(workers=2),
            "maskmill with compile: true": lambda: self.maskmill(compile=True),
            OWN: lambda: self.maskmill(self.like_smp),
        }


class Small(list[tuple[np.ndarray, np.ndarray]]):
    """A shard of one small image."""

    def __init__(self, pair: tuple[np.ndarray, np.ndarray]) -> None:
        super().__init__([pair])
        self.ids, self.sizes = ["small"], [pair[1].shape]


class Waiting(Loading):
    """Loading that notes how long the training has waited for its batches, in all, after each."""

    waited = (0.0,)

    def __call__(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        waited, batches = [0.0], super().__call__(first)
        object.__setattr__(self, "waited", waited)
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            waited.append(waited[-1] + time.perf_counter() - start)
            if batch is None:
                return
            yield batch


class Module(lightning.LightningModule):
    """As in smp's examples."""

    def __init__(self, model: nn.Module, setting: Setting, marks: list[float]) -> None:
        super().__init__()
        self.model, self.setting, self.marks = model, setting, marks

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        x, y = batch
        if self.setting.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return F.cross_entropy(self.model(x), y, ignore_index=IGNORED)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), RATE, fused=self.setting.fused or None)

    def on_train_batch_end(self, *_: Any) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.marks.append(time.perf_counter())


def of_a_product(args: argparse.Namespace) -> float:
    """FLOP/s of a product of two 4096 x 4096 bf16 matrices: what the device gives at best."""
    a, b = (torch.randn(4096, 4096, device=args.device).bfloat16() for _ in range(2))
    times = []
    for _ in range(6):
        start = time.perf_counter()
        a @ b
        if args.device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * 4096**3 / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "rows", nargs="*", help="only rows with one of these in their name, and maskmill's"
    )
    parser.add_argument(
        "--data", type=Path, help="a folder with images/ and masks/; generated if not given"
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--steps", type=int, default=12, help="that are timed, in each turn; a multiple of 4"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory(prefix="maskmill-bench-") as name:
        bench = Bench(Path(name), args)
        x = torch.zeros(1, 3, *CROP)
        sides = {
            side: train for side, train in bench.sides().items()
            if side == OURS or not args.rows or any(part in side for part in args.rows)
        }  # fmt: skip
        counted = dict.fromkeys(sides, multiply_adds(bench.network().eval(), x))
        counted[OWN] = multiply_adds(bench.like_smp().eval(), x)
        times: dict[str, list[float]] = {side: [] for side in sides}
        waited = []
        for number in range(args.rounds):
            for side, train in sides.items():
                with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
                    times[side].append(train() / args.steps)
                if side == OURS:
                    waited.append(bench.waited_s / args.steps / times[side][-1])
                print(
                    f"round {number + 1}: {side}: {1000 * times[side][-1]:.0f} ms",
                    file=sys.stderr,
                    flush=True,
                )
        best = of_a_product(args)
    where = (
        torch.cuda.get_device_name() if args.device == "cuda" else f"CPU, {args.threads} threads"
    )
    print(
        f"torch {torch.__version__}, {where}; {args.batch} crops of {CROP[0]} x {CROP[1]} px a"
        " step\n"
    )
    print(
        "| training | ms per step | images/s | of a matrix product's FLOP/s | maskmill's speed over"
        " it |"
    )
    print("|---|---|---|---|---|")
    for side, seconds in times.items():
        middle = statistics.median(seconds)
        ratio = statistics.median(
            theirs / ours for theirs, ours in zip(seconds, times[OURS], strict=True)
        )
        flop = 6 * counted[side] * args.batch  # forward, and twice that back
        cells = [
            side,
            f"{1000 * middle:.0f}",
            f"{args.batch / middle:.1f}",
            f"{flop / middle / best:.0%}",
        ]
        print("| " + " | ".join([*cells, f"{ratio:.2f}"]) + " |")
    print(
        f"\nmaskmill waits for data {statistics.median(waited):.1%} of the time; the product:"
        f" {best / 1e12:.2f} TFLOP/s"
    )


if __name__ == "__main__":
    main()
