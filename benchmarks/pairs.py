"""Images and masks to measure on: generated, tiny, or those of a folder as PNG files."""

from pathlib import Path

import numpy as np

HEIGHT, WIDTH, CLASSES = 360, 480, 12
GENERATED, TINY_PX = 300, 16


def generate(folder: Path) -> Path:
    """Pictures that compress about as photographs do: blurred noise at three scales, and a little that is sharp."""
    from maskmill.data import decode

    rng = np.random.default_rng(0)
    for i in range(GENERATED):
        field = sum(_smooth(rng, side, 3) * weight for side, weight in ((4, 60), (24, 30), (96, 12)))
        noisy = field + rng.normal(128, 2.5, (HEIGHT, WIDTH, 3))
        decode.write_png(folder / "images" / f"{i:05d}.png", np.clip(noisy, 0, 255).astype(np.uint8))
        classes = np.clip(_smooth(rng, 8, 1) * 3 + CLASSES / 2, 0, CLASSES - 1).astype(np.uint8)
        decode.write_png(folder / "masks" / f"{i:05d}.png", classes)
    return folder


def _smooth(rng: np.random.Generator, side: int, channels: int) -> np.ndarray:
    import cv2

    return cv2.resize(rng.standard_normal((side, side, channels)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def write_tiny(folder: Path, count: int) -> Path:
    """`count` pairs of small files, each of its own content."""
    from maskmill.data import decode

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
    from maskmill import config
    from maskmill.data import decode

    def _read(path: Path) -> np.ndarray:
        return decode.image(path, 1 if decode.header(path, config.STRICT).colour == "grey" else 3)

    for side, read in (("images", _read), ("masks", decode.mask)):
        for path in sorted((source / side).iterdir()):
            decode.write_png(folder / side / f"{path.stem}.png", read(path))
    return folder
