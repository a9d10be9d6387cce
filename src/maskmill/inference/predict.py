"""Store a trained model on disk, and load it as a predictor.

The predictor is the same in evaluation, on the command line and served.
"""

import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from maskmill import models
from maskmill.images import decode
from maskmill.images.rows import ArrayRows, PixelRows, open_rows
from maskmill.inference.tiling import Block, blended_blocks, log_of
from maskmill.inference.views import AS_IT_IS, mean_probabilities, views
from maskmill.samples.preprocessing import Preprocessing
from maskmill.settings.config import INFERENCE, STRICT, Decoding, Inference
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

    def __init__(self, folder: Path, device: str = "cpu", settings: Inference = INFERENCE) -> None:
        self.card, self.settings = read_card(folder), settings
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

    def with_settings(self, settings: Inference) -> "Predictor":
        """The same weights, applied by other settings (`inference` in params.yaml)."""
        made = copy.copy(self)
        made.settings = settings
        return made

    def predict(self, image: np.ndarray | Path | str) -> np.ndarray:
        """The mask of one image, at its size; of a large one, in bounded memory beside it.

        Shape: (H, W) or (H, W, C) uint8, or an image file -> (H, W) uint8 class ids.
        Raises: MaskmillError for another shape, dtype or number of channels, or a file that is no
            image.
        """
        pixels = self.rows(image)
        mask = np.empty((pixels.height, pixels.width), np.uint8)
        for block in self.blocks(pixels):
            height, width = block.logits.shape[1:]
            mask[block.y : block.y + height, block.x : block.x + width] = mask_of(block.logits)
        return mask

    def logits(self, image: np.ndarray | Path | str) -> Tensor:
        """(K, H, W) float32 logits of one image, given as for `predict`.

        Of a tiled image, or one seen in several views, they are logarithms of the probabilities.
        """
        pixels = self.rows(image)
        if not self.is_tiled(pixels):
            return next(self.blocks(pixels)).logits
        volume = torch.empty(len(self.card.classes), pixels.height, pixels.width)
        for block in self.blocks(pixels):
            height, width = block.logits.shape[1:]
            volume[:, block.y : block.y + height, block.x : block.x + width] = block.logits
        return volume

    def rows(self, image: np.ndarray | Path | str, page: int | None = None) -> PixelRows:
        """The pixels of an image or of a file, which is read in part where it is large.

        Raises: as `predict`.
        """
        if isinstance(image, Path | str):
            try:
                return open_rows(Path(image), self.card.in_channels, self.card.decoding, page)
            except decode.DecodeError as error:
                raise with_origin(error) from None
        return ArrayRows(self._check(image))

    def is_tiled(self, pixels: PixelRows) -> bool:
        """Whether an image is predicted in tiles."""
        return pixels.height * pixels.width > self.settings.whole_px

    def blocks(self, pixels: PixelRows, first_row: int = 0) -> Iterator[Block]:
        """The image as finished blocks of logits: one of all, or one for each tile.

        `first_row`: the row of tiles to begin with.
        """
        if self.is_tiled(pixels):
            run = self._tile_probabilities
            yield from blended_blocks(run, pixels, self.settings, first_row)
            return
        x, ways = self._standardised(pixels.rows(0, pixels.height)), views(self.settings)
        with torch.inference_mode():
            if ways == [AS_IT_IS]:
                yield Block(0, 0, (0, 0), self._run(x)[0].float())
            else:
                yield Block(0, 0, (0, 0), log_of(mean_probabilities(self._run, x, ways)[0]))

    def _tile_probabilities(self, tile: np.ndarray) -> Tensor:
        with torch.no_grad():  # what comes out is changed in place, which inference mode forbids
            seen = mean_probabilities(self._run, self._standardised(tile), views(self.settings))
            return seen[0].cpu()

    def _standardised(self, pixels: np.ndarray) -> Tensor:
        x = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].to(self.device)
        return self.card.preprocessing.apply(x)

    def _run(self, x: Tensor) -> Tensor:
        """(N, C, H, W) standardised -> (N, K, H, W) logits, in the precision of the training."""
        x = x.contiguous(memory_format=torch.channels_last)
        bf16 = self.card.precision == "bf16"
        with torch.autocast(self.device, torch.bfloat16, enabled=bf16):
            logits: Tensor = self._model(x)
        return logits

    def _check(self, image: np.ndarray) -> np.ndarray:
        channels = self.card.in_channels
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


def mask_of(logits: Tensor) -> np.ndarray:
    """(K, H, W) logits -> (H, W) uint8 ids of the most likely classes."""
    mask: np.ndarray = logits.max(0).indices.to(torch.uint8).cpu().numpy()
    return mask


def with_origin(error: decode.DecodeError) -> decode.DecodeError:
    """The error, with word of whose settings refused the file where settings did."""
    if "data." not in str(error) or CARD in str(error):
        return error
    return decode.DecodeError(
        f"{error}; what counts is the model's card, {CARD}, which keeps these settings as they were"
        " in its training: after a change of params.yaml, train and promote a model by it, or name"
        " another by --model"
    )
