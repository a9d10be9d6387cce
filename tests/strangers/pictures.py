"""Small pictures with shapes in them, and the ways in which people save them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

SIZE = (48, 64)  # height, width
COLOURS = ((0, 0, 0), (0, 128, 0), (128, 0, 0), (128, 128, 0), (128, 128, 128))  # in their order


class Scene(NamedTuple):
    """A photograph, and what is drawn on it."""

    image: np.ndarray  # (H, W, 3) uint8
    ids: np.ndarray  # (H, W) uint8, class ids from 0


Drawn = dict[str, Scene]  # id of the pair -> what its owner means
Form = Callable[[np.ndarray], np.ndarray]


def scene(seed: int, classes: int = 2, size: tuple[int, int] = SIZE) -> Scene:
    """A scene of its own for each seed; each class above 0 is an ellipse of its own."""
    rng = np.random.default_rng(1000 + seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    ids = np.zeros(size, np.uint8)
    for name in range(1, classes):
        middle = (rng.uniform(0.3, 0.7) * height, (name - rng.uniform(0.4, 0.6)) * width)
        radii = (rng.uniform(0.15, 0.3) * height, rng.uniform(0.2, 0.3) * width)
        across = (columns * (classes - 1) - middle[1]) / radii[1]
        ids[((rows - middle[0]) / radii[0]) ** 2 + across**2 < 1] = name
    coarse = rng.uniform(60, 190, (4, 4, 3))
    image = np.kron(coarse, np.ones((-(-height // 4), -(-width // 4), 1)))[:height, :width]
    colours = rng.permutation(256)[: 3 * classes].reshape(classes, 3)
    image = np.where(ids[..., None] > 0, 0.3 * image + 0.7 * colours[ids], image)
    image = image + rng.normal(0, 5, image.shape)
    return Scene(image.clip(0, 255).astype(np.uint8), ids)


def save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    """Write pixels in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in (".jpg", ".jpeg"):
        options = {"quality": 92, "format": "JPEG"} | options
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, **options)


def save_indexed(
    path: Path, indices: np.ndarray, palette: Sequence[tuple[int, int, int]] = COLOURS
) -> None:
    """Write a PNG with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("P", indices.shape[::-1])
    picture.frombytes(np.ascontiguousarray(indices, np.uint8).tobytes())
    flat = [level for colour in palette for level in colour]
    picture.putpalette(flat + [224, 224, 192] * (256 - len(palette)))
    picture.save(path)


def save_tiff(path: Path, pixels: np.ndarray, **tags: Any) -> None:
    """Write a TIFF of any type of numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, **tags)


def write(path: Path, content: str | bytes) -> None:
    """Write a file that is no picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def same(ids: np.ndarray) -> np.ndarray:
    """Ids as they are."""
    return ids


def times_255(ids: np.ndarray) -> np.ndarray:
    """0 and 255."""
    return ids * np.uint8(255)


def in_colours(ids: np.ndarray) -> np.ndarray:
    """(H, W, 3) colours."""
    colours: np.ndarray = np.array(COLOURS, np.uint8)[ids]
    return colours


def in_grey_rgb(ids: np.ndarray) -> np.ndarray:
    """The values three times, as editors save grey pictures."""
    return np.repeat(ids[..., None], 3, axis=2)


def opaque(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) with an alpha that says nothing."""
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def pairs(
    top: Path,
    count: int = 12,
    *,
    images: str = "images/{}.jpg",
    masks: str = "masks/{}.png",
    name: str = "img{:03d}",
    classes: int = 2,
    form: Form = same,
    first: int = 0,
) -> Drawn:
    """Images and masks at these paths below `top`; `form` makes stored values of ids."""
    drawn: Drawn = {}
    for seed in range(first, first + count):
        made = scene(seed, classes)
        called = name.format(seed)
        save(top / images.format(called), made.image)
        save(top / masks.format(called), form(made.ids))
        drawn[called] = made
    return drawn
