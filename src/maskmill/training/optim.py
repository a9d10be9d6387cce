"""The optimizer, and what is a pure function of the step: learning rate, frozen encoder.

So nothing of them has to be saved.
"""

import math

import torch
from torch import nn

from maskmill.settings.config import Train
from maskmill.system.errors import MaskmillError

# one cycle: share of the steps that rises; the peak over its first and last rate
_RISE, _FIRST, _LAST = 0.3, 25, 25e4


def create_optimizer(model: nn.Module, train: Train) -> torch.optim.Optimizer:
    """Fused AdamW, or fused SGD with momentum; the encoder has its own rate.

    Norms and biases are not decayed. Loshchilov and Hutter, "Decoupled Weight Decay
    Regularization", arXiv:1711.05101; SGD adds the decay to the gradient.
    Raises: MaskmillError where a setting is about the encoder, and the network has none.
    """
    part = find_encoder(model, train)
    inside = set(part.parameters()) if part is not None else set()
    groups = []
    for scale, parameters in (
        (1.0, [p for p in model.parameters() if p not in inside]),
        (train.encoder_lr_scale, [p for p in model.parameters() if p in inside]),
    ):
        decayed, plain = (
            [p for p in parameters if p.ndim > 1],
            [p for p in parameters if p.ndim <= 1],
        )
        if parameters:
            groups += [
                {"params": decayed, "weight_decay": train.weight_decay, "lr_scale": scale},
                {"params": plain, "weight_decay": 0.0, "lr_scale": scale},
            ]
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.learning_rate, fused=True)
    return torch.optim.SGD(
        groups, lr=train.learning_rate, momentum=train.momentum, nesterov=train.nesterov, fused=True
    )


def find_encoder(model: nn.Module, train: Train) -> nn.Module | None:
    """The part that is frozen or has a rate of its own; None where no setting asks for it.

    Raises: MaskmillError where one does, and the network has none.
    """
    asked = {
        "freeze_encoder_steps": train.freeze_encoder_steps,
        "encoder_lr_scale": train.encoder_lr_scale,
    }
    for key, neutral in (("freeze_encoder_steps", 0), ("encoder_lr_scale", 1.0)):
        if asked[key] == neutral:
            continue
        part = getattr(model, "encoder", None)
        if isinstance(part, nn.Module):
            return part
        raise MaskmillError(
            f"params.yaml: train.{key}: got {asked[key]}, and a network of `variants` has no"
            f" encoder ({type(model).__name__}); set it to {neutral}, or train variants of network:"
            " resnet_unet"
        )
    return None


def learning_rate(step: int, train: Train) -> float:
    """The learning rate of a step: a linear warm-up, then the schedule.

    It is 0 (or nearly, in one cycle) when the last step is done.
    """
    if train.schedule == "one_cycle":
        return train.learning_rate * _one_cycle(step, train.steps)
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    done = (step - train.warmup_steps) / (train.steps - train.warmup_steps)
    if train.schedule == "poly":
        return train.learning_rate * float((1 - done) ** train.poly_power)
    return train.learning_rate * (
        1.0 if train.schedule == "constant" else (1 + math.cos(math.pi * done)) / 2
    )


def _one_cycle(step: int, steps: int) -> float:
    """The share of the peak rate: half a cosine up over 30 % of the steps, half a cosine down.

    It rises from 1/25 to 1, and falls to 1/250,000 at the last step. Smith and Topin,
    "Super-Convergence", arXiv:1708.07120; cosines for its lines, and the momentum stays.
    """
    last = max(steps - 1, 1)
    peak = min(max(_RISE * steps - 1, 1), last)
    if step <= peak:
        low, done = 1 / _FIRST, 1 - step / peak
    else:
        low, done = 1 / _LAST, (step - peak) / max(last - peak, 1)
    return low + (1 - low) * (1 + math.cos(math.pi * done)) / 2
