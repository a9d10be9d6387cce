"""python benchmarks/tiles.py [SIDE_PX ..]: what an image larger than memory costs.

For each side a grey TIFF of 512 x 512 px tiles is made, of that side, and predicted as `maskmill
predict` does: mask and overlay, by a UNet of `feature_scale: 16` that has learnt
nothing. Such a network is cheap, so that reading, blending and writing weigh as much as they can;
one that is used takes many times as long, and the same memory beside its own. Measured, each in a
process of its own: time from the opened file to the finished results, time inside the network, and
the peak of anonymous memory (RssAnon), which leaves out mapped files; `resident` holds their pages,
too, which the kernel takes back where it needs them. Prints the table of docs/benchmarks.md.

    python benchmarks/tiles.py --agree [HEIGHT WIDTH]

How far tiles are from the whole image, the table of docs/predict.md.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

SIDES = (2_000, 20_000)
NETWORKS = {
    "unet": {"feature_scale": 16},
    "resnet_unet": {"encoder": "resnet18", "width": 8},
    "fcn": {"feature_scale": 16},
}
TILES = ((256, 64), (256, 128), (512, 256), (640, 320), (768, 384))  # side, overlap in px
THREADS, BLOCK_PX, LOOK_S = 2, 512, 0.02


def main() -> None:
    sides = [int(text) for text in sys.argv[1:]] or SIDES
    print("| px | tiles | all, s | network, s | all over network | anonymous, MB | resident, MB |")
    print("|---|---|---|---|---|---|---|")
    for side in sides:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("make", "measure"):
                command = [sys.executable, __file__, f"--{step}", str(side), folder]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout)
        whole, network = found["all_s"], found["network_s"]
        cells = [
            f"{side:,} x {side:,}", f"{found['tiles']:,}", f"{whole:.1f}", f"{network:.1f}",
            f"{whole / network:.2f}", f"{found['anonymous_mb']:,.0f}",
            f"{found['resident_mb']:,.0f}",
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)


def make(side: int, folder: Path) -> None:
    import tifffile

    save(folder / "model", "unet")
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(0, 256, (BLOCK_PX // 16,) * 2), np.ones((16, 16)))
    tile = (coarse + rng.normal(0, 3, coarse.shape)).clip(0, 255).astype(np.uint8)
    count = (-(-side // BLOCK_PX)) ** 2
    tiles = (np.roll(tile, i, axis=1) for i in range(count))
    tifffile.imwrite(
        folder / "scene.tif", tiles, shape=(side, side), dtype=np.uint8, tile=tile.shape,
        compression="zlib", photometric="minisblack",
    )  # fmt: skip


def save(folder: Path, name: str) -> None:
    import torch

    from maskmill import models
    from maskmill.inference import predict
    from maskmill.samples.preprocessing import Preprocessing

    torch.manual_seed(0)
    network = models.create(name, in_channels=1, num_classes=4, **NETWORKS[name])
    facts = {
        "variant": name, "options": NETWORKS[name], "classes": ("a", "b", "c", "d"),
        "background": "a", "ignore_index": 255, "colours": dict.fromkeys("abcd", "#0072B2"),
        "in_channels": 1, "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)),
        "precision": "fp32", "parameters": models.count_parameters(network), "best_step": 1,
    }  # fmt: skip
    predict.save(folder, network.state_dict(), facts)


def agree(height: int = 1024, width: int = 1216) -> None:
    from maskmill.inference.predict import Predictor
    from maskmill.settings.config import Inference

    print("| network | tile, overlap, px | largest difference | pixels of another class |")
    print("|---|---|---|---|")
    image = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder), name)
            predictor = Predictor(Path(folder))
        whole = predictor.logits(image).softmax(0)
        for tile, overlap in TILES:
            settings = Inference(whole_px=tile**2, tile_px=tile, overlap_px=overlap)
            tiled = predictor.with_settings(settings).logits(image).exp()
            others = float((tiled.argmax(0) != whole.argmax(0)).float().mean())
            worst = float((tiled - whole).abs().max())
            print(f"| {name} | {tile}, {overlap} | {worst:.0e} | {others:.3%} |", flush=True)


def measure(side: int, folder: Path) -> None:
    import torch

    from maskmill.inference.batch.inputs import find_inputs
    from maskmill.inference.batch.run import Model, Wanted, predict_all
    from maskmill.inference.predict import Predictor
    from maskmill.report import pictures

    torch.set_num_threads(THREADS)
    seconds = [0.0]

    class Timed(Predictor):
        def _run(self, x: torch.Tensor) -> torch.Tensor:
            began = time.perf_counter()
            logits = super()._run(x)
            seconds[0] += time.perf_counter() - began
            return logits

    colours = [(0, 0, 0), (0, 114, 178), (230, 159, 0), (204, 121, 167)]
    wanted = Wanted("png", "", lambda x, mask: pictures.overlay(x, mask, colours, 0))
    model = Model(Timed(folder / "model"), "unet version 1", "")
    inputs = find_inputs([str(folder / "scene.tif")], [], folder / "out")
    with Peak() as peak:
        began = time.perf_counter()
        outcome = predict_all(inputs, folder / "out", model, wanted)
        all_s = time.perf_counter() - began
    assert outcome.last["height"] == side, outcome.failed
    found = {"tiles": outcome.last["tiles"], "all_s": all_s, "network_s": seconds[0]}
    print(json.dumps(found | {"anonymous_mb": peak.anonymous, "resident_mb": peak.resident}))


class Peak:
    """The most memory of this process, in MB (10^6 bytes)."""

    anonymous = resident = 0.0

    def __enter__(self) -> "Peak":
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        process = psutil.Process()
        while not self._ended.wait(LOOK_S):
            memory = process.memory_info()
            self.resident = max(self.resident, memory.rss / 1e6)
            self.anonymous = max(self.anonymous, (memory.rss - memory.shared) / 1e6)


if __name__ == "__main__":
    if sys.argv[1:2] in (["--make"], ["--measure"]):
        step = make if sys.argv[1] == "--make" else measure
        step(int(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--agree"]:
        agree(*map(int, sys.argv[2:]))
    else:
        main()
