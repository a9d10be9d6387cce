"""GeoTIFF masks, by rasterio: the one file that imports it, which is an extra (`.[geo]`)."""

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.system import files
from maskmill.system.errors import MaskmillError

INSTALL = ".venv/bin/pip install -c constraints.txt -e '.[geo]'"
_BLOCK_PX, _CACHE_MB = 512, 64


def is_installed() -> bool:
    """Whether GeoTIFFs can be written."""
    return find_spec("rasterio") is not None


def check_installed() -> None:
    """Raises: MaskmillError where rasterio is missing."""
    if not is_installed():
        raise MaskmillError(f"--format tif needs rasterio; install: {INSTALL}")


def write_mask(
    path: Path,
    mask: np.ndarray,
    source: Path,
    *,
    nodata: int,
    text: Mapping[str, str],
) -> None:
    """Write a cloud-optimised GeoTIFF where `source` is, with its CRS and transform.

    mask: (H, W) uint8, which may be mapped from a file. Pixels without data in the source become
    `nodata`, which the file then names as its own.
    """
    import rasterio
    from rasterio.shutil import copy

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".draft-") as place:
        draft, finished = Path(place) / "draft.tif", Path(place) / "mask.tif"
        with _quiet(), rasterio.Env(GDAL_CACHEMAX=_CACHE_MB), rasterio.open(source) as given:
            _write_draft(draft, mask, given, nodata, text)
            copy(
                draft, finished, driver="COG", compress="DEFLATE", blocksize=_BLOCK_PX,
                overview_resampling="nearest", bigtiff="IF_SAFER",
            )  # fmt: skip
        with files.open_atomic(path) as file, finished.open("rb") as whole:
            shutil.copyfileobj(whole, file)


def _write_draft(
    draft: Path, mask: np.ndarray, given: Any, nodata: int, text: Mapping[str, str]
) -> None:
    import rasterio

    has_gaps = any(flags != [rasterio.enums.MaskFlags.all_valid] for flags in given.mask_flag_enums)
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "height": mask.shape[0],
        "width": mask.shape[1], "crs": given.crs, "transform": given.transform, "tiled": True,
        "blockxsize": _BLOCK_PX, "blockysize": _BLOCK_PX, "compress": "deflate",
        "BIGTIFF": "IF_SAFER", "nodata": nodata if has_gaps else None,
    }  # fmt: skip
    with rasterio.open(draft, "w", **profile) as out:
        out.update_tags(**text)
        for start in range(0, mask.shape[0], _BLOCK_PX):
            rows = np.array(mask[start : start + _BLOCK_PX])
            window = rasterio.windows.Window(0, start, mask.shape[1], len(rows))
            if has_gaps:
                rows[given.dataset_mask(window=window) == 0] = nodata
            out.write(rows, 1, window=window)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning that a file has no place on the Earth, which --format tif allows."""
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield
