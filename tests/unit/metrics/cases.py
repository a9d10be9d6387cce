"""Images with their predictions, to be measured."""

import numpy as np
import torch
from scipy import ndimage

from maskmill.metrics import Labels, Sample

IGNORE = 255


def labels(k=3):
    return Labels(tuple("abcdefghijk"[:k]), tuple(range(1, k)), IGNORE)


def sample(predicted, truth, probabilities=None):
    """From (H, W) ids; unless said, 0.8 for the predicted class, and the others share the rest."""
    predicted, truth = (torch.tensor(np.asarray(ids, np.uint8)) for ids in (predicted, truth))
    if probabilities is None:
        one_hot = torch.nn.functional.one_hot(
            predicted.long(), max(int(predicted.max()) + 1, 3)
        ).movedim(-1, 0)
        probabilities = torch.where(one_hot > 0, 0.8, 0.2 / (len(one_hot) - 1))
    return Sample(
        predicted=predicted,
        truth=truth,
        probabilities=torch.as_tensor(probabilities, dtype=torch.float32),
    )


def one_class(predicted, truth):
    """Pictures of class b, drawn with # (class b), . (class a) and ? (ignored)."""
    ids = {"#": 1, ".": 0, "?": IGNORE}
    return sample(
        *([[ids[c] for c in row] for row in picture.split()] for picture in (predicted, truth))
    )


def blobs(seed, k=3, size=(37, 52), smooth=3.0):
    """Smooth random areas, and a prediction with probabilities that is wrong in part."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(k, *size)), (0, smooth, smooth))
    logits = 40 * (
        fields + 0.7 * ndimage.gaussian_filter(rng.normal(size=(k, *size)), (0, smooth, smooth))
    )
    p = torch.tensor(logits).softmax(0)
    return sample(p.argmax(0).numpy(), fields.argmax(0), p)


def scores(family, *samples):
    """Over the samples, as numbers by name."""
    totals = sum(family.statistic(one) for one in samples)
    return {name: float(value) for name, value in family.scores(totals).items()}


def one_hot(ids, k):
    """(1, K, H, W) as MONAI and torchmetrics take it."""
    return torch.nn.functional.one_hot(ids.long(), k).movedim(-1, 0)[None]
