"""python benchmarks/models.py [--peers] [--compile] [--device D] [NAME ..]: what networks cost.

Networks have their full width. Prints the tables of docs/benchmarks.md. For every name: parameters,
multiply-adds of one image, median milliseconds and peak memory of a forward pass (evaluation) and
of a training step (forward, backward, AdamW), in fp32 and bf16, channels_last. With --peers, which
needs the environment of `make bench-peers`: networks beside their counterparts, in one process,
taking turns (ours, theirs, ours, theirs, ..). Memory is what torch has allocated at most during a
run, above weights, input and optimizer state; what kernels allocate by themselves is not in it.
With --compile: every network, narrow, through torch.compile.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from maskmill import models
from maskmill.models.describe import multiply_adds

CHANNELS, CLASSES = 3, 2
WARM_UP = 2
PRECISIONS, MODES = ("fp32", "bf16"), ("forward", "step")
OURS, THEIRS = "ours", "theirs"
NARROW = {"width": 8, "feature_scale": 16, "skip_channels": 4}


class Case:
    """One network on its device, and what is timed of it."""

    def __init__(self, make: Callable[[], nn.Module], args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.device = args.device
        self.model = make().to(args.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)
        x = torch.randn(args.batch, CHANNELS, args.size, args.size, device=args.device)
        self.x = x.contiguous(memory_format=torch.channels_last)

    def run(self, mode: str, precision: str) -> float:
        """Seconds of one forward pass or training step."""
        self.model.train(mode == "step")
        start = time.perf_counter()
        with (
            torch.set_grad_enabled(mode == "step"),
            torch.autocast(self.device, torch.bfloat16, precision == "bf16"),
        ):
            out = self.model(self.x)
        if mode == "step":
            sum(part.float().square().mean() for part in tensors(out)).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def peak_mb(self, mode: str, precision: str) -> float:
        """The peak that torch allocates in a run, above weights, input and optimizer state."""
        self.run(mode, precision)
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.run(mode, precision)
            return (torch.cuda.max_memory_allocated() - before) / 1e6
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            self.run(mode, precision)
        events = [
            event
            for event in profiler.profiler.kineto_results.events()
            if event.name() == "[memory]"
        ]
        changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
        return max(itertools.accumulate(changes), default=0) / 1e6


def tensors(out: Any) -> Iterable[Tensor]:
    """The maps of an encoder that depend on its weights, the heads of a dict, or the one result."""
    if isinstance(out, dict):
        return out.values()
    return [part for part in out if part.requires_grad] if isinstance(out, list | tuple) else [out]


def factories(args: argparse.Namespace) -> dict[str, dict[str, Callable[[], nn.Module]]]:
    """Name -> side -> what makes the network."""
    if args.peers:
        from peers.networks import PAIRS

        return {name: {OURS: pair.ours, THEIRS: pair.theirs} for name, pair in PAIRS.items()}
    made = {}
    for name in models.names():
        made[name] = {
            OURS: lambda name=name: models.create(name, in_channels=CHANNELS, num_classes=CLASSES)
        }
    return made


def measure(sides: dict[str, Callable[[], nn.Module]], args: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds and MB by (side, mode, precision); parameters and multiply-adds by side."""
    cases = {side: Case(make, args) for side, make in sides.items()}
    found: dict[str, Any] = {}
    for mode in MODES:
        for precision in PRECISIONS:
            times: dict[str, list[float]] = {side: [] for side in cases}
            for _ in range(WARM_UP + args.rounds):
                for side, case in cases.items():
                    times[side].append(case.run(mode, precision))
            for side, seconds in times.items():
                found[f"{side} {mode} {precision} ms"] = 1000 * statistics.median(seconds[WARM_UP:])
    for side, case in cases.items():
        found[f"{side} parameters"] = models.count_parameters(case.model)
        found[f"{side} multiply-adds"] = multiply_adds(case.model.eval(), case.x[:1])
        for mode, precision in itertools.product(MODES, PRECISIONS):
            found[f"{side} {mode} {precision} MB"] = case.peak_mb(mode, precision)
    return found


def table(args: argparse.Namespace) -> None:
    """Print one row per network and precision as it is measured."""
    chosen = {
        name: sides
        for name, sides in factories(args).items()
        if not args.names or name in args.names
    }
    head = [
        "network",
        "parameters",
        "multiply-adds",
        "",
        "forward, ms",
        "images/s",
        "step, ms",
        "forward, MB",
        "step, MB",
    ]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|", flush=True)
    if unknown := set(args.names) - set(chosen):
        sys.exit(f"error: no row {', '.join(unknown)}; there are: {', '.join(factories(args))}")
    for name, sides in chosen.items():
        found = measure(sides, args)
        for precision in PRECISIONS:
            cells = [name, both(found, "parameters", lambda v: f"{v / 1e6:.2f} M")]
            cells += [both(found, "multiply-adds", lambda v: f"{v / 1e9:.2f} G"), precision]
            cells.append(compared(found, f"forward {precision} ms"))
            cells.append(f"{1000 * args.batch / found[f'{OURS} forward {precision} ms']:.0f}")
            cells += [compared(found, f"{what} {precision} {unit}") for what, unit in LAST]
            print("| " + " | ".join(cells) + " |", flush=True)


LAST = (("step", "ms"), ("forward", "MB"), ("step", "MB"))


def both(found: dict[str, Any], key: str, say: Callable[[float], str]) -> str:
    return " / ".join(
        say(found[f"{side} {key}"]) for side in (OURS, THEIRS) if f"{side} {key}" in found
    )


def compared(found: dict[str, Any], key: str) -> str:
    """Ours / theirs (ratio)."""
    text = both(found, key, lambda v: f"{v:.0f}")
    if f"{THEIRS} {key}" in found:
        text += f" ({found[f'{OURS} {key}'] / found[f'{THEIRS} {key}']:.2f})"
    return text


def compiled(args: argparse.Namespace) -> None:
    """Compile every network, narrow, in evaluation mode.

    Prints the seconds of compilation, and the difference from the network itself.
    """
    print("| network | compile, s | worst difference |\n|---|---|---|")
    for name in args.names or models.names():
        known = models.network_options(name)
        options = {option: value for option, value in NARROW.items() if option in known}
        model = (
            models.create(name, in_channels=CHANNELS, num_classes=CLASSES, **options)
            .eval()
            .to(args.device)
        )
        x = torch.randn(2, CHANNELS, 64, 96, device=args.device)
        with torch.no_grad():
            start = time.perf_counter()
            got = torch.compile(model)(x)
            seconds = time.perf_counter() - start
            print(
                f"| {name} | {seconds:.0f} | {float((got - model(x)).abs().max()):.1e} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="only these rows")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--size", type=int, default=256, help="px")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.compile:
        compiled(args)
    else:
        where = (
            torch.cuda.get_device_name()
            if args.device == "cuda"
            else f"CPU, {args.threads} threads"
        )
        print(
            f"torch {torch.__version__}, {where}; {args.batch} images of {args.size} x {args.size}"
            " px\n"
        )
        table(args)


if __name__ == "__main__":
    main()
