"""A running average of the weights, which is often better than the last of them."""

import copy

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a network's weights and batch-norm statistics.

    It is updated after every step: a <- d a + (1 - d) w, with d = min(decay, (1 + step) / (10 +
    step)), so that the first, random weights are soon forgotten. Counters are copied. Polyak and
    Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        mine, theirs = (list(module.state_dict().values()) for module in (self.network, network))
        self._mine, self._theirs = [], []
        self._counters: list[tuple[Tensor, Tensor]] = []
        for a, b in zip(mine, theirs, strict=True):
            if a.is_floating_point():
                self._mine.append(a)
                self._theirs.append(b)
            else:
                self._counters.append((a, b))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)
        for mine, theirs in self._counters:
            mine.copy_(theirs)
