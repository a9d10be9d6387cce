import pytest
import torch

from maskmill.system.errors import MaskmillError
from maskmill.training import hardware


@pytest.fixture
def train(params):
    def changed(**changes):
        return params.train.model_copy(update=changes)

    return changed


@pytest.fixture
def machine(monkeypatch):
    def has(*, gpu=False, gpu_bf16=False, amx=False, avx512_bf16=False, kernels=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: gpu_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: kernels)

    return has


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error_that_says_what_to_take(train, machine):
    machine(gpu=False)
    with pytest.raises(MaskmillError) as raised:
        hardware.choose_device(train(device="cuda"))
    assert (
        str(raised.value)
        == "params.yaml: train.device: got 'cuda', but torch sees no GPU; take 'auto' or 'cpu'"
    )


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
def test_the_device_is_the_one_asked_for_or_a_gpu_where_there_is_one(
    train, machine, gpu, asked, taken
):
    machine(gpu=gpu)
    assert hardware.choose_device(train(device=asked)) == taken


@pytest.mark.parametrize(
    ("facts", "device", "taken"),
    [
        ({"amx": True}, "cpu", "bf16"),
        ({"avx512_bf16": True}, "cpu", "bf16"),
        ({"amx": True, "kernels": False}, "cpu", "fp32"),
        ({}, "cpu", "fp32"),
        ({"gpu": True, "gpu_bf16": True}, "cuda", "bf16"),
        ({"gpu": True, "amx": True}, "cuda", "fp32"),
    ],
)
def test_auto_precision_is_bf16_where_it_is_native(train, machine, facts, device, taken):
    machine(**facts)
    assert hardware.choose_precision(train(precision="auto"), device) == taken


def test_a_precision_that_is_asked_for_is_taken(train, machine):
    machine(amx=True)
    assert hardware.choose_precision(train(precision="fp32"), "cpu") == "fp32"
    machine()
    assert hardware.choose_precision(train(precision="bf16"), "cpu") == "bf16"


def test_fp16_on_a_cpu_is_an_error_that_says_what_to_take(train, machine):
    machine()
    with pytest.raises(MaskmillError) as raised:
        hardware.choose_precision(train(precision="fp16"), "cpu")
    assert (
        str(raised.value)
        == "params.yaml: train.precision: got 'fp16', which trains on a GPU alone, and this is a"
        " CPU; take 'auto', 'bf16' or 'fp32'"
    )
    assert hardware.choose_precision(train(precision="fp16"), "cuda") == "fp16"


@pytest.mark.parametrize(
    ("asked", "device", "devices", "taken"),
    [
        ("auto", "cpu", 1, 0),
        ("auto", "cuda", 1, 8),
        ("auto", "cuda", 4, 2),
        (3, "cpu", 1, 3),
        (0, "cuda", 1, 0),
    ],
)
def test_loader_processes_are_for_a_gpu(train, monkeypatch, asked, device, devices, taken):
    monkeypatch.setattr(hardware, "usable_cores", lambda: 16)
    assert hardware.loader_workers(train(workers=asked, devices=devices), device) == taken
