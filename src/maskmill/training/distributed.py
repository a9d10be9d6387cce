"""Several devices: one process for each, started here, and batch norm over all of them.

The processes end with the first: the stage asks the kernel for that (`processes.die_with_parent`),
and where one of them fails, Fabric ends the others within seconds. Asked to end, they agree on the
step after which they do.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from signal import Signals
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from maskmill.settings.config import Train
from maskmill.system.errors import MaskmillError
from maskmill.system.processes import asked_to_end_with_parent
from maskmill.training import hardware
from maskmill.training.fabric import DDPStrategy, Fabric

FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_TIMEOUT = timedelta(minutes=10)  # that one process waits for another, at a validation say
_END_S = 5.0  # in which the end of the first process reaches the others


def launch_fabric(train: Train) -> Fabric:
    """Launch Fabric on `train.devices` devices.

    For more than one device, this program runs once more for each of them. Under torchrun, which
    has started them already, the number must be the same. Of several processes one prints.
    Raises: MaskmillError where it is not, or there are fewer GPUs.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = hardware.choose_device(train)
    precision = hardware.choose_precision(train, device)
    kind: dict[str, Any] = {
        "accelerator": device,
        "devices": train.devices,
        "precision": FABRIC_PRECISION[precision],
    }
    outside = int(os.environ.get("WORLD_SIZE", "1")) if _under_torchrun() else train.devices
    if outside != train.devices:
        raise MaskmillError(
            f"params.yaml: train.devices: got {train.devices}, and torchrun has started {outside}"
            " processes; make them equal"
        )
    if train.devices == 1:
        return Fabric(**kind)
    if device == "cuda" and train.devices > torch.cuda.device_count():
        raise MaskmillError(
            f"params.yaml: train.devices: got {train.devices}, and torch sees"
            f" {torch.cuda.device_count()} GPUs; take at most so many"
        )
    # the processes are on this machine, and so is what they say
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    strategy = DDPStrategy(
        timeout=_TIMEOUT,
        process_group_backend="nccl" if device == "cuda" else "gloo",
        forward_sync_buffers=False,
    )
    fabric = Fabric(**kind, strategy=strategy)
    fabric.launch()
    if not fabric.is_global_zero:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  as long as the process
        sys.excepthook = partial(_report_unless_ended, sys.excepthook)
    return fabric


def _report_unless_ended(report: Callable[..., Any], *error: Any) -> None:
    """Report an error unless it comes of the end of the first process.

    That end kills this process a moment later.
    """
    time.sleep(_END_S)
    report(*error)


def _under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def ending_with_parent(fabric: Fabric) -> AbstractContextManager[None]:
    """While this is entered, the training gets SIGTERM when what started it is gone.

    The processes that the training started die.
    """
    return (
        asked_to_end_with_parent() if fabric.is_global_zero or _under_torchrun() else nullcontext()
    )


def first_of(fabric: Fabric, asked: Signals | None) -> Signals | None:
    """The signal that any of the processes has got; no GPU is waited for.

    All processes learn of it at the same step.
    """
    if fabric.world_size == 1:
        return asked
    number = torch.tensor(int(asked or 0))
    dist.all_reduce(number, dist.ReduceOp.MAX, group=_on_cpu())
    return Signals(int(number)) if number else None


@cache
def _on_cpu() -> dist.ProcessGroup | None:
    if dist.get_backend() == "gloo":
        return None
    made: dist.ProcessGroup = dist.new_group(backend="gloo", timeout=_TIMEOUT)
    return made


def over_all_devices(network: nn.Module, fabric: Fabric) -> nn.Module:
    """The network with batch norm whose statistics are those of all devices' images together."""
    if fabric.world_size == 1:
        return network
    if fabric.device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _SyncedBatchNorm.like(child))
    return network


class _SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes, on a CPU, where PyTorch has none.

    Ioffe and Szegedy, "Batch Normalization", algorithm 1, arXiv:1502.03167. Shape: (N, C, H, W) ->
    (N, C, H, W).
    """

    @classmethod
    def like(cls, norm: nn.BatchNorm2d) -> "_SyncedBatchNorm":
        """With the weights and buffers of `norm`, not copies of them."""
        made = cls(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
        )
        made._parameters, made._buffers = norm._parameters, norm._buffers
        return made.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        # N H W, over all processes
        count = _sum(values.new_tensor(values.numel() / values.shape[1]))
        mean = _sum(values.sum((0, 2, 3))) / count  # (C,)
        centred = values - mean.view(1, -1, 1, 1)
        variance = _sum(centred.square().sum((0, 2, 3))) / count  # (C,)
        self._track(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = (variance + self.eps).rsqrt() * self.weight
        normed = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return normed.to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance, weight)


class _Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is summed likewise."""

    @staticmethod
    def forward(_context: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum(value: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total
