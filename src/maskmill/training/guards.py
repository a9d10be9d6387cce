"""What keeps a training alive and its weights finite.

Steps that are not finite are skipped, and a step whose memory does not suffice is taken in pieces.
"""

import logging
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from maskmill.settings.config import Train
from maskmill.system.errors import MaskmillError, few_of
from maskmill.training.fabric import Fabric

_log = logging.getLogger(__name__)

_NAMED = 16  # images in a message
# steps between two looks at a GPU, each of which waits for it; a CPU is looked at after every step
_LOOK_EVERY = 20


class StepGuard:
    """Takes the optimizer's steps whose loss and gradient are finite.

    Of the others nothing stays, not in buffers. On a GPU the kernel of the fused optimizer is told
    by a flag that never leaves the device, so that nothing waits; `look` reads the flags later.
    """

    def __init__(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, train: Train, fabric: Fabric
    ) -> None:
        self._train, self._fabric, self._optimizer = train, fabric, optimizer
        self._parameters, self._buffers = list(network.parameters()), list(network.buffers())
        self._before = [buffer.clone() for buffer in self._buffers]
        self._flags: list[tuple[int, Tensor]] = []  # step, whether it was skipped
        self._device = fabric.device.type
        self._scaler: torch.amp.GradScaler | None = getattr(
            fabric.strategy.precision, "scaler", None
        )
        self.skipped = 0

    @torch.no_grad()
    def remember(self) -> None:
        """Keep the buffers of before the step."""
        if self._buffers:
            torch._foreach_copy_(self._before, self._buffers)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the buffers back as they were."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._before)

    @torch.no_grad()
    def step(self, step: int, loss: Tensor) -> None:
        """Clip the gradient, and let the optimizer take it if it is finite."""
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self._train.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self._train.clip_norm, norm)
        finite = loss.isfinite()
        # in fp16 an overflow of the gradient is usual: the scaler skips it, and scales less
        if self._scaler is None:
            finite = finite & norm.isfinite()
        bad = ~finite
        if self._fabric.world_size > 1:
            bad = self._fabric.all_reduce(bad.float(), reduce_op="sum") > 0
        self._flags.append((step, bad))
        # SGD's first step cannot be skipped
        if self._device == "cpu" or len(self._optimizer.state) < len(gradients):
            # the scaler wants to be asked, and skips by itself
            if self._scaler is not None or not bad:
                self._take()
            if bad:
                self.restore()
            return
        self._optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        self._take()
        self._optimizer.found_inf = None  # type: ignore[attr-defined]
        for buffer, before in zip(self._buffers, self._before, strict=True):
            buffer.copy_(torch.where(bad, before, buffer))

    def _take(self) -> None:
        self._fabric.strategy.optimizer_step(self._optimizer)

    def due(self, step: int) -> bool:
        """Whether to look after so many steps."""
        return self._device == "cpu" or step % _LOOK_EVERY == 0

    def look(self, title: str, images: Callable[[int], Sequence[str]]) -> None:
        """Say which steps were skipped since the last look.

        `images` gives the ids of a step. The device is waited for.

        Raises: MaskmillError when they are more than `train.max_skipped`.
        """
        bad = torch.stack([flag for _, flag in self._flags]).tolist() if self._flags else []
        steps = [step for (step, _), skipped in zip(self._flags, bad, strict=True) if skipped]
        self._flags.clear()
        most = self._train.max_skipped
        for step in steps:
            self.skipped += 1
            what = f"{title}: the loss or gradient of step {step + 1} is not finite"
            named = few_of(images(step), _NAMED)
            if self.skipped > most:
                raise MaskmillError(
                    f"{what}, and {most} steps may be skipped (train.max_skipped); its images are"
                    f" {named}; look at them, lower train.learning_rate (now"
                    f" {self._train.learning_rate:g}) in params.yaml, set train.clip_norm: 1.0, or"
                    " take train.precision: fp32"
                )
            _log.info(f"{what}: skipped ({self.skipped} of at most {most}); its images are {named}")


def smaller_pieces(pieces: int, images: int, train: Train, devices: int) -> int:
    """In how many pieces to take a step's images after memory did not suffice for `pieces`.

    Raises: MaskmillError where that is not allowed, or one image is too much.
    """
    at_once = math.ceil(images / pieces)
    way = f"lower train.batch_size (now {train.batch_size}) and raise train.accumulate by as much"
    if at_once == 1:
        way = "set augmentation.crop_px, or take a smaller network"
    elif devices == 1:
        way = f"set train.allow_smaller_batches: true, or {way}"
    if at_once == 1 or devices > 1 or not train.allow_smaller_batches:
        raise MaskmillError(f"out of memory with {at_once} images at once; {way}, in params.yaml")
    _log.info(
        f"out of memory with {at_once} images at once: from here on"
        f" {math.ceil(images / (2 * pieces))} at once, {images} per step as before; batch norm sees"
        " the smaller batches"
    )
    return 2 * pieces


def check_finite(title: str, step: int, tensors: dict[str, Tensor], train: Train) -> None:
    """Check that weights and moments are finite, so that no other checkpoint is ever written.

    The losses of skipped steps need not be.

    Raises: MaskmillError where a weight or a moment is no finite number.
    """
    learned = {name: value for name, value in tensors.items() if not name.startswith("losses/")}
    wrong = [
        name
        for name, value in learned.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if wrong:
        raise MaskmillError(
            f"{title}: {few_of(wrong, 3)} is not finite after step {step}; no checkpoint is written"
            f" of it; lower train.learning_rate (now {train.learning_rate:g}) in params.yaml, or"
            " set train.clip_norm: 1.0"
        )
