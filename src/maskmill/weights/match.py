"""Load given weights into a network: say what fits, and name the keys of what does not in an error.

The weights are those of the whole network, or of its encoder alone, as torchvision names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maskmill.models.blocks import Head
from maskmill.models.residual import Residual
from maskmill.system.errors import MaskmillError, few_of

ENCODER = "encoder."
_CLASSIFIER = "fc."  # the last layer of torchvision's classifiers, which no encoder has
_COUNTER = (  # of batch norm; files from before torch 0.4.1 have none, and nothing here reads it
    "num_batches_tracked"
)
_NAMED = 10  # keys in an error, of each kind


@dataclass(frozen=True)
class WeightMatch:
    """What goes where, by the network's own keys."""

    tensors: dict[str, Tensor]
    part: str  # "" for the whole network, else `encoder.`
    adapted: tuple[str, ...]  # convolutions that see another number of image channels
    fresh: tuple[str, ...]  # what the network keeps as it was initialised
    unused: tuple[str, ...]  # what the network has no place for

    def __str__(self) -> str:
        """One line for people."""
        told = [f"{len(self.tensors)} tensors into {self.part.rstrip('.') or 'the whole network'}"]
        if self.adapted:
            told.append(
                f"other image channels: {few_of(self.adapted, _NAMED)} (mean over those of the"
                " weights)"
            )
        if self.unused:
            told.append(f"not used: {few_of(self.unused, _NAMED)}")
        parts = dict.fromkeys(_part_of_key(key) for key in self.fresh)
        told.append(
            f"fresh: {', '.join(parts)} ({len(self.fresh)} tensors)"
            if parts
            else "nothing stays fresh"
        )
        return "; ".join(told)


def match_weights(
    model: nn.Module,
    given: Mapping[str, Tensor],
    *,
    in_channels: int,
    where: str,
    source: str,
    heads: bool = True,
) -> WeightMatch:
    """Find the place of every given tensor in `model`; changes nothing.

    The model sees images of `in_channels`. Heads (`blocks.Head`) stay fresh where `heads` is false,
    and where the given ones are of another number of classes. So do the gates of residual blocks
    where an encoder's weights have none: those of a plain ResNet start a gated one.
    Raises: MaskmillError naming missing keys, unexpected ones, and those of other shapes, ten of
        each and their count.
    """
    own = model.state_dict()
    part = _best_prefix(own, given)
    target = {key: value for key, value in own.items() if key.startswith(part)}
    placed = {part + key: value for key, value in given.items()}
    unused = [key for key in placed if key.startswith(part + _CLASSIFIER) and key not in target]
    free = {
        key for key in _of_heads(model) if not (heads and _head_fits(own[key], placed.get(key)))
    }
    if part and not (gates := _of_gates(model)) & placed.keys():
        free |= gates
    tensors = {key: value for key, value in placed.items() if key in target and key not in free}
    adapted = [
        key for key, value in tensors.items() if _other_image(target[key], value, in_channels)
    ]
    tensors |= {key: adapt_first_convolution(tensors[key], in_channels) for key in adapted}
    wrong = {
        "missing there": [
            key for key in target if key not in placed and key not in free and _COUNTER not in key
        ],
        "unknown to the network": [
            key for key in placed if key not in target and key not in unused
        ],
        "of another shape": [
            f"{key}: {_shape(placed[key])}, needed is {_shape(target[key])}"
            for key, value in tensors.items()
            if value.shape != target[key].shape
        ],
    }
    _refuse(wrong, where, f"{source} does not fit the {'encoder' if part else 'network'}")
    for key, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise MaskmillError(
                f"{where}: {source} holds NaN or infinity in {key}; get the weights again"
            )
    fresh = tuple(key for key in own if key not in tensors and _COUNTER not in key)
    return WeightMatch(
        tensors, part, tuple(adapted), fresh, (*unused, *(key for key in placed if key in free))
    )


def load_weights(model: nn.Module, matched: WeightMatch) -> None:
    """Put the matched tensors into `model`, in its own precision."""
    model.load_state_dict(model.state_dict() | matched.tensors)


def adapt_first_convolution(weight: Tensor, in_channels: int) -> Tensor:
    """A first convolution for another number of image channels.

    It gives the same response to a grey image. Each of the C' new channels gets W'_j = (1 / C')
    sum_c W_c. Where all channels of the image are equal to g, the old convolution gives (sum_c W_c)
    * g, and so does the new one: sum_j W'_j * g.
    Shape: (O, C, k, k) -> (O, in_channels, k, k).
    """
    return (weight.float().sum(1, keepdim=True) / in_channels).repeat(1, in_channels, 1, 1)


def _best_prefix(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Where more of the given keys are at home."""
    encoder = {ENCODER + key for key in given}
    return ENCODER if len(encoder & own.keys()) > len(given.keys() & own.keys()) else ""


def _refuse(wrong: Mapping[str, list[str]], where: str, what: str) -> None:
    """Raises: MaskmillError where any kind of mistake has a key."""
    if told := [
        f"  {len(keys)} {kind}: {few_of(keys, _NAMED, '; ')}"
        for kind, keys in wrong.items()
        if keys
    ]:
        listed = "\n".join(told)
        raise MaskmillError(
            f"{where}: {what}\n{listed}\nTake weights of this very network, or of its encoder by"
            f" torchvision's names, or set {where.removesuffix('.weights')} to the options that"
            " they were made with"
        )


def _of_heads(model: nn.Module) -> list[str]:
    """Keys of all that depends on the classes."""
    heads = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, Head))
    return [key for key in model.state_dict() if key.startswith(heads)]


def _of_gates(model: nn.Module) -> set[str]:
    """Keys of the gates in residual blocks."""
    gates = tuple(
        f"{name}.gate." for name, module in model.named_modules() if isinstance(module, Residual)
    )
    return {key for key in model.state_dict() if key.startswith(gates)}


def _part_of_key(key: str) -> str:
    """The part of the network that a key belongs to."""
    first, *inner = key.split(".")
    return "gates of the encoder" if first == ENCODER.rstrip(".") and "gate" in inner else first


def _head_fits(own: Tensor, given: Tensor | None) -> bool:
    """Whether a head's tensor is there and, but for its number of classes, not of another shape."""
    return given is not None and (given.shape == own.shape or given.shape[1:] != own.shape[1:])


def _other_image(own: Tensor, given: Tensor, in_channels: int) -> bool:
    """Whether both are convolutions that differ in the channels of the image alone."""
    if own.dim() != 4 or given.dim() != 4 or own.shape == given.shape:
        return False
    return (
        own.shape[1] == in_channels
        and own.shape[:1] + own.shape[2:] == given.shape[:1] + given.shape[2:]
    )


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"
