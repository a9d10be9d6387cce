"""PYTHONPATH=src python benchmarks/diagnostics.py: what diagnostics and facts of one image cost."""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch

from maskmill.evaluation import image_facts
from maskmill.evaluation.diagnostics import Diagnostics
from maskmill.metrics import Labels, Sample

HEIGHT, WIDTH, CLASSES, ROUNDS = 360, 480, 11, 30
NOISE = (0.3, 1.0, 5.0)  # of the logits: a good, a poor and a useless model


def main() -> None:
    """Print processor time in ms, median of 30, for three models."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    labels = Labels(tuple(f"class {i}" for i in range(CLASSES)), tuple(range(CLASSES)), 255)
    image = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    for noise in NOISE:
        sample, diagnostics = draw(noise), Diagnostics(labels)
        right = float((sample.predicted == sample.truth).float().mean())
        spent = [median_ms(lambda: diagnostics.update(sample)),  # noqa: B023
                 median_ms(lambda: image_facts.facts_of_image(image, sample, labels))]  # noqa: B023  # fmt: skip
        print(
            f"{right:.0%} of the pixels right: diagnostics {spent[0]:.1f} ms, facts"
            f" {spent[1]:.1f} ms"
        )


def draw(noise: float) -> Sample:
    """Smooth regions, and a prediction that noise of about 3 px has damaged."""
    rng = np.random.default_rng(0)
    coarse = rng.random((CLASSES, 12, 16)).astype(np.float32)
    truth = np.stack(
        [cv2.resize(field, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for field in coarse]
    )
    fine = rng.standard_normal((CLASSES, HEIGHT, WIDTH)).astype(np.float32)
    damage = np.stack([cv2.GaussianBlur(field, (0, 0), 3) for field in fine])
    p = torch.from_numpy(10 * (truth + noise * damage)).softmax(0)
    return Sample(
        predicted=p.argmax(0).to(torch.uint8),
        truth=torch.from_numpy(truth.argmax(0).astype(np.uint8)),
        probabilities=p,
    )


def median_ms(work: Callable[[], object]) -> float:
    """Of processor time, which other programs disturb less than the clock's."""
    spent = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - start))
    return statistics.median(spent)


if __name__ == "__main__":
    main()
