"""What a network is made of: parameters, multiply-adds, and the shape of each of its levels.

Networks are described on torch's device `meta`: shapes are worked out as in a real forward pass,
without memory for weights or maps. Each size is also computed from its layer's own numbers, and the
two must agree.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from maskmill import models
from maskmill.models.sizes import LAYERS, Sides, sides_after, size_formula
from maskmill.settings.network_names import SHORTHANDS

_FUNCTIONS = {F.max_pool2d: nn.MaxPool2d, F.avg_pool2d: nn.AvgPool2d}
_ARXIV = re.compile(r"arXiv:\d{4}\.\d{4,5}")


@dataclass(frozen=True)
class Level:
    """One part of the network: what it gives, what it costs, and where its size comes from."""

    name: str  # of the module
    channels: int
    sides: Sides
    parameters: int
    multiply_adds: int
    origin: str  # the formula with its numbers, or in words


@dataclass(frozen=True)
class Description:
    """A network for images of one size; multiply-adds are those of one image."""

    parameters: int
    multiply_adds: int
    levels: tuple[Level, ...]


def describe_by_name(
    name: str,
    options: Mapping[str, Any],
    where: str,
    *,
    in_channels: int,
    num_classes: int,
    sides: Sides,
) -> Description:
    """Describe network `name` for images of `sides`.

    Raises: MaskmillError as `maskmill.models.create_from` does.
    """
    with torch.device("meta"):
        model = models.create_from(
            name, options, where, in_channels=in_channels, num_classes=num_classes
        )
        return describe_network(model, torch.empty(1, in_channels, *sides))


def paper_of(name: str) -> str:
    """Where network `name` was proposed, as arXiv:NUMBER: the first source in its file.

    The result is "" where the file names none.
    """
    if name in SHORTHANDS:
        return SHORTHANDS[name].paper
    module = importlib.import_module(f"{models.__name__}.networks.{name}")
    texts = (module.__doc__, getattr(module, name).__doc__)
    found = next((match for text in texts if (match := _ARXIV.search(text or ""))), None)
    return found[0] if found else ""


def multiply_adds(model: nn.Module, x: Tensor) -> int:
    """Count the multiply-adds of one forward pass over `x`.

    Counted are those of convolutions, linear layers, matrix products and fused attention.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return int(counter.get_total_flops()) // 2


def describe_network(model: nn.Module, x: Tensor) -> Description:
    """A network in evaluation mode, and its forward pass over one image `x`."""
    with (
        _recorded_calls(model.eval()) as root,
        FlopCounterMode(display=False) as counter,
        torch.no_grad(),
    ):
        model(x)
    flops = {path: sum(counts.values()) for path, counts in counter.get_flop_counts().items()}
    seen: set[str] = set()
    levels = tuple(
        _level(call, flops, type(model).__name__, seen) for call in _level_calls(root.calls[0])
    )
    return Description(models.count_parameters(model), flops.get("Global", 0) // 2, levels)


@dataclass
class _Call:
    """A module that ran: what went in, what came out, and the modules that it called."""

    name: str = ""
    module: nn.Module | None = None
    given: tuple[Any, ...] = ()
    result: Any = None
    calls: list["_Call"] = field(default_factory=list)

    def __iter__(self) -> Iterator["_Call"]:
        yield self
        for call in self.calls:
            yield from call

    @property
    def plain(self) -> bool:
        """Whether it maps maps to one map, and not lists or dicts."""
        return all(_is_map(value) for value in (*self.given, self.result))

    @property
    def layers(self) -> list["_Call"]:
        """Convolutions and poolings in it."""
        return [call for call in self if isinstance(call.module, LAYERS)]


class _Poolings(TorchFunctionMode):
    """Records a pooling that no module does, below the module that calls it."""

    def __init__(self, stack: list[_Call]) -> None:
        self._stack = stack

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        caller = self._stack[-1]
        if func in _FUNCTIONS and not isinstance(caller.module, LAYERS):
            layer = _FUNCTIONS[func](*args[1:], **(kwargs or {}))
            name = ".".join(filter(None, (caller.name, func.__name__)))
            caller.calls.append(_Call(name, layer, args[:1], result))
            _check(caller.calls[-1])
        return result


@contextlib.contextmanager
def _recorded_calls(model: nn.Module) -> Iterator[_Call]:
    """Have every call within recorded below the one that is given."""
    stack = [_Call()]
    names = {module: name for name, module in model.named_modules()}

    def before(module: nn.Module, given: tuple[Any, ...]) -> None:
        # Shapes are all that is wanted, and an in-place layer keeps them.
        stack[-1].calls.append(_Call(names[module], module, given))
        stack.append(stack[-1].calls[-1])

    def after(module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        call = stack.pop()
        call.result = result
        if isinstance(module, LAYERS):
            _check(call)

    handles = [
        h
        for m in names
        for h in (m.register_forward_pre_hook(before), m.register_forward_hook(after))
    ]
    try:
        with _Poolings(stack):
            yield stack[0]
    finally:
        for handle in handles:
            handle.remove()


def _check(call: _Call) -> None:
    assert call.module is not None
    computed, real = sides_after(call.module, _sides(call.given[0])), _sides(call.result)
    assert computed == real, f"{call.name} gives {real}, its formula {computed}: {call.module}"


def _level_calls(call: _Call, *, outermost: bool = True) -> Iterator[_Call]:
    """The calls that make a level each: they map maps to a map, and resize it at most once."""
    # but for a gate's, on one pixel
    changing = [layer for layer in call.layers if _sides(layer.given[0]) != (1, 1)]
    sizes = {
        sides for layer in changing for sides in (_sides(layer.given[0]), _sides(layer.result))
    }
    leaf = isinstance(call.module, LAYERS)
    if leaf or (call.plain and len(sizes) <= 2 and not outermost):
        yield from [call] if call.layers else []
        return
    for inner in call.calls:
        yield from _level_calls(inner, outermost=False)


def _level(call: _Call, flops: dict[str, int], root: str, seen: set[str]) -> Level:
    assert call.module is not None
    first = call.name not in seen  # what is called again was counted with its first call
    seen.add(call.name)
    cost = flops.get(f"{root}.{call.name}", 0) // 2 if first else 0
    parameters = models.count_parameters(call.module) if first else 0
    return Level(
        call.name, call.result.shape[1], _sides(call.result), parameters, cost, _origin(call)
    )


def _origin(call: _Call) -> str:
    out = _sides(call.result)
    ends = [layer for layer in call.layers if _sides(layer.result) == out]
    changing = [layer for layer in ends if _sides(layer.given[0]) != out]
    if not changing and _sides(call.given[0]) != out:
        return (
            "the skip's size"
            if any(_sides(value) == out for value in call.given[1:])
            else "resized"
        )
    if not ends:
        return "kept"
    layer = (changing or ends)[0]
    assert layer.module is not None
    return size_formula(layer.module, _sides(layer.given[0]))


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 4


def _sides(x: Tensor) -> Sides:
    return x.shape[-2], x.shape[-1]
