import base64
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from maskmill import models, serving
from maskmill.data import decode
from maskmill.data.preprocessing import Preprocessing
from maskmill.errors import MaskmillError
from maskmill.inference import predict


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    model = models.create("unet", in_channels=1, num_classes=3, feature_scale=16)
    facts = {
        "variant": "unet", "options": {"feature_scale": 16}, "classes": ("a", "b", "c"), "background": "a",
        "ignore_index": 255, "colours": dict.fromkeys("abc", "#000000"), "in_channels": 1,
        "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)), "precision": "fp32", "parameters": 1, "best_step": 1,
    }  # fmt: skip
    where = tmp_path_factory.mktemp("model")
    predict.save(where, model.state_dict(), facts)
    return where


@pytest.fixture(scope="module")
def served(folder):
    from maskmill.serving.model import SegmentationModel

    model = SegmentationModel()
    model.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
    return lambda images: model.predict(None, pd.DataFrame({"image": images}))


def text(content):
    return base64.b64encode(content).decode()


def test_each_row_is_answered_with_its_mask_at_its_size(served, folder):
    rng, predictor = np.random.default_rng(0), predict.Predictor(folder)
    images = [rng.integers(0, 256, size, np.uint8) for size in [(20, 30), (33, 17)]]
    answer = served([text(decode.png_bytes(image)) for image in images])
    for image, mask in zip(images, answer["mask"], strict=True):
        assert np.array_equal(decode.mask(base64.b64decode(mask)), predictor.predict(image))
    assert answer["weights_sha256"].tolist() == [predictor.card.sha256] * 2


def test_the_example_is_answered(served):
    (mask,) = served(serving.input_example(1)["image"])["mask"]
    assert decode.mask(base64.b64decode(mask)).shape == (64, 64)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("not base64!", "row 1: column image is not base64"),
        (text(b"no image"), "row 1: not an image by its first bytes"),
        (text(decode.png_bytes(np.zeros((4, 4, 3), np.uint8))), "row 1: an image of mode RGB"),
    ],
)
def test_a_row_that_is_no_image_is_named(served, wrong, said):
    good = text(decode.png_bytes(np.zeros((4, 4), np.uint8)))
    with pytest.raises(MaskmillError) as raised:
        served([good, wrong])
    assert str(raised.value).startswith(said)


def test_requirements_pin_releases_that_an_index_has():
    pinned = dict(line.split("==") for line in serving.requirements())
    assert pinned["torch"] == torch.__version__.split("+")[0]
    assert all("+" not in version for version in pinned.values())
