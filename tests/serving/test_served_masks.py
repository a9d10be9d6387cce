"""The served mask is the evaluated one, bit for bit, on real servers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from maskmill.evaluation import evaluate
from maskmill.inference.predict import Predictor
from maskmill.metrics import Labels, create
from tests.serving.conftest import PRECISION, VARIANTS, encode, masks, picture, post

SIZES = [(1, 1), (1, 37), (64, 64), (65, 97), (192, 192), (333, 200)]


@pytest.fixture(params=[1, 2])
def _threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_served_mask_is_the_evaluated_one(variant, registered, clients, make_shard, data):
    images = {f"{h}x{w}": picture(h, w, seed=h + w) for h, w in SIZES}
    truth = [
        np.arange(image.size, dtype=np.uint8).reshape(image.shape) % 4 for image in images.values()
    ]
    shard = make_shard([*zip(images.values(), truth, strict=True)], names=list(images))
    labels = Labels(data.classes, data.foreground, data.ignore_index)
    evaluated = evaluate.evaluate_split(
        Predictor(registered.folders[variant]), shard, metrics=create({}, labels), labels=labels,
        primary="pixel_accuracy", gallery=len(images), title=variant,
    ).masks  # fmt: skip
    assert set(evaluated) == set(images)
    answer = post(clients[variant], *map(encode, images.values()))
    for name, served in zip(images, masks(answer), strict=True):
        assert served.shape == images[name].shape
        assert np.array_equal(served, evaluated[name]), name
    assert len(np.unique(evaluated["192x192"])) > 1, "a mask of one class would prove nothing"


def test_both_precisions_are_served():
    assert set(PRECISION.values()) == {"bf16", "fp32"}


def test_each_row_says_which_weights_answered(registered, clients):
    for variant, client in clients.items():
        rows = post(client, encode(picture(20, 30))).json()["predictions"]
        assert [row["weights_sha256"] for row in rows] == [
            Predictor(registered.folders[variant]).card.sha256
        ]
        assert [row["error"] for row in rows] == [None]


def test_sixteen_clients_at_once_each_get_their_own_masks(registered, clients):
    predictor = Predictor(registered.folders["resnet18_unet"])
    images = [picture(40 + i, 90 - i, seed=i) for i in range(16)]
    expected = [predictor.predict(image) for image in images]
    encoded = [encode(image) for image in images]

    def ask(first):
        order = [(first + step) % 16 for step in range(3)]
        return order, masks(post(clients["resnet18_unet"], *(encoded[i] for i in order)))

    with ThreadPoolExecutor(16) as threads:
        for order, served in threads.map(ask, list(range(16)) * 2):
            assert all(
                np.array_equal(mask, expected[i]) for i, mask in zip(order, served, strict=True)
            )


def test_mlflows_own_server_gives_the_same_answer(clients, bare):
    images = [encode(picture(h, w, seed=h)) for h, w in SIZES] + ["no base64!"]
    assert post(bare, *images).json() == post(clients["unet"], *images).json()
