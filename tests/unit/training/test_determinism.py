"""What `train.deterministic` sets, and that PyTorch then refuses no network or loss on a GPU."""

import os

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from maskmill import losses, models
from maskmill.system import components
from maskmill.system.errors import MaskmillError
from maskmill.training import determinism, hardware
from tests.unit.models.test_every_network import ALL_PARTS, DEEP, logits, make

# torch.use_deterministic_algorithms has the list. F.interpolate takes bilinear upsampling from its
# parts by itself.
REFUSED = {
    "_adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward",
    "fractional_max_pool2d_backward", "max_unpool2d", "avg_pool3d_backward",
    "upsample_linear1d_backward", "upsample_bicubic2d_backward", "upsample_trilinear3d_backward",
    "reflection_pad2d_backward", "grid_sampler_2d_backward", "put", "put_", "histc",
    "_embedding_bag_dense_backward",
}  # fmt: skip
NETWORKS = [name for name in models.names() if not name.startswith(DEEP)]


class Operations(TorchDispatchMode):
    """Notes which of the operations that run are refused."""

    def __init__(self):
        super().__init__()
        self.seen, self.refused = set(), set()

    def __torch_dispatch__(self, function, types, given=(), named=None):
        name = function.overloadpacket.__name__
        summed = name == "nll_loss2d_forward" and given[3] != 0  # a reduction
        summed |= name == "cumsum" and given[0].is_floating_point()
        summed |= name == "bincount" and len(given) > 1 and given[1] is not None
        self.seen.add(name)
        if summed or name in REFUSED or (name == "median" and function.overload_name == "dim"):
            self.refused.add(name)
        return function(*given, **(named or {}))


@pytest.fixture
def gpu(monkeypatch):
    """The settings of a training that is to be deterministic, on what stands for a GPU."""
    monkeypatch.setattr(hardware, "choose_device", lambda train: "cuda")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


def now():
    return torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark


@pytest.fixture
def benchmarked(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)


@pytest.mark.usefixtures("gpu", "benchmarked")
def test_it_is_set_for_the_training_and_put_back(params):
    with (
        pytest.raises(KeyError),
        determinism.deterministic_kernels(params.train.model_copy(update={"deterministic": True})),
    ):
        assert now() == (True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        raise KeyError
    assert now() == (False, True)


@pytest.mark.usefixtures("benchmarked")
@pytest.mark.parametrize(
    "changes", [{"deterministic": False}, {"deterministic": True, "device": "cpu"}]
)
def test_not_asked_for_or_on_a_cpu_nothing_is_set(params, changes):
    with determinism.deterministic_kernels(params.train.model_copy(update=changes)):
        assert now() == (False, True)


@pytest.mark.usefixtures("gpu")
def test_an_operation_without_such_a_kernel_is_said_with_the_setting(params):
    train = params.train.model_copy(update={"deterministic": True})
    with pytest.raises(MaskmillError) as raised, determinism.deterministic_kernels(train):
        raise RuntimeError(
            "cumsum_cuda_kernel does not have a deterministic implementation, but you set .."
        )
    assert (
        str(raised.value)
        == "params.yaml: train.deterministic: got true, and on this GPU cumsum_cuda_kernel does not"
        " have a deterministic implementation; set train.deterministic: false, or take another"
        " network or loss"
    )
    with (
        pytest.raises(RuntimeError, match=r"^out of luck$"),
        determinism.deterministic_kernels(train),
    ):
        raise RuntimeError("out of luck")


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in NETWORKS), *ALL_PARTS.items()],
    ids=lambda v: v if v else "parts",
)
def test_no_network_has_an_operation_that_is_refused(name, options):
    network = make(name, **options).train()
    with Operations() as operations:
        logits(network(torch.rand(2, 1, 64, 64))).square().mean().backward()
    assert "convolution_backward" in operations.seen
    assert operations.refused == set()


@pytest.mark.parametrize("name", components.names("maskmill.losses"))
def test_no_loss_has_an_operation_that_is_refused(name):
    loss = losses.create({name: 1.0}, 255)
    target = torch.randint(0, 3, (2, 16, 16), generator=torch.Generator().manual_seed(0))
    with Operations() as operations:
        loss(torch.rand(2, 3, 16, 16, requires_grad=True), target).backward()
    assert operations.seen
    assert operations.refused == set()


def test_what_is_refused_would_be_noticed():
    with Operations() as operations:
        torch.nn.functional.cross_entropy(
            torch.rand(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long)
        )
    assert operations.refused == {"nll_loss2d_forward"}
