"""A trained network leaves for other programs as what it is, pixels in and logits out."""

import json
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from maskmill.inference import export as exporting
from maskmill.inference.export import export_network
from maskmill.inference.predict import Predictor
from maskmill.samples.preprocessing import Preprocessing
from maskmill.system.errors import MaskmillError
from tests.tracking.conftest import save_model


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, seed=0)
    return Predictor(folder)


@pytest.fixture(scope="module")
def exported(predictor, tmp_path_factory):
    """The model as an ONNX file, which takes seconds to make."""
    path = tmp_path_factory.mktemp("exported") / "cells.onnx"
    assert export_network(predictor, path, "onnx") <= 1e-4
    return path


def test_an_onnx_file_takes_pixels_of_any_size_and_gives_the_predictors_mask(predictor, exported):
    session = onnxruntime.InferenceSession(exported)
    for height, width in ((33, 200), (77, 41)):
        image = np.random.default_rng(0).integers(0, 256, (height, width, 1), dtype=np.uint8)
        (logits,) = session.run(["logits"], {"pixels": image.transpose(2, 0, 1)[None]})
        assert logits.shape == (1, 2, height, width)
        # logits that are nearly equal
        assert (logits[0].argmax(0) == predictor.predict(image)).mean() > 0.999


def test_an_onnx_file_says_what_it_takes_and_what_its_classes_mean(predictor, exported):
    proto = onnx.load(exported)
    notes = {prop.key: json.loads(prop.value) for prop in proto.metadata_props}
    assert notes["classes"] == ["background", "cell"]
    assert notes["preprocessing"] == "inside: (x / 255 - mean) / std"
    assert notes["weights_sha256"] == predictor.card.sha256
    (given,) = proto.graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim] == [
        "batch",
        1,
        "height",
        "width",
    ]


def test_a_torch_program_carries_its_metadata(predictor, tmp_path):
    assert export_network(predictor, tmp_path / "cells.pt2", "torch") <= 1e-4
    # it is never loaded: it could hold pickles
    with zipfile.ZipFile(tmp_path / "cells.pt2") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(exporting.METADATA)]
        assert json.loads(archive.read(name))["classes"] == ["background", "cell"]


def test_standardisation_inside_is_that_of_the_training():
    preprocessing = Preprocessing(mean=(0.2, 0.5), std=(0.1, 0.3))
    pixels = torch.randint(0, 256, (1, 2, 4, 4), dtype=torch.uint8)
    model = exporting.FromPixels(nn.Identity(), preprocessing.mean, preprocessing.std)
    assert torch.equal(model(pixels), preprocessing.apply(pixels))


def test_an_export_that_disagrees_is_not_written(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(
        exporting, "as_torch", lambda program, notes: (b"", lambda x: torch.ones(1))
    )
    with pytest.raises(
        MaskmillError,
        match=r"at 97 x 64 px the exported logits differ from the network's by .*allowed",
    ):
        export_network(predictor, tmp_path / "cells.pt2", "torch")
    assert not (tmp_path / "cells.pt2").exists()


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    predictor, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        exporting, "find_spec", lambda name: None if name == "onnxscript" else object()
    )
    with pytest.raises(MaskmillError) as raised:
        export_network(predictor, tmp_path / "cells.onnx", "onnx")
    assert (
        str(raised.value)
        == "export: format onnx needs onnxscript; install: .venv/bin/pip install -c constraints.txt"
        " -e '.[onnx]', or take --format torch"
    )


def test_an_unknown_format_or_ending_says_what_is_allowed(predictor, tmp_path):
    with pytest.raises(MaskmillError, match=r"got format 'tflite'; allowed are onnx, torch"):
        export_network(predictor, tmp_path / "cells.tflite", "tflite")
    with pytest.raises(MaskmillError, match=r"cells\.pt; a file of format torch ends in \.pt2"):
        export_network(predictor, tmp_path / "cells.pt", "torch")
