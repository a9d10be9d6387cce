"""Ways in which people store the classes of a mask."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.strangers.pictures import (
    COLOURS,
    SIZE,
    Drawn,
    Scene,
    in_colours,
    in_grey_rgb,
    pairs,
    save,
    save_indexed,
    save_tiff,
    scene,
    times_255,
    write,
)


def zero_one_and_zero_255(top: Path) -> Drawn:
    """Half of the masks are 0 and 1, half are 0 and 255: two people drew them."""
    return _in_turn(top, [lambda ids: ids, times_255])


def a_palette_per_file(top: Path) -> Drawn:
    """Indexed PNGs of equal colours, each with indices of its own."""
    drawn: Drawn = {}
    for seed in range(12):
        made, name = scene(seed, 3), f"{seed:03d}"
        order = [(0, 1, 2), (2, 0, 1), (1, 2, 0)][seed % 3]
        palette = [COLOURS[order.index(index)] for index in range(3)]
        save(top / f"images/{name}.jpg", made.image)
        save_indexed(top / f"masks/{name}.png", np.array(order, np.uint8)[made.ids], palette)
        drawn[name] = made
    return drawn


def ids_in_grey_rgb(top: Path) -> Drawn:
    """Ids as grey RGB, and their names."""
    write(top / "classes.txt", "background\nroad\ncar\n")
    return pairs(top, classes=3, form=in_grey_rgb)


def black_and_white_rgb(top: Path) -> Drawn:
    """Black and white as RGB."""
    return pairs(top, form=lambda ids: in_grey_rgb(times_255(ids)))


def grey_and_grey_rgb(top: Path) -> Drawn:
    """0 and 255, a third of the files as RGB."""
    return _in_turn(top, [lambda ids: in_grey_rgb(times_255(ids)), times_255, times_255])


def clear_background(top: Path) -> Drawn:
    """RGBA: colours, transparent where nothing is drawn."""
    return pairs(top, classes=3, form=lambda ids: np.dstack([in_colours(ids), times_255(ids > 0)]))


def whole_floats(top: Path) -> Drawn:
    """TIFF of float32 with whole numbers."""
    return _tiffs(top, lambda ids: ids.astype(np.float32))


def no_data(top: Path) -> Drawn:
    """TIFF of int16 with -1 where nobody looked."""
    drawn = _tiffs(top, lambda ids: _without_rim(ids.astype(np.int16), -1))
    return {name: Scene(made.image, _without_rim(made.ids, 255)) for name, made in drawn.items()}


def soft_colours(top: Path) -> Drawn:
    """Colours that were drawn with smoothing: mixed colours at the edges."""
    return pairs(top, classes=3, form=_smoothed)


def a_number_per_object(top: Path) -> Drawn:
    """uint16, 0 .. k, another k in each file."""
    drawn: Drawn = {}
    for seed in range(12):
        made, name = scene(seed, 4 + seed % 5), f"{seed:03d}"
        save(top / f"images/{name}.png", made.image)
        save(top / f"masks/{name}.png", made.ids.astype(np.uint16))
        drawn[name] = Scene(made.image, (made.ids > 0).astype(np.uint8))
    return drawn


def two_names_of_255(top: Path) -> Drawn:
    """0 and 255, and two names in an order."""
    write(top / "classes.txt", "background\npolyp\n")
    return pairs(top, form=times_255)


def one_name_of_255(top: Path) -> Drawn:
    """0 and 255, and the name of the object alone."""
    write(top / "classes.txt", "polyp\n")
    return pairs(top, form=times_255)


def diagnoses_beside(top: Path) -> Drawn:
    """0 and 255, and a table that says something of whole images."""
    write(top / "labels.csv", "image,label\nimg000,benign\nimg001,malignant\n")
    return pairs(top, form=times_255)


def labelme_names(top: Path) -> Drawn:
    """LabelMe's labels.txt, whose `__ignore__` is -1."""
    write(top / "labels.txt", "__ignore__\n_background_\nroad\ncar\n")
    return pairs(top, classes=3)


def jpeg_masks(top: Path) -> Drawn:
    """Black and white as JPEG; a list of boxes beside."""
    write(top / "boxes.json", "{}")
    return pairs(top, masks="masks/{}.jpg", form=lambda ids: in_grey_rgb(times_255(ids)))


def once_jpeg_masks(top: Path) -> Drawn:
    """PNG of what was a JPEG: 0 .. 7 and 248 .. 255."""
    return pairs(top, form=_through_jpeg)


def gif_masks(top: Path) -> Drawn:
    """Carvana: `_mask.gif` of two colours, sixteen views of a car."""
    drawn: Drawn = {}
    for car in range(4):
        for view in range(1, 4):
            made, name = scene(4 * car + view), f"{car:012x}_{view:02d}"
            save(top / f"train/{name}.jpg", made.image)
            path = top / f"train_masks/{name}_mask.gif"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(times_255(made.ids)).convert("1").save(path)
            drawn[name] = made
    return drawn


def fax_masks(top: Path) -> Drawn:
    """TIFF of one bit, compressed as a fax is."""
    drawn = pairs(top, masks="masks/{}.tif")
    for name, made in drawn.items():
        picture = Image.fromarray(times_255(made.ids)).convert("1")
        picture.save(top / f"masks/{name}.tif", compression="group4")
    return drawn


def float_arrays(top: Path) -> Drawn:
    """NPY of float32 with whole numbers."""
    drawn: Drawn = {}
    (top / "masks").mkdir()
    for seed in range(12):
        made, name = scene(seed), f"im{seed:03d}"
        save(top / f"images/{name}.jpg", made.image)
        np.save(top / f"masks/{name}.npy", made.ids.astype(np.float32))
        drawn[name] = made
    return drawn


def _in_turn(top: Path, forms: Sequence[Callable[[np.ndarray], np.ndarray]]) -> Drawn:
    drawn: Drawn = {}
    for seed in range(12):
        form = forms[seed % len(forms)]
        drawn |= pairs(top, 1, form=form, first=seed)
    return drawn


def _tiffs(top: Path, form: Callable[[np.ndarray], np.ndarray]) -> Drawn:
    drawn: Drawn = {}
    for seed in range(12):
        made, name = scene(seed), f"{seed}"
        save(top / f"images/{name}.jpg", made.image)
        save_tiff(top / f"masks/{name}.tif", form(made.ids))
        drawn[name] = made
    return drawn


def _without_rim(values: np.ndarray, nothing: int) -> np.ndarray:
    found = np.full_like(values, nothing)
    found[3:] = values[3:]
    return found


def _smoothed(ids: np.ndarray) -> np.ndarray:
    """Colours, each pixel at an edge halfway to its neighbour on the left."""
    colours = in_colours(ids).astype(np.float64)
    edge = np.diff(ids.astype(int), axis=1, prepend=ids[:, :1]) != 0
    mixed = 0.6 * colours + 0.4 * np.roll(colours, 1, axis=1)
    rows = np.linspace(0.9, 1.1, SIZE[0])[:, None, None]  # as many shades as a smoothed edge has
    return np.where(edge[..., None], mixed * rows, colours).round().clip(0, 255).astype(np.uint8)


def _through_jpeg(ids: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(times_255(ids)).save(buffer, "JPEG", quality=95)
    values = np.asarray(Image.open(buffer)).astype(int)
    return np.where(values < 128, values.clip(max=7), values.clip(min=248)).astype(np.uint8)
