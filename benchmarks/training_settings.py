"""python benchmarks/training_settings.py: time training steps on the CPU by the settings of speed.

The settings are precision, memory layout and threads. One process per row, since a thread count
holds for a process; the real training step of each shipped variant on random images of the shipped
size. Prints the table of docs/benchmarks.md: median ms per step over 6 steps, after 2 to warm up.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WARM_UP, MEASURED = 2, 6


def measure(variant: str, precision: str, layout: str, threads: int) -> float:
    """Median milliseconds of forward, loss, backward and AdamW."""
    import torch

    from maskmill import losses, models
    from maskmill.settings import config
    from maskmill.sources.icbm152 import HEIGHT_PX, WIDTH_PX
    from maskmill.training import optim

    params = config.load(ROOT / "params.yaml")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    classes = len(params.data.classes)
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    chosen = params.models[variant]
    model = models.create(chosen.network, in_channels=1, num_classes=classes, **chosen.options)
    model = model.to(memory_format=memory)  # type: ignore[call-overload]
    optimizer = optim.create_optimizer(model, params.train)
    loss = losses.create(params.train.losses, params.data.ignore_index)
    x = torch.randn(params.train.batch_size, 1, HEIGHT_PX, WIDTH_PX).contiguous(
        memory_format=memory
    )
    y = torch.randint(classes, (params.train.batch_size, HEIGHT_PX, WIDTH_PX))
    times = []
    for _ in range(WARM_UP + MEASURED):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model(x)
        loss(logits, y).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[WARM_UP:])


def main() -> None:
    """Print the table; every row is a process of its own."""
    from maskmill.settings import config

    variants = config.load(ROOT / "params.yaml").variants
    print("| threads | precision | layout | " + " | ".join(f"{v}, ms" for v in variants) + " |")
    print("|---|---|---|" + "---|" * len(variants))
    for threads in (1, 2):
        for precision in ("fp32", "bf16"):
            for layout in ("NCHW", "channels_last"):
                cells = [_in_process(variant, precision, layout, threads) for variant in variants]
                print(
                    f"| {threads} | {precision} | {layout} | "
                    + " | ".join(f"{c:.0f}" for c in cells)
                    + " |",
                    flush=True,
                )


def _in_process(*arguments: str | int) -> float:
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", nargs=4, metavar=("VARIANT", "PRECISION", "LAYOUT", "THREADS"))
    one = parser.parse_args().one
    if one:
        print(measure(one[0], one[1], one[2], int(one[3])))
    else:
        main()
