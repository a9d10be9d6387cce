"""How much memory one prediction takes."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as trees
from torch.utils._python_dispatch import TorchDispatchMode

from maskmill.inference.predict import Predictor


def memory_mb(predictor: Predictor, image: np.ndarray) -> float:
    """Return the memory of the weights and of one prediction's tensors at its peak, in 10^6 bytes.

    That is what the network itself asks for. Python, the libraries and the workspace inside a
    kernel come on top of it on the CPU; on a GPU the workspace that PyTorch allocates is counted,
    and its context comes on top.
    """
    if predictor.device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        predictor.predict(image)
        most = torch.cuda.max_memory_allocated() - before
    else:
        with _Held() as held:
            predictor.predict(image)
        most = held.most
    return round((weights_bytes(predictor) + most) / 1e6, 2)


def weights_bytes(predictor: Predictor) -> int:
    """Of the parameters and buffers in memory."""
    return sum(tensor.nbytes for tensor in predictor.network.state_dict().values())


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make, until each is let go."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._now = 0
        self._bytes: dict[int, int] = {}  # of each storage that is alive

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        for tensor in _tensors((args, kwargs)):
            # weights and inputs were there before, and a view of them is no more
            self._keep(tensor, counted=False)
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            self._keep(tensor, counted=True)
        return out

    def _keep(self, tensor: Tensor, *, counted: bool) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._bytes:
            self._bytes[key] = storage.nbytes() if counted else 0
            self._now += self._bytes[key]
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._let_go, key)

    def _let_go(self, key: int) -> None:
        self._now -= self._bytes.pop(key)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in trees.tree_leaves(tree) if isinstance(leaf, Tensor)]
