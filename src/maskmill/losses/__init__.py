"""What training minimises: one loss per file, added up with the weights of params.yaml.

A loss takes logits (N, K, H, W) float and target (N, H, W) int64 ids, some of which may be
`ignore_index`, and gives a scalar of at least float32, whatever the precision of the logits.
Ignored pixels change neither it nor its gradient; where every pixel is ignored it gives 0 with a
zero gradient. docs/losses.md compares them.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from maskmill.losses._class_weights import class_weights as class_weights
from maskmill.system import components
from maskmill.system.errors import MaskmillError

Loss = Callable[[Tensor, Tensor], Tensor]

_WHERE = "params.yaml: train.losses"


def create(
    settings: Mapping[str, float | Mapping[str, Any]],
    ignore_index: int,
    *,
    foreground: Mapping[str, int] | None = None,
    class_weights: Sequence[float] | None = None,
) -> Loss:
    """The weighted sum of named losses: name -> weight, or `weight` and the loss's own options.

    foreground: the classes but the background, name -> id; None: all classes.
    class_weights: one per class id.
    Each loss gets of these what its function asks for.
    Raises: MaskmillError for an unknown name or option, or class weights that none of the losses
        uses.
    """
    given = {"ignore_index": ignore_index, "foreground": foreground, "class_weights": class_weights}
    parts = []
    for name, chosen in settings.items():
        options = dict(chosen) if isinstance(chosen, Mapping) else {"weight": chosen}
        weight = options.pop("weight")
        asked = {key: value for key, value in given.items() if key in _parameters(name)}
        parts.append(
            (weight, components.create(__name__, name, f"{_WHERE}.{name}", asked, options))
        )
    if class_weights is not None:
        _check_used(settings)

    def total(logits: Tensor, target: Tensor) -> Tensor:
        return sum(
            (weight * loss(logits, target) for weight, loss in parts), start=logits.new_zeros(())
        )

    return total


def _parameters(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(components.factory(__name__, name, _WHERE)).parameters


def _check_used(names: Mapping[str, Any]) -> None:
    """Raises: MaskmillError where none of the losses takes class weights."""
    if not any("class_weights" in _parameters(name) for name in names):
        users = [
            name for name in components.names(__name__) if "class_weights" in _parameters(name)
        ]
        raise MaskmillError(
            f"params.yaml: train.class_weights has no effect: of train.losses, {', '.join(names)},"
            f" none is a mean over pixels, which it weights; add one of {', '.join(users)}, or set"
            " train.class_weights: null"
        )
