import pytest
import torch

from maskmill.errors import MaskmillError
from maskmill.training import hardware


@pytest.fixture
def train(params):
    def changed(**changes):
        return params.train.model_copy(update=changes)

    return changed


@pytest.fixture
def machine(monkeypatch):
    def has(*, gpu=False, gpu_bf16=False, amx=False, avx512_bf16=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: gpu_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)

    return has


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error_that_says_what_to_take(train, machine):
    machine(gpu=False)
    with pytest.raises(MaskmillError) as raised:
        hardware.device(train(device="cuda"))
    assert str(raised.value) == ("params.yaml: train.device: got 'cuda', but torch sees no GPU; take 'auto' or 'cpu'")


@pytest.mark.parametrize(
    ("gpu", "asked", "taken"),
    [
        (True, "auto", "cuda"),
        (True, "cpu", "cpu"),
        (True, "cuda", "cuda"),
        (False, "auto", "cpu"),
        (False, "cpu", "cpu"),
    ],
)
def test_the_device_is_the_one_asked_for_or_a_gpu_where_there_is_one(train, machine, gpu, asked, taken):
    machine(gpu=gpu)
    assert hardware.device(train(device=asked)) == taken


@pytest.mark.parametrize(
    ("facts", "device", "taken"),
    [
        ({"amx": True}, "cpu", "bf16"),
        ({"avx512_bf16": True}, "cpu", "bf16"),
        ({}, "cpu", "fp32"),
        ({"gpu": True, "gpu_bf16": True}, "cuda", "bf16"),
        ({"gpu": True, "amx": True}, "cuda", "fp32"),
    ],
)
def test_auto_precision_is_bf16_where_it_is_native(train, machine, facts, device, taken):
    machine(**facts)
    assert hardware.precision(train(precision="auto"), device) == taken


def test_a_precision_that_is_asked_for_is_taken(train, machine):
    machine(amx=True)
    assert hardware.precision(train(precision="fp32"), "cpu") == "fp32"
    machine()
    assert hardware.precision(train(precision="bf16"), "cpu") == "bf16"
