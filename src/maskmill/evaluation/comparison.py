"""Two models on the same images: the difference of their scores, and how sure that is."""

import numpy as np
import pandas as pd

from maskmill.config import Intervals
from maskmill.evaluation import intervals
from maskmill.evaluation.scores import Score
from maskmill.metrics import Metrics


def paired(
    metrics: Metrics, a: pd.DataFrame, b: pd.DataFrame, units: np.ndarray, settings: Intervals
) -> dict[str, Score]:
    """Each score of a less that of b, from their tables of statistics (id and `metrics.fields`) of the same images.

    `units`: (N,) of a's rows; b's may stand in another order.
    """
    fields = list(metrics.fields)
    of_b = b.set_index("id").loc[a["id"], fields]
    return intervals.paired(metrics, a[fields].to_numpy(float), of_b.to_numpy(float), units, settings)
