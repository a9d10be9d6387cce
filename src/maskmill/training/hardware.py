"""The device and precision of a training where params.yaml says `auto`: the fastest measured."""

import psutil
import torch

from maskmill.settings.config import Train
from maskmill.system.errors import MaskmillError
from maskmill.system.processes import usable_cores


def choose_device(train: Train) -> str:
    """`cuda` where `auto` finds a GPU, else `cpu`.

    Raises: MaskmillError when a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if train.device == "cuda" and not available:
        raise MaskmillError(
            "params.yaml: train.device: got 'cuda', but torch sees no GPU; take 'auto' or 'cpu'"
        )
    return "cuda" if available and train.device != "cpu" else "cpu"


def choose_precision(train: Train, device: str) -> str:
    """`bf16` where the processor computes it natively, else `fp32`.

    Native are AMX or AVX-512 BF16, and Ampere or newer. docs/benchmarks.md has the measured times.
    Raises: MaskmillError when fp16 is asked for on a CPU.
    """
    if train.precision == "fp16" and device == "cpu":
        raise MaskmillError(
            "params.yaml: train.precision: got 'fp16', which trains on a GPU alone, and this is a"
            " CPU; take 'auto', 'bf16' or 'fp32'"
        )
    if train.precision != "auto":
        return train.precision
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    # not where ONEDNN_MAX_CPU_ISA holds the kernels back
    if native and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "bf16"
    return "fp32"


def loader_workers(train: Train, device: str) -> int:
    """The number of loader processes: none on a CPU, whose cores compute.

    Beside a GPU there is one for each core but one, 8 at most. The number for a GPU is a guess;
    measure on yours.
    """
    if train.workers != "auto":
        return train.workers
    return 0 if device == "cpu" else max(1, min(8, usable_cores() - 1) // train.devices)


def check_devices(train: Train, device: str) -> None:
    """Raises: MaskmillError for more devices than this machine has GPUs, or its processor cores."""
    there, what = (
        (torch.cuda.device_count(), "GPUs")
        if device == "cuda"
        else (max(usable_cores(), 2), "cores")
    )
    if train.devices > there:
        raise MaskmillError(
            f"params.yaml: train.devices: got {train.devices}, and this machine has {there} {what};"
            " take at most that"
        )


def memory_bytes(device: str) -> int:
    """What the device has in all."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(psutil.virtual_memory().total)
