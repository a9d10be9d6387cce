import base64
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

from maskmill import serving
from maskmill.images import decode
from maskmill.inference import predict
from maskmill.system.errors import MaskmillError


@pytest.fixture
def make(folder):
    """A function that loads the model as MLflow does; gives (images) -> table."""
    from maskmill.serving.model import SegmentationModel

    def load():
        model = SegmentationModel()
        model.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
        return lambda images: model.predict(None, pd.DataFrame({"image": images}))

    return load


@pytest.fixture
def served(make):
    return make()


def text(content):
    return base64.b64encode(content).decode()


GOOD = text(decode.png_bytes(np.zeros((4, 4), np.uint8)))


def test_each_row_is_answered_with_its_mask_at_its_size(served, folder):
    rng, predictor = np.random.default_rng(0), predict.Predictor(folder)
    images = [rng.integers(0, 256, size, np.uint8) for size in [(20, 30), (33, 17)]]
    answer = served([text(decode.png_bytes(image)) for image in images])
    for image, mask in zip(images, answer["mask"], strict=True):
        assert np.array_equal(decode.mask(base64.b64decode(mask)), predictor.predict(image))
    assert answer["weights_sha256"].tolist() == [predictor.card.sha256] * 2
    assert answer["error"].tolist() == [None, None]


def test_the_example_is_answered(served):
    (mask,) = served(serving.input_example(1)["image"])["mask"]
    assert decode.mask(base64.b64decode(mask)).shape == (64, 64)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("not base64!", "row 1: column image is not base64"),
        ("é", "row 1: column image is not base64"),
        ("", "row 1: an empty file, of 0 bytes"),
        (text(b"no image"), "row 1: not an image by its first bytes"),
        (
            text(decode.png_bytes(np.zeros((4, 4, 3), np.uint8))),
            "row 1: an RGB image of uint8; data.in_channels is 1",
        ),
        (text(decode.png_bytes(np.zeros((64, 64), np.uint8))[:-30]), "row 1: broken or unreadable"),
        (None, "row 1: column image: got a value of type"),
        (3, "row 1: column image: got a value of type int; allowed is a base64 string"),
    ],
)
def test_a_row_that_is_no_image_says_so_and_the_others_are_answered(served, wrong, said):
    answer = served([GOOD, wrong, GOOD])
    assert answer["error"][1].startswith(said)
    assert answer["mask"][1] is None
    assert answer["mask"][0] == answer["mask"][2] is not None
    assert answer["error"][[0, 2]].tolist() == [None, None]


def test_limits_come_from_the_environment(make, monkeypatch):
    monkeypatch.setenv("MASKMILL_MAX_ROWS", "2")
    monkeypatch.setenv("MASKMILL_MAX_PIXELS", "15")
    limited = make()
    assert (
        limited([GOOD])["error"][0]
        == "row 0: 4 x 4 px; at most 15 px are read (params.yaml: services.max_pixels); scale it"
        " down"
    )
    assert (
        limited([GOOD] * 3)["error"].tolist()
        == [
            "got 3 rows; at most 2 are answered in one request (services.max_rows in params.yaml); "
            "send the others in further requests"
        ]
        * 3
    )


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", ""])
def test_a_limit_of_another_form_is_refused(make, monkeypatch, wrong):
    monkeypatch.setenv("MASKMILL_MAX_ROWS", wrong)
    with pytest.raises(
        MaskmillError,
        match=f"MASKMILL_MAX_ROWS in the environment: got '{wrong}'; allowed is a whole",
    ):
        make()


def test_how_images_are_predicted_comes_from_the_environment(make, monkeypatch):
    monkeypatch.setenv(
        "MASKMILL_INFERENCE", '{"whole_px": 4096, "tile_px": 64, "overlap_px": 32, "scales": [1]}'
    )
    seen, predictor = [], predict.Predictor
    blocks = predictor.blocks
    monkeypatch.setattr(
        predictor, "blocks", lambda *a: (seen.append(b.tile) or b for b in blocks(*a))
    )
    image = base64.b64encode(decode.png_bytes(np.zeros((100, 70), np.uint8))).decode()
    assert make()([image])["error"].tolist() == [None]
    assert max(seen) == (2, 1)
    monkeypatch.setenv("MASKMILL_INFERENCE", '{"tile": 64}')
    with pytest.raises(MaskmillError, match=r"MASKMILL_INFERENCE in the environment: got .* JSON"):
        make()


def test_an_unexpected_error_becomes_500_without_a_stack_trace(served, monkeypatch, caplog):
    monkeypatch.setattr(predict.Predictor, "predict", lambda *_: 1 / 0)
    with pytest.raises(MlflowException) as raised:
        served([GOOD])
    assert raised.value.get_http_status_code() == 500
    assert "Traceback" not in raised.value.serialize_as_json()
    request = raised.value.message.split()[6]
    assert f"request {request} failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_requirements_pin_releases_that_an_index_has():
    pinned = dict(line.split("==") for line in serving.requirements())
    assert pinned["torch"] == torch.__version__.split("+")[0]
    assert all("+" not in version for version in pinned.values())


def test_requirements_name_what_the_decoder_and_the_card_import():
    assert {"imagecodecs", "pillow", "ruamel.yaml"} <= {
        line.split("==")[0] for line in serving.requirements()
    }


def test_a_served_model_needs_no_library_beside_its_requirements():
    code = (
        "import sys\nfor name in ('cv2', 'pyarrow', 'sklearn', 'great_expectations',"
        " 'albumentations', 'dvc'):\n    sys.modules[name] = None\nimport"
        " maskmill.inference.predict, maskmill.serving.scoring\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
