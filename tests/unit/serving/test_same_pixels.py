"""The same file gives the same pixels to the network from an array, from a path, and served."""

import base64

import numpy as np
import pytest
import torch

from maskmill import models
from maskmill.images import decode
from maskmill.inference import predict
from maskmill.samples.preprocessing import Preprocessing
from maskmill.serving.scoring import RequestLimits, Scorer
from maskmill.settings.config import STRICT
from tests.bad_inputs import good

KINDS = [
    good.grey,
    good.colour,
    good.lossy,
    good.palette,
    good.wide,
    good.floats,
    good.bands,
    good.alpha,
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A function: channels, policy -> folder of a model that was trained so."""

    def save(channels, decoding):
        folder = tmp_path_factory.mktemp("model")
        torch.manual_seed(0)
        weights = models.create(
            "unet", in_channels=channels, num_classes=2, feature_scale=16
        ).state_dict()
        facts = {
            "variant": "unet", "options": {"feature_scale": 16}, "classes": ("a", "b"),
            "background": "a", "ignore_index": 255, "colours": dict.fromkeys("ab", "#000000"),
            "in_channels": channels,
            "preprocessing": Preprocessing(mean=(0.5,) * channels, std=(0.25,) * channels),
            "precision": "fp32", "parameters": 1, "best_step": 1, "decoding": decoding,
        }  # fmt: skip
        predict.save(folder, weights, facts)
        return folder

    return save


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_network_sees_the_same_pixels_on_every_path(folders, tmp_path, kind):
    rng = np.random.default_rng(0)
    for number in range(6):
        file = kind(rng, (int(rng.integers(8, 40)), int(rng.integers(8, 40))))
        predictor = predict.Predictor(folders(file.channels, file.decoding))
        assert predictor.card.decoding == file.decoding
        seen = []
        predictor._model.register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(inputs[0].clone())
        )
        path = tmp_path / f"{number}.file"
        path.write_bytes(file.content)
        predictor.predict(decode.image(path, file.channels, file.decoding))
        predictor.predict(path)
        scorer = Scorer(predictor, RequestLimits(threads=1, max_rows=1, max_pixels=10_000))
        del seen[2:]  # what the server tries itself with at its start
        (row,) = scorer.submit([base64.b64encode(file.content).decode()]).result()
        assert row["error"] is None
        from_array, from_path, served = seen
        assert torch.equal(from_array, from_path)
        assert torch.equal(from_array, served)


def test_a_card_of_before_the_setting_is_read_strictly(folders):
    folder = folders(1, STRICT.model_copy(update={"alpha": "white"}))
    card = folder / predict.CARD
    assert predict.read_card(folder).decoding.alpha == "white"
    text = card.read_text()
    start, end = text.index('  "decoding"'), text.index('  "preprocessing"')
    card.write_text(text[:start] + text[end:])
    assert predict.read_card(folder).decoding == STRICT
