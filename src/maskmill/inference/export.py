"""A trained network as a file for other programs: ONNX, or a program of torch.export.

The file takes pixels as they are stored, (N, C, H, W) uint8, 0..255: the standardisation of the
training is inside, so that nobody can forget it. It gives (N, K, H, W) float32 logits, computed in
fp32 whatever the training's precision, for any N, and any H and W from 33 px. What classes and
channels mean stands in its metadata.
"""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from maskmill.inference.predict import Card, Predictor
from maskmill.system import files
from maskmill.system.errors import MaskmillError

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
INPUT, OUTPUT = "pixels", "logits"
TOLERANCE = 1e-4  # of the largest logit, and at least this much
METADATA = "maskmill.json"  # in a torch program
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_EXAMPLE = (2, 64, 96)  # images, height, width; with one image the batch would be fixed at one
_CHECKS = ((1, 97, 64), (3, 48, 131))


class FromPixels(nn.Module):
    """Standardisation and network. Shape: (N, C, H, W) uint8 -> (N, K, H, W) float32 logits."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network((pixels.float() / 255 - self.mean) / self.std)  # type: ignore[no-any-return]


def export_network(predictor: Predictor, path: Path, form: str) -> float:
    """Write `path` in format `form`, once it agrees with the network at two other sizes.

    A torch program is compared before it is written, and is never loaded: such a file can hold
    pickles.

    Returns: the worst difference at these sizes.
    Raises: MaskmillError for an unknown format or another ending, where a package is missing, or
        they do not agree.
    """
    if form not in FORMATS:
        raise MaskmillError(f"export: got format {form!r}; allowed are {', '.join(FORMATS)}")
    if path.suffix != FORMATS[form]:
        raise MaskmillError(
            f"export: got the file {path}; a file of format {form} ends in {FORMATS[form]}"
        )
    if form == "onnx" and (missing := [name for name in _PACKAGES if find_spec(name) is None]):
        raise MaskmillError(
            f"export: format onnx needs {', '.join(missing)}; install: "
            ".venv/bin/pip install -c constraints.txt -e '.[onnx]', or take --format torch"
        )
    card = predictor.card
    network = copy.deepcopy(predictor.network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    model = FromPixels(network, card.preprocessing.mean, card.preprocessing.std).eval()
    make = as_onnx if form == "onnx" else as_torch
    content, run = make(trace_program(model, card.in_channels), export_metadata(card))
    difference = worst_difference(model, run, card.in_channels)
    files.write_bytes(path, content)
    return difference


def export_metadata(card: Card) -> dict[str, Any]:
    """What a program needs to make masks of the logits, and where they come from."""
    return {
        "classes": card.classes,
        "background": card.background,
        "colours": card.colours,
        "input": (
            f"(N, {card.in_channels}, H, W) uint8, 0..255,"
            f" {'RGB' if card.in_channels == 3 else 'as trained'}"
        ),
        "output": (
            f"(N, {len(card.classes)}, H, W) float32 logits; a pixel's class is the index of the"
            " largest"
        ),
        "preprocessing": "inside: (x / 255 - mean) / std",
        "variant": card.variant,
        "weights_sha256": card.sha256,
        "maskmill": version("maskmill"),
    }


Made = tuple[bytes, Callable[[Tensor], Tensor]]  # the file, and what it computes


def trace_program(model: nn.Module, in_channels: int) -> ExportedProgram:
    """The program of a network from pixels, with dynamic batch, height and width."""
    dynamic = torch.export.Dim.DYNAMIC
    axes = {INPUT: {0: dynamic, 2: dynamic, 3: dynamic}}
    with torch.no_grad():
        return torch.export.export(model, (_pixels(_EXAMPLE, in_channels),), dynamic_shapes=axes)


def as_onnx(program: ExportedProgram, notes: dict[str, Any]) -> Made:
    """The program as ONNX, run by ONNX Runtime."""
    import onnx
    import onnxruntime

    # it misses torchvision, which nothing here uses
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    axes = {INPUT: {0: "batch", 2: "height", 3: "width"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            dynamic_shapes=axes,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    assert made is not None
    proto = made.model_proto
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in notes.items()})
    content = proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(pixels: Tensor) -> Tensor:
        result: np.ndarray = session.run([OUTPUT], {INPUT: pixels.numpy()})[0]
        return torch.from_numpy(result)

    return content, run


def as_torch(program: ExportedProgram, notes: dict[str, Any]) -> Made:
    """The program as torch.export saves it, with `notes` as an extra file."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA: json.dumps(notes)})
    return buffer.getvalue(), program.module()


def worst_difference(model: nn.Module, run: Callable[[Tensor], Tensor], in_channels: int) -> float:
    """The worst difference between `model` and `run` at sizes that the export has not seen.

    Raises: MaskmillError above 1e-4 of the largest logit, or 1e-4.
    """
    worst = 0.0
    for shape in _CHECKS:
        pixels = _pixels(shape, in_channels)
        with torch.no_grad():
            wanted, got = model(pixels), run(pixels)
        difference = float((got - wanted).abs().max())
        allowed = TOLERANCE * max(1.0, float(wanted.abs().max()))
        if not difference <= allowed:
            raise MaskmillError(
                f"export: at {shape[1]} x {shape[2]} px the exported logits differ from the"
                f" network's by {difference:.2g}, allowed are {allowed:.2g}; nothing was written:"
                " please report the network's options"
            )
        worst = max(worst, difference)
    return worst


def _pixels(shape: tuple[int, int, int], in_channels: int) -> Tensor:
    count, height, width = shape
    generator = torch.Generator().manual_seed(0)
    return torch.randint(
        0, 256, (count, in_channels, height, width), dtype=torch.uint8, generator=generator
    )
