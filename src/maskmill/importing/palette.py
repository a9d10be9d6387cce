"""Colours that stay apart for colour-blind readers, for any number of classes."""

import numpy as np

# Okabe and Ito, "Color Universal Design", 2008; black is for the background.
_FIRST = ("#0072B2", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#F0E442")
_BLACK = "#000000"
# Machado et al., "A physiologically-based model for simulation of color vision deficiency",
# IEEE TVCG 15(6), 2009: severity 1.0, on linear RGB.
_VIEWS = np.array(
    [
        np.eye(3),
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ]
)
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = _XYZ.sum(axis=1)


def choose_colours(classes: list[str], background: str | None) -> dict[str, str]:
    """Choose the colour #rrggbb of each class.

    It is black for the background, then Okabe and Ito's, then the one farthest from all before.
    """
    others = [name for name in classes if name != background]
    chosen = list(_FIRST)
    if len(others) > len(chosen):
        chosen += _farthest([_BLACK, *chosen], len(others) - len(chosen))
    made = dict(zip(others, chosen, strict=False)) | (
        {background: _BLACK} if background is not None else {}
    )
    return {name: made[name] for name in classes}


def colour_distance(a: str, b: str) -> float:
    """Return the CIELAB distance of two colours in the eye that tells them apart least.

    That eye is normal, deutan or protan.
    """
    seen = _colours_as_seen([a, b])
    return float(np.linalg.norm(seen[:, 0] - seen[:, 1], axis=-1).min())


def _farthest(given: list[str], count: int) -> list[str]:
    steps = range(0, 256, 25)
    candidates = [f"#{r:02X}{g:02X}{b:02X}" for r in steps for g in steps for b in steps]
    seen, known = _colours_as_seen(candidates), _colours_as_seen(given)
    nearest = np.stack([_lab_distance(seen, known[:, i : i + 1]) for i in range(len(given))]).min(
        axis=0
    )
    chosen = []
    for _ in range(count):
        best = int(nearest.argmax())
        chosen.append(candidates[best])
        nearest = np.minimum(nearest, _lab_distance(seen, seen[:, best : best + 1]))
        nearest[best] = -1
    return chosen


def _lab_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    least: np.ndarray = np.linalg.norm(a - b, axis=-1).min(axis=0)
    return least


def _colours_as_seen(codes: list[str]) -> np.ndarray:
    """(views, colours, 3) CIELAB."""
    rgb = np.array([list(bytes.fromhex(code[1:])) for code in codes]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    views = np.einsum("vij,nj->vni", _VIEWS, linear).clip(0, 1)
    xyz = views @ _XYZ.T / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab: np.ndarray = np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )
    return lab
