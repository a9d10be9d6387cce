"""What training minimises: one loss per file, added up with the weights of params.yaml.

A loss takes logits (N, K, H, W) float and target (N, H, W) int64 ids, some of which may be `ignore_index`, and gives a
scalar. Where every pixel is ignored it gives 0 with a zero gradient.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from maskmill import components

Loss = Callable[[Tensor, Tensor], Tensor]


def create(weights: Mapping[str, float], ignore_index: int) -> Loss:
    """The weighted sum of named losses. Raises: MaskmillError for an unknown name."""
    given = {"ignore_index": ignore_index}
    parts = [
        (weight, components.create(__name__, name, "params.yaml: train.losses", given, {}))
        for name, weight in weights.items()
    ]

    def total(logits: Tensor, target: Tensor) -> Tensor:
        return sum((weight * loss(logits, target) for weight, loss in parts), start=logits.new_zeros(()))

    return total
