import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from maskmill import models
from maskmill.images import decode
from maskmill.inference import predict
from maskmill.inference.predict import Predictor
from maskmill.system import files
from maskmill.system.errors import MaskmillError


@pytest.fixture
def save(save_model):
    """A function that saves a small trained-looking model and gives its folder."""
    return save_model


def image(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_the_mask_is_the_class_of_the_highest_logit(save):
    predictor, x = Predictor(save()), image(40, 56)
    logits = predictor.logits(x)
    assert (logits.shape, logits.dtype) == ((4, 40, 56), torch.float32)
    mask = predictor.predict(x)
    assert np.array_equal(mask, logits.argmax(0).numpy())
    assert mask.dtype == np.uint8
    assert len(np.unique(mask)) > 1


def test_the_logits_are_those_of_the_network_on_standardised_pixels(save):
    predictor, x = Predictor(save()), image(32, 32)
    torch.manual_seed(0)
    model = models.create("unet", in_channels=1, num_classes=4, feature_scale=16).eval()
    with torch.no_grad():
        expected = model((torch.from_numpy(x)[None, None].float() / 255 - 0.5) / 0.25)[0]
    assert torch.allclose(predictor.logits(x), expected, atol=1e-4)


def test_an_image_may_be_flat_have_a_channel_or_be_a_file(save, tmp_path):
    predictor, x = Predictor(save()), image(33, 47)
    decode.write_png(tmp_path / "x.png", x)
    mask = predictor.predict(x)
    for given in (x[..., None], tmp_path / "x.png", str(tmp_path / "x.png"), x[:, ::-1][:, ::-1]):
        assert np.array_equal(predictor.predict(given), mask)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (33, 47), (64, 64)], ids=str)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_mask_has_the_size_of_the_image(save, size, precision):
    assert Predictor(save(precision=precision)).predict(image(*size)).shape == size


def test_colour_images_are_taken_where_the_model_has_three_channels(save):
    predictor = Predictor(save(channels=3))
    assert predictor.predict(image(20, 30, 3)).shape == (20, 30)
    with pytest.raises(MaskmillError, match=r"takes \(H, W, 3\) uint8, 0\.\.255$"):
        predictor.predict(image(20, 30))


def test_eight_threads_share_a_predictor(save):
    predictor = Predictor(save())
    images = [image(40, 48, seed=i) for i in range(16)]
    expected = [predictor.predict(x) for x in images]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(predictor.predict, images))
            assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "wrong",
    [
        image(4, 4, 3),
        image(4),
        image(1, 1, 4, 4),
        image(4, 4).astype(float),
        image(4, 4) > 9,
        image(0, 4),
    ],
    ids=["channels", "1 axis", "4 axes", "float", "bool", "empty"],
)
def test_another_array_is_refused_with_what_was_got_and_what_is_taken(save, wrong):
    with pytest.raises(MaskmillError) as raised:
        Predictor(save()).predict(wrong)
    assert (
        str(raised.value)
        == f"predict: got an array of shape {wrong.shape} and dtype {wrong.dtype}; "
        "this model takes (H, W, 1) uint8, 0..255, or (H, W)"
    )


def test_a_file_that_is_no_image_is_named(save, tmp_path):
    predictor = Predictor(save())
    with pytest.raises(MaskmillError, match=r"x\.png: no such file"):
        predictor.predict(tmp_path / "x.png")


def test_damaged_weights_are_refused_with_the_way_to_mend_them(save):
    folder = save()
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(MaskmillError) as raised:
        Predictor(folder)
    text = str(raised.value)
    assert text.startswith(f"{weights}: its sha256 is {files.sha256(weights)[:16]}..")
    assert "damaged or exchanged; get it again with `dvc checkout` or from the registry" in text


def test_missing_weights_are_named(save):
    folder = save()
    (folder / "model.safetensors").unlink()
    with pytest.raises(MaskmillError, match=r"model\.safetensors"):
        Predictor(folder)


def test_a_folder_without_a_model_says_how_to_get_one(tmp_path):
    with pytest.raises(
        MaskmillError, match=r"model\.json: no such file; train the variant first: `make pipeline`"
    ):
        Predictor(tmp_path)


def test_a_damaged_card_is_named(save):
    folder = save()
    card = json.loads((folder / "model.json").read_text())
    del card["classes"]
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(MaskmillError, match=r"model\.json: not a model card: [^\n]*\nclasses"):
        Predictor(folder)


def test_the_card_comes_back_as_it_was_written(save):
    folder = save()
    card = predict.read_card(folder)
    assert card.classes == ("a", "b", "c", "d")
    assert card.sha256 == files.sha256(folder / "model.safetensors")
