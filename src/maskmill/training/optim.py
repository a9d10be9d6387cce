"""The optimizer and its learning rate as a function of the step."""

import math

import torch
from torch import nn

from maskmill.config import Train


def optimizer(model: nn.Module, train: Train) -> torch.optim.AdamW:
    """Fused AdamW; norms and biases are not decayed.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101.
    """
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": train.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=train.learning_rate, fused=True)


def learning_rate(step: int, train: Train) -> float:
    """Linear warm-up, then half a cosine down to 0 at the last step; a pure function, so nothing has to be saved."""
    if step < train.warmup_steps:
        return train.learning_rate * (step + 1) / train.warmup_steps
    done = (step - train.warmup_steps) / (train.steps - train.warmup_steps)
    return train.learning_rate * (1 + math.cos(math.pi * done)) / 2
