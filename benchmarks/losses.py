"""python benchmarks/losses.py: what each loss adds to a training step, on one CPU thread.

Median milliseconds of processor time of value and gradient, over 5 calls after 1 to warm up, of a
batch of 8 random logits in float32 against masks of blobs, by number of classes and size; options
are the defaults. Processor time, since it hardly moves with the load of the machine, which is
printed. Prints the table of docs/losses.md.
"""

import statistics
import time
from pathlib import Path

import torch

from maskmill import losses
from maskmill.system import components

BATCH, WARM_UP, MEASURED = 8, 1, 5
CASES = ((4, 192), (12, 256))  # classes, side in px


def measure(name: str, classes: int, side: int) -> float:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(BATCH, classes, side, side, generator=generator).contiguous(
        memory_format=torch.channels_last
    )
    coarse = torch.randn(BATCH, classes, 6, 6, generator=generator)
    target = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").argmax(1)
    loss = losses.create({name: 1.0}, 255, foreground={str(k): k for k in range(1, classes)})
    times = []
    for _ in range(WARM_UP + MEASURED):
        x = logits.clone().requires_grad_()
        start = time.process_time()
        loss(x, target).backward()
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times[WARM_UP:])


def main() -> None:
    torch.set_num_threads(1)
    print("| loss | " + " | ".join(f"{k} classes, {side} px, ms" for k, side in CASES) + " |")
    print("|---|" + "---|" * len(CASES))
    for name in components.names("maskmill.losses"):
        print(
            f"| `{name}` | " + " | ".join(f"{measure(name, *case):.0f}" for case in CASES) + " |",
            flush=True,
        )
    print(f"load of the machine: {' '.join(Path('/proc/loadavg').read_text().split()[:3])}")


if __name__ == "__main__":
    main()
