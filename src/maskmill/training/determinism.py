"""The same bits from the same training on a GPU, where params.yaml asks for it.

On a CPU that is always so.
"""

import contextlib
import os
from collections.abc import Iterator

import torch

from maskmill.settings.config import Train
from maskmill.system.errors import MaskmillError
from maskmill.training import hardware

_WORKSPACE = (  # environment: which buffers matrix products share, read once by cuBLAS
    "CUBLAS_WORKSPACE_CONFIG"
)
_REFUSED = "does not have a deterministic implementation"  # PyTorch's words
_UNLIKE = "Deterministic behavior was enabled"  # .. where cuBLAS has other buffers


@contextlib.contextmanager
def deterministic_kernels(train: Train) -> Iterator[None]:
    """While this is entered, GPU operations sum in one order where `train.deterministic` is set.

    They take the kernels that do so. Bilinear upsampling is then computed from its parts, and the
    loss per pixel, whose sum PyTorch refuses, is summed outside of it (`losses._pixels`): no
    network or loss of maskmill needs an operation that PyTorch refuses.
    Raises: MaskmillError for one that it refuses.
    """
    if not train.deterministic or hardware.choose_device(train) == "cpu":
        yield
        return
    os.environ.setdefault(_WORKSPACE, ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    except RuntimeError as error:
        if _REFUSED not in str(error) and _UNLIKE not in str(error):
            raise
        raise MaskmillError(
            "params.yaml: train.deterministic: got true, and on this GPU"
            f" {str(error).partition(',')[0]}; set train.deterministic: false, or take another"
            " network or loss"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
