"""Predict a list of images into a folder, each once, whatever ends a run before its time."""

import contextlib
import hashlib
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from maskmill.images import png_file
from maskmill.images.decode import DecodeError
from maskmill.images.rows import PixelRows
from maskmill.inference.batch import geotiff
from maskmill.inference.batch.canvas import Canvas, fill, parts_of
from maskmill.inference.batch.inputs import Input
from maskmill.inference.batch.journal import Journal, open_journal
from maskmill.inference.predict import Predictor, with_origin
from maskmill.inference.tiling import grid
from maskmill.system import files
from maskmill.system.errors import MaskmillError

_WORK = ".work"  # below the folder of the results: pixels of large images that are not done
Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Model:
    """What predicts, and what is said of it in the results."""

    predictor: Predictor
    name: str  # "icbm152 version 3"
    data_hash: str  # of the data that it was trained on; "" where it is not known

    def text(self) -> dict[str, str]:
        """For the metadata of the results."""
        card = self.predictor.card
        return {
            "maskmill.model": self.name,
            "maskmill.weights_sha256": card.sha256,
            "maskmill.data_hash": self.data_hash,
            "maskmill.classes": ", ".join(f"{i} {name}" for i, name in enumerate(card.classes)),
            "maskmill.inference": self.predictor.settings.model_dump_json(),
        }


@dataclass(frozen=True)
class Wanted:
    """What is written of each image."""

    form: str = "auto"  # of masks: png, tif; auto: tif where the image has a place on the Earth
    confidence: str = ""  # margin, entropy; "" for none
    draw: Draw | None = None  # (H, W, C) image, (H, W) mask -> (H, W, 3) overlay; None: none


@dataclass
class Outcome:
    """What became of the images."""

    predicted: int = 0
    skipped: int = 0  # were predicted before
    failed: dict[str, str] = field(default_factory=dict)  # image -> why
    without_place: int = 0  # GeoTIFFs whose masks are PNG, since rasterio is missing
    last: dict[str, Any] = field(default_factory=dict)  # of the journal, of the last image


def predict_all(inputs: Sequence[Input], out: Path, model: Model, wanted: Wanted) -> Outcome:
    """Predict the images that the journal of `out` does not have.

    An image that cannot be read is noted, and the others are predicted.

    Raises: MaskmillError where another process writes to `out`.
    """
    outcome = Outcome()
    siblings = Counter((image.folder, image.stem) for image in inputs)
    bar = tqdm(inputs, "predict", unit="image", disable=None, leave=False, smoothing=0.1)
    with open_journal(out) as journal, bar:
        for image in bar:
            try:
                task = _task(image, model, wanted)
                if (known := journal.find_done(image.key, task)) is not None:
                    outcome.skipped, outcome.last = outcome.skipped + 1, known.facts
                    continue
                names = _names(image, siblings[image.folder, image.stem] > 1)
                _predict(image, task, names, out, journal, model, wanted, outcome)
                outcome.predicted += 1
            except files.DiskFullError:
                raise
            except MaskmillError as error:
                said = str(with_origin(error) if isinstance(error, DecodeError) else error)
                outcome.failed[image.key] = said
                journal.note_failed(image.key, said)
        with contextlib.suppress(OSError):  # another image's pixels are there
            (out / _WORK).rmdir()
    return outcome


def _task(image: Input, model: Model, wanted: Wanted) -> dict[str, Any]:
    """What a result depends on; equal, so is the result."""
    try:
        status = image.path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise MaskmillError(f"{image.path}: no such file") from None
    return {
        "bytes": status.st_size, "mtime_ns": status.st_mtime_ns,
        "model": model.name, "weights_sha256": model.predictor.card.sha256,
        "inference": model.predictor.settings.model_dump(mode="json"),
        "format": wanted.form, "confidence": wanted.confidence, "overlay": wanted.draw is not None,
    }  # fmt: skip


def _names(image: Input, has_sibling: bool) -> Iterator[str]:
    """Names for the results, best first: x; x_jpg where there is an x.png, too; x_2, x_3, .."""
    ending = image.path.suffix.lstrip(".").lower()
    first = [image.stem, *([f"{image.stem}_{ending}"] if has_sibling and ending else [])]
    later = (f"{image.stem}_{number}" for number in itertools.count(2))
    return (str(image.folder / name) for name in itertools.chain(first, later))


def _predict(
    image: Input, task: dict[str, Any], names: Iterator[str], out: Path, journal: Journal,
    model: Model, wanted: Wanted, outcome: Outcome,
) -> None:  # fmt: skip
    began = time.monotonic()
    pixels = model.predictor.rows(image.path, image.page)
    progress = journal.begin(image.key, task, names)
    tiled = model.predictor.is_tiled(pixels)
    place = _workplace(image, out)
    if not progress.rows:  # what lies there is of an earlier version of the image, or of the model
        shutil.rmtree(place, ignore_errors=True)
    channels = model.predictor.card.in_channels
    canvas = Canvas(
        pixels, channels, with_confidence=bool(wanted.confidence),
        workplace=place if tiled else None,
    )  # fmt: skip
    if canvas.is_new and progress.rows:
        journal.forget_tiles(image.key)
    rows, columns = grid(pixels.height, pixels.width, model.predictor.settings)
    tiles = len(rows) * len(columns) if tiled else 1
    with tqdm(
        total=tiles, desc=image.path.name, unit="tile", initial=progress.rows * len(columns),
        disable=None if tiled else True, leave=False,
    ) as bar:  # fmt: skip

        def note(saved: list[dict[str, int]]) -> None:
            journal.note_tiles(image.key, saved)
            bar.update(len(saved))

        try:
            fill(canvas, model.predictor, pixels, wanted.confidence, progress.rows, note)
        except DecodeError:
            canvas.close()  # a file that is damaged in its middle leaves nothing behind
            raise
    results = _write(image, out, progress.name, canvas, pixels, model, wanted, outcome)
    classes = model.predictor.card.classes
    facts = {
        "height": pixels.height, "width": pixels.width, "tiles": tiles,
        "shares": dict(zip(classes, canvas.shares(len(classes)), strict=True)),
        "seconds": round(time.monotonic() - began, 3),
    }  # fmt: skip
    journal.note_done(image.key, results, facts)
    canvas.close()
    outcome.last = {"results": results, **facts}


def _workplace(image: Input, out: Path) -> Path:
    """Where the pixels of a large image lie until it is done."""
    key = image.key.encode(errors="surrogateescape")
    return out / _WORK / hashlib.sha256(key).hexdigest()[:16]


def _write(
    image: Input, out: Path, name: str, canvas: Canvas, pixels: PixelRows,
    model: Model, wanted: Wanted, outcome: Outcome,
) -> list[str]:  # fmt: skip
    """The names of the files that were written, below `out`; the mask's is the first."""
    text = model.text()
    has_place = pixels.has_place and image.page is None
    as_tif = wanted.form == "tif" or (
        wanted.form == "auto" and has_place and geotiff.is_installed()
    )
    outcome.without_place += wanted.form == "auto" and has_place and not as_tif
    mask = f"{name}_mask{'.tif' if as_tif else '.png'}"
    if as_tif:
        geotiff.write_mask(
            out / mask, canvas.mask, image.path, nodata=model.predictor.card.ignore_index,
            text=text,
        )  # fmt: skip
    else:
        _write_png(out / mask, canvas.mask, text)
    results = [mask]
    if canvas.confidence is not None:
        results.append(f"{name}_confidence.png")
        _write_png(out / results[-1], canvas.confidence, text | {"maskmill.map": wanted.confidence})
    if wanted.draw is not None:
        results.append(f"{name}_overlay.png")
        shown = wanted.draw(np.asarray(canvas.preview), canvas.preview_mask())
        _write_png(out / results[-1], shown, text)
    return results


def _write_png(path: Path, pixels: np.ndarray, text: dict[str, str]) -> None:
    with files.open_atomic(path) as file:
        bands = 1 if pixels.ndim == 2 else pixels.shape[2]
        png_file.write_rows(file, pixels.shape[:2], bands, parts_of(pixels), text)
