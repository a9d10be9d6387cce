"""python benchmarks/metrics.py [--network NAME]: what it costs to score an image.

The cost stands beside that of the network that predicts the image. One thread; the least time of
the processor over some rounds. Images of 360 x 480 px and 11 classes, 5 % of it ignored, in smooth
random areas, with a prediction that is wrong in part. Prints the tables of docs/metrics.md; exits
with 1 when the confusion matrix takes 10 % of the forward pass or more.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage

from maskmill import metrics, models
from maskmill.metrics import Labels, Sample
from maskmill.system import components

NEEDED = {"partition": {"segments": "c1"}}  # options without a default
LIMIT = 0.1  # of the forward pass


def labels(k: int) -> Labels:
    return Labels(tuple(f"c{i}" for i in range(k)), tuple(range(1, k)), 255)


def drawn(k: int, size: tuple[int, int], seed: int = 0) -> Sample:
    """Areas some 20 px wide; about nine pixels of ten are right, fewer at the borders."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(k, *size)), (0, 12, 12))
    noise = ndimage.gaussian_filter(rng.normal(size=(k, *size)), (0, 6, 6))
    logits = torch.tensor(10 * (fields / fields.std() + 0.1 * noise / noise.std())).float()
    truth = fields.argmax(0).astype(np.uint8)
    truth[: size[0] // 20] = 255
    predicted = logits.max(0).indices.to(torch.uint8)
    return Sample(predicted=predicted, truth=torch.tensor(truth), probabilities=logits.softmax(0))


def milliseconds(work: Callable[[], object], rounds: int = 20) -> float:
    """The least processor time of one call."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def forward(network: str, k: int, size: tuple[int, int], bf16: bool) -> float:
    """One image through the network, as evaluation runs it on a CPU."""
    model = (
        models.create(network, in_channels=3, num_classes=k)
        .eval()
        .to(memory_format=torch.channels_last)
    )
    image = torch.rand(1, 3, *size).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            model(image)

    return milliseconds(work, rounds=5)


def beside(network: str) -> float:
    """The table of the confusion matrix; gives its share of the faster forward pass."""
    from sklearn.metrics import confusion_matrix
    from torchmetrics.classification import MulticlassConfusionMatrix

    k, size = 11, (360, 480)
    one, every = drawn(k, size), range(k)
    ours = metrics.create({}, labels(k))
    theirs = MulticlassConfusionMatrix(k, ignore_index=255, validate_args=False)
    predicted, truth = one.predicted.long(), one.truth.long()
    valid = one.truth.numpy() != 255
    p, t = one.predicted.numpy(), one.truth.numpy()
    passes = {
        f"forward pass of {network}, {name}": forward(network, k, size, name == "bf16")
        for name in ("fp32", "bf16")
    }
    fastest = min(passes.values())
    rows = {
        "maskmill, all scores of `confusion`": milliseconds(lambda: ours.statistic(one)),
        "torchmetrics, MulticlassConfusionMatrix": milliseconds(
            lambda: theirs.update(predicted, truth)
        ),
        "scikit-learn, confusion_matrix": milliseconds(
            lambda: confusion_matrix(t[valid], p[valid], labels=every), 5
        ),
        **passes,
    }
    print("| 360 x 480 px, 11 classes | ms an image | of the faster forward pass |\n|---|---|---|")
    for name, ms in rows.items():
        print(f"| {name} | {ms:.2f} | {ms / fastest:.1%} |")
    return next(iter(rows.values())) / fastest


def families() -> None:
    """The table of all families with default options, and the size of their statistics.

    The size is how many numbers a family keeps of an image.
    """
    sizes = ((4, (192, 192)), (11, (360, 480)))
    heads = [f"{h} x {w} px, {k} classes, ms" for k, (h, w) in sizes]
    print(f"\n| family | {' | '.join(heads)} | numbers kept of an image |\n|---|---|---|---|")
    for name in components.names("maskmill.metrics"):
        times, kept = [], 0
        for k, size in sizes:
            family = metrics.create({name: NEEDED.get(name, {})}, labels(k)).families[name]
            one = drawn(k, size)
            family.statistic(one)  # imports what it needs
            times.append(
                milliseconds(lambda family=family, one=one: family.statistic(one), rounds=5)
            )
            kept = len(family.fields)
        print(f"| `{name}` | " + " | ".join(f"{ms:.1f}" for ms in times) + f" | {kept:,} |")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="resnet34_unet", choices=models.names())
    network = parser.parse_args().network
    torch.set_num_threads(1)
    share = beside(network)
    families()
    sys.exit(int(not math.isfinite(share) or share >= LIMIT))


if __name__ == "__main__":
    main()
