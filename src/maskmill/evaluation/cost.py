"""What one prediction costs: time, memory, parameters."""

import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as trees
from torch.utils._python_dispatch import TorchDispatchMode

from maskmill import files
from maskmill.inference.predict import Predictor


@dataclass(frozen=True)
class Cost:
    """Of one variant, on the machine that evaluated it."""

    parameters: int
    ms_per_image: float  # median over the test images, one at a time
    memory_mb: float  # 10^6 bytes: weights, and the most that is held at once beside them, see `memory_mb`


def memory_mb(predictor: Predictor, image: np.ndarray) -> float:
    """Weights, and the most that one prediction of this image holds in tensors at once beside them, in 10^6 bytes.

    That is what the network itself asks for. Python, the libraries and the workspace inside a kernel come on top of it
    on the CPU; on a GPU the workspace that PyTorch allocates is counted, and its context comes on top.
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
    return round((predictor.weights_bytes + most) / 1e6, 2)


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make, until each is let go."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._now = 0
        self._bytes: dict[int, int] = {}  # of each storage that is alive

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for tensor in _tensors((args, kwargs)):
            self._keep(tensor, counted=False)  # weights and inputs were there before, and a view of them is no more
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


def write(path: Path, cost: Cost) -> None:
    """Write metrics/cost/<variant>.json."""
    files.write_json(path, asdict(cost))


def read(path: Path) -> Cost:
    """What `write` wrote."""
    return Cost(**files.read_json(path))
