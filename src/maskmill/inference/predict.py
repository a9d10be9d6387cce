"""Store a trained model on disk, and load it as a predictor.

The predictor is the same in evaluation, on the command line and served.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from maskmill import models
from maskmill.images import decode
from maskmill.samples.preprocessing import Preprocessing
from maskmill.settings.config import STRICT, Decoding
from maskmill.system import files
from maskmill.system.errors import MaskmillError

WEIGHTS, CARD = "model.safetensors", "model.json"


class Card(BaseModel):
    """model.json: all that is needed to use the weights, and their digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str
    network: str = ""  # cards of before the setting hold none: the variant's name was its network's
    options: dict[str, Any]
    classes: tuple[str, ...]
    background: str | None
    ignore_index: int
    colours: dict[str, str]
    in_channels: int
    # how files became pixels in training; cards of before the setting hold none
    decoding: Decoding = STRICT
    preprocessing: Preprocessing
    precision: str  # fp32 or bf16: what it was trained, evaluated and is served in
    parameters: int
    best_step: int
    sha256: str  # of the weights file


def save(folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> Card:
    """Write weights and card.

    The card comes last, so that it never speaks of weights that are not there.
    """
    content = safetensors.torch.save({name: value.contiguous() for name, value in weights.items()})
    files.write_bytes(folder / WEIGHTS, content)
    card = Card(**facts, sha256=hashlib.sha256(content).hexdigest())
    files.write_text(folder / CARD, card.model_dump_json(indent=2) + "\n")
    return card


def read_card(folder: Path) -> Card:
    """The card in `folder`. Raises: MaskmillError when there is none or it is damaged."""
    path = folder / CARD
    try:
        return Card.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise MaskmillError(
            f"{path}: no such file; train the variant first: `make pipeline`"
        ) from None
    except ValidationError as error:
        raise MaskmillError(f"{path}: not a model card: {error}") from None


class Predictor:
    """Weights ready to use. Threads may share one: nothing in it changes.

    Raises: MaskmillError when the weights are not those that the card speaks of.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.card = read_card(folder)
        if not (folder / WEIGHTS).exists():
            raise MaskmillError(
                f"{folder / WEIGHTS}: no such file beside its {CARD};"
                " get it back with `dvc checkout`"
            )
        digest = files.sha256(folder / WEIGHTS)
        if digest != self.card.sha256:
            raise MaskmillError(
                f"{folder / WEIGHTS}: its sha256 is {digest[:16]}.., {CARD} says"
                f" {self.card.sha256[:16]}..; the file is damaged or exchanged; get it again with"
                " `dvc checkout` or from the registry"
            )
        card = self.card
        model = models.create_from(
            card.network or card.variant, card.options, f"{folder / CARD}: options",
            in_channels=card.in_channels, num_classes=len(card.classes),
        )  # fmt: skip
        model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
        self._model: nn.Module = model.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device

    @property
    def network(self) -> nn.Module:
        """Return the network in evaluation mode.

        Shape: standardised (N, C, H, W) float32 -> (N, K, H, W) logits.
        """
        return self._model

    def predict(self, image: np.ndarray | Path | str) -> np.ndarray:
        """The mask of one image, at its size.

        Shape: (H, W) or (H, W, C) uint8, or an image file -> (H, W) uint8 class ids.
        Raises: MaskmillError for another shape, dtype or number of channels, or a file that is no
            image.
        """
        mask: np.ndarray = self.logits(image).max(0).indices.to(torch.uint8).cpu().numpy()
        return mask

    def logits(self, image: np.ndarray | Path | str) -> Tensor:
        """(K, H, W) float32 logits of one image, given as for `predict`."""
        pixels = self._check(image)
        x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].to(self.device)
        x = self.card.preprocessing.apply(x).contiguous(memory_format=torch.channels_last)
        bf16 = self.card.precision == "bf16"
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=bf16):
            logits: Tensor = self._model(x)[0].float()
        return logits

    def _check(self, image: np.ndarray | Path | str) -> np.ndarray:
        channels = self.card.in_channels
        if isinstance(image, Path | str):
            return decode.image(Path(image), channels, self.card.decoding)
        pixels = image[..., None] if image.ndim == 2 else image
        if (
            pixels.dtype != np.uint8
            or pixels.ndim != 3
            or pixels.shape[2] != channels
            or 0 in pixels.shape
        ):
            raise MaskmillError(
                f"predict: got an array of shape {image.shape} and dtype {image.dtype}; this model"
                f" takes (H, W, {channels}) uint8, 0..255{', or (H, W)' if channels == 1 else ''}"
            )
        return pixels
