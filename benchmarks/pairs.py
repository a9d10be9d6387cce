"""Images and masks to measure on: generated, tiny, or those of a folder as PNG files."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from maskmill.settings.config import Data

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, CLASSES = 360, 480, 12
GENERATED, TINY_PX = 300, 16


def generate(folder: Path) -> Path:
    """Pictures that compress about as photographs do.

    They are blurred noise at three scales, and a little that is sharp.
    """
    from maskmill.images import decode

    rng = np.random.default_rng(0)
    for i in range(GENERATED):
        field = sum(
            _smooth(rng, side, 3) * weight for side, weight in ((4, 60), (24, 30), (96, 12))
        )
        noisy = field + rng.normal(128, 2.5, (HEIGHT, WIDTH, 3))
        decode.write_png(
            folder / "images" / f"{i:05d}.png", np.clip(noisy, 0, 255).astype(np.uint8)
        )
        classes = np.clip(_smooth(rng, 8, 1) * 3 + CLASSES / 2, 0, CLASSES - 1).astype(np.uint8)
        decode.write_png(folder / "masks" / f"{i:05d}.png", classes)
    return folder


def _smooth(rng: np.random.Generator, side: int, channels: int) -> np.ndarray:
    import cv2

    return cv2.resize(
        rng.standard_normal((side, side, channels)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )


def write_tiny(folder: Path, count: int) -> Path:
    """`count` pairs of small files, each of its own content."""
    from maskmill.images import decode

    rng = np.random.default_rng(0)
    for side in ("images", "masks"):
        (folder / side).mkdir(parents=True)
        for i in range(count):
            shape = (TINY_PX, TINY_PX, 3) if side == "images" else (TINY_PX, TINY_PX)
            pixels = rng.integers(0, 256 if side == "images" else CLASSES, shape, np.uint8)
            (folder / side / f"{i:06d}.png").write_bytes(decode.png_bytes(pixels))
    return folder


def as_png(source: Path, folder: Path) -> Path:
    """The same pictures as PNG files, whatever they were."""
    from maskmill.images import decode
    from maskmill.settings import config

    def _read(path: Path) -> np.ndarray:
        return decode.image(path, 1 if decode.header(path, config.STRICT).colour == "grey" else 3)

    for side, read in (("images", _read), ("masks", decode.mask)):
        for path in sorted((source / side).iterdir()):
            decode.write_png(folder / side / f"{path.stem}.png", read(path))
    return folder


def index_of(folder: Path) -> tuple[pd.DataFrame, "Data"]:
    """Index and data settings of images/ and masks/.

    The stored values are class ids; where they are large, each value is a class.
    """
    from maskmill.images import decode
    from maskmill.settings import config

    images, masks = (sorted((folder / side).iterdir()) for side in ("images", "masks"))
    index = pd.DataFrame({"id": [path.stem for path in images], "image": list(map(str, images))})
    index["mask"] = index["id"].map({path.stem: str(path) for path in masks})
    index = index.assign(group=index["id"], sequence=index["id"], order=0, split="")
    colour = decode.header(images[0], config.STRICT).colour != "grey"
    stored = {int(value) for path in masks[:20] for value in np.unique(decode.mask(path))}
    ids = max(stored) < CLASSES
    names = tuple(f"class{i}" for i in range(CLASSES if ids else len(stored)))
    values = config.load(ROOT / "params.yaml").data.model_dump() | {
        "classes": names, "background": None, "colours": dict.fromkeys(names, "#000000"),
        "in_channels": 3 if colour else 1,
        "values": None if ids else dict(zip(sorted(stored), names, strict=True)),
    }  # fmt: skip
    return index, config.Data(**values)
