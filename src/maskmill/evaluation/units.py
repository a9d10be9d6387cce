"""Independent units: what a bootstrap may resample as if each had been drawn by itself."""

import numpy as np
import pandas as pd

from maskmill.config import Intervals


def of(ids: list[str], manifest: pd.DataFrame, settings: Intervals) -> np.ndarray:
    """(N,) the unit of each image: its group, or a block of contiguous images of its group."""
    rows = manifest.drop_duplicates("id").set_index("id").loc[ids]
    units: np.ndarray = rows["group"].to_numpy(str)
    return units
