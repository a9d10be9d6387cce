import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from maskmill import models
from maskmill.evaluation import cost, memory
from maskmill.inference import predict
from maskmill.inference.predict import Predictor
from maskmill.samples.preprocessing import Preprocessing


@pytest.fixture
def predictor(tmp_path):
    def make(precision="fp32", feature_scale=8):
        torch.manual_seed(0)
        options = {"feature_scale": feature_scale}
        model = models.create("unet", in_channels=1, num_classes=4, **options)
        facts = {
            "variant": "unet", "options": options, "classes": ("a", "b", "c", "d"),
            "background": "a", "ignore_index": 255, "colours": dict.fromkeys("abcd", "#000000"),
            "in_channels": 1, "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)),
            "precision": precision, "parameters": models.count_parameters(model), "best_step": 1,
        }  # fmt: skip
        predict.save(tmp_path / "model", model.state_dict(), facts)
        return Predictor(tmp_path / "model")

    return make


def image(side):
    return np.random.default_rng(0).integers(0, 256, (side, side, 1), np.uint8)


def allocated_mb(predictor, pixels):
    """The most at once by PyTorch's own record, without the workspaces of convolutions.

    A convolution lets its workspace go before it ends, and its size is the processor's affair:
    without AVX-512 it is several times the rest in bf16.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        predictor.predict(pixels)
    # bytes, one after another; by address: the place of its allocation, and the convolution
    changes, made = [], {}
    found = list(allocations(record.profiler.kineto_results.experimental_event_tree()))
    for event, convolution in sorted(found, key=lambda pair: pair[0].start_time_ns):
        address, size = event.extra_fields.ptr, event.extra_fields.alloc_size
        if size > 0:
            made[address] = len(changes), convolution
        elif address in made:
            place, maker = made.pop(address)
            if convolution is not None and convolution is maker:
                changes[place] = size = 0
        changes.append(size)
    return float(np.cumsum(changes).max()) / 1e6


def allocations(tree, convolution=None):
    """Allocations and releases, each with the convolution that it is inside of."""
    for event in tree:
        if event.name == "[memory]":
            yield event, convolution
        yield from allocations(
            event.children, event if event.name == "aten::convolution" else convolution
        )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_memory_is_weights_and_what_pytorch_says_it_has_allocated(predictor, precision):
    made, pixels = predictor(precision), image(128)
    made.predict(pixels)
    weights = memory.weights_bytes(made) / 1e6
    assert memory.memory_mb(made, pixels) - weights == pytest.approx(
        allocated_mb(made, pixels), rel=0.03
    )


def test_the_weights_are_those_of_the_file(predictor, tmp_path):
    size = (tmp_path / "model" / predict.WEIGHTS).stat().st_size if predictor() else 0
    assert memory.weights_bytes(predictor()) == pytest.approx(size, rel=0.05)


def test_the_same_prediction_gives_the_same_figure(predictor):
    made = predictor()
    assert len({memory.memory_mb(made, image(64)) for _ in range(3)}) == 1


def test_what_is_held_grows_with_the_image_and_the_weights_do_not(predictor):
    made = predictor()
    small, large = (
        memory.memory_mb(made, image(side)) - memory.weights_bytes(made) / 1e6 for side in (64, 256)
    )
    assert large == pytest.approx(16 * small, rel=0.1)


def test_a_view_of_the_weights_takes_no_memory():
    weights = torch.ones(1000)
    with memory._Held() as held:
        weights.view(10, 100).t()
    assert held.most == 0


def test_what_was_let_go_does_not_count():
    with memory._Held() as held:
        for _ in range(5):
            torch.ones(1000)
    assert held.most == 4000


def test_costs_come_back(tmp_path):
    written = cost.Cost(1000, 12.5, 80.25)
    cost.write_cost(tmp_path / "c.json", written)
    assert cost.read_cost(tmp_path / "c.json") == written
