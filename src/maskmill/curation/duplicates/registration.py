"""Whether two images show the same picture: laid over each other, then compared in their details.

Neighbouring slices of a brain and frames of a video agree in the large; copies agree in noise and
texture, too, and they do so everywhere in the picture.
"""

import cv2
import numpy as np

from maskmill.curation.duplicates.views import apply_map

SAME_AS_THUMBNAILS = 0.94  # least agreement on 64 px for a closer look
# least agreement of two copies: of fine details, of coarser ones in every block
SAME, SAME_EVERYWHERE = 0.91, 0.955
# on fewer pixels noise is averaged out and more must agree, by .001 a pixel
SURE_PX, SAME_SMALL = 128, 0.985
FINE_PX, LEAST_PX = 256, 32
_ROUNDS_SMALL, _ROUNDS_FINE = 15, 12  # of the alignment
_FINE, _COARSE = (0.7, 2.5), (1.5, 5.0)  # two blurs, px, whose difference is detail
_BLOCKS = 4
_BORDER = 1 / 32  # of a side, which warping blurs
_FAINT = 0.05  # share of the mean energy below which a block says nothing


def register_thumbnails(
    source: np.ndarray, template: np.ndarray, to_source: np.ndarray, to_template: np.ndarray
) -> np.ndarray | None:
    """Refine on thumbnails the map of a view to the source; return None where the two differ.

    `to_source` and `to_template` say where the view lies in either, (3, 3), places 0..1.
    """
    shown = apply_map(template, to_template, len(template))
    moved, found = _fit(source, shown, to_source, _ROUNDS_SMALL)
    return moved if _detail_correlation(found, shown) >= SAME_AS_THUMBNAILS else None


def compare_closely(
    source: np.ndarray, template: np.ndarray, to_source: np.ndarray, to_template: np.ndarray
) -> tuple[np.ndarray, float] | None:
    """Refine the map on more pixels, and measure how well the two agree, 0..1.

    Returns: both, or None where the two differ.
    """
    side = max(LEAST_PX, round(len(template) * float(np.hypot(*to_template[:2, 0]))))
    shown = apply_map(template, to_template, side)
    moved, found = _fit(source, shown, to_source, _ROUNDS_FINE)
    whole, worst = _detail_correlation(found, shown), _worst_block_correlation(found, shown)
    least = min(SAME_SMALL, SAME + 0.001 * max(0, SURE_PX - side))
    if whole < least or worst < SAME_EVERYWHERE:
        return None
    return moved, min(1.0, whole, worst)


def _fit(
    source: np.ndarray, template: np.ndarray, start: np.ndarray, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """The map, refined from `start`, and what it shows of the source.

    It is `start` itself where the alignment fails or strays, which the last bits of a sum decide on
    some images.
    """
    maps = [start, _align(source, template, start, iterations)]
    shown = [
        (moved, apply_map(source, moved, len(template))) for moved in maps if moved is not None
    ]
    return max(shown, key=lambda view: _detail_correlation(view[1], template))


def _align(
    source: np.ndarray, template: np.ndarray, move: np.ndarray, iterations: int
) -> np.ndarray | None:
    """Refine `move`, the map from the template's to the source's places, (3, 3) in 0..1.

    Returns: the map, or None where the alignment fails.

    Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient
    maximization", IEEE TPAMI 30(10), 2008: blind to brightness and contrast.
    """
    height, width = source.shape
    side = len(template)
    to_source = np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1]])
    to_template = np.array([[side, 0, -0.5], [0, side, -0.5], [0, 0, 1]])
    start = (to_source @ move @ np.linalg.inv(to_template))[:2].astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, 1e-4)
    try:
        _, warp = cv2.findTransformECC(
            template, source, start, cv2.MOTION_AFFINE, criteria, None, 3
        )
    except cv2.error:  # its way to say that the two do not converge: they are no copies
        return None
    moved = np.asarray(np.linalg.inv(to_source) @ np.vstack([warp, [0, 0, 1]]) @ to_template)
    return moved if np.isfinite(moved).all() else None


def _detail_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of fine details, -1..1."""
    return _correlation(_details(a, _FINE), _details(b, _FINE))


def _worst_block_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of coarser details in the block where it is least, of those that have any."""
    blocks = [_blocks(_details(pixels, _COARSE)) for pixels in (a, b)]
    energy = (blocks[0] ** 2 + blocks[1] ** 2).mean(axis=1)
    told = energy >= _FAINT * energy.mean()
    return min(_correlation(x, y) for x, y in zip(blocks[0][told], blocks[1][told], strict=True))


def _details(pixels: np.ndarray, blurs: tuple[float, float]) -> np.ndarray:
    """What two blurs differ in, without the border."""
    grey = pixels.astype(np.float32)
    band = cv2.GaussianBlur(grey, (0, 0), blurs[0]) - cv2.GaussianBlur(grey, (0, 0), blurs[1])
    border = max(2, int(len(band) * _BORDER))
    return np.asarray(band[border:-border, border:-border])


def _blocks(band: np.ndarray) -> np.ndarray:
    side = len(band) // _BLOCKS
    cut = band[: side * _BLOCKS, : side * _BLOCKS].reshape(_BLOCKS, side, _BLOCKS, side)
    return cut.transpose(0, 2, 1, 3).reshape(_BLOCKS * _BLOCKS, -1)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-6))
