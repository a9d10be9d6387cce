"""What families share that score each image and class, and then take the mean over images."""

from abc import abstractmethod

import torch
from torch import Tensor

from maskmill.metrics import Labels, Metric, Sample, by_class, divide_or_nan


class ImageMeans(Metric):
    """Means over the images that hold a class; each image counts once, whatever its size."""

    names: tuple[str, ...]  # of the P scores that an image has for each class

    def __init__(self, labels: Labels, ids: tuple[int, ...]) -> None:
        self._labels, self._ids = labels, ids
        parts = ("images", *self.names)
        self.fields = tuple(f"{part}/{labels.classes[i]}" for part in parts for i in ids)

    @abstractmethod
    def of_image(self, sample: Sample) -> Tensor:
        """(P, len(ids)) float64: the image's scores of each class, all NaN for an absent class."""

    def statistic(self, sample: Sample) -> Tensor:
        values = self.of_image(sample)
        return torch.cat([(~values[0].isnan()).double(), values.nan_to_num().flatten()])

    def means(self, totals: Tensor) -> dict[str, Tensor]:
        """The mean over images by name, each (..., len(ids))."""
        images, *sums = totals.chunk(1 + len(self.names), dim=-1)
        return {
            name: divide_or_nan(values, images)
            for name, values in zip(self.names, sums, strict=True)
        }

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        """`<name>_foreground`, the mean of the classes' means, and `<name>/<class>`."""
        means = self.means(totals)
        return {f"{name}_foreground": values.nanmean(-1) for name, values in means.items()} | {
            score: value
            for name, values in means.items()
            for score, value in by_class(name, self._labels, values, self._ids).items()
        }
