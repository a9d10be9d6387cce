"""Measure two weaknesses of networks: classes that are exchanged, objects that fall apart.

Yu et al., "Learning a Discriminative Feature Network for Semantic Segmentation", arXiv:1804.09337,
call them inter-class indistinction and intra-class inconsistency. What each number is:
docs/diagnostics.md.
"""

from typing import Any

import numpy as np

from maskmill.evaluation.borders import BINS, NEAR_BINS, bin_ranges, distance_bins
from maskmill.evaluation.exchanges import SURE, Exchanges
from maskmill.evaluation.objects import OBJECT_PX, PART_PX, ObjectErrors, rounded_share
from maskmill.metrics import Labels, Sample


class Diagnostics:
    """Measure exchanged classes, objects that fall apart, and errors by distance to the border.

    It tells where classes are exchanged, and how confidently. It holds sums and histograms alone,
    whatever the number of images; their order is without meaning.
    """

    def __init__(self, labels: Labels) -> None:
        k = len(labels.classes)
        self._labels = labels
        self._images = 0
        self._holding = np.zeros(k, dtype=np.int64)  # images that hold the class
        self._predicted = np.zeros(k, dtype=np.int64)  # pixels
        # by true class and distance to the border
        self._pixels = np.zeros((k, BINS), dtype=np.int64)
        self._errors = np.zeros((k, BINS), dtype=np.int64)
        self._exchanges = Exchanges(k)
        self._objects = ObjectErrors(k, labels.foreground)

    def update(self, sample: Sample) -> None:
        """Take in one image."""
        truth, predicted = sample.truth.numpy(), sample.predicted.numpy()
        valid = truth != self._labels.ignore_index
        wrong = valid & (truth != predicted)
        bins = distance_bins(truth, self._labels.ignore_index)
        pixels = self._by_distance(truth[valid], bins[valid])
        self._images += 1
        self._holding += pixels.sum(axis=1) > 0
        self._predicted += np.bincount(predicted[valid], minlength=len(self._holding))
        self._pixels += pixels
        self._errors += self._by_distance(truth[wrong], bins[wrong])
        chosen = predicted[wrong]
        confidence = sample.probabilities.numpy()[(chosen, *np.nonzero(wrong))]
        self._exchanges.update(truth[wrong], chosen, confidence, bins[wrong] < NEAR_BINS)
        self._objects.update(truth, predicted, valid)

    def result(self) -> dict[str, Any]:  # long by its docstring, which says what stands in the file
        """What was found, ready for JSON; a number that cannot be had is None.

        images, pixels: that were seen; pixels without ignored ones.
        rules: border_px, sure, object_px, part_px, the limits behind the words below.
        pairs: the 50 most exchanged pairs, worst first. Of each:
            a, b: classes, a the one that loses more;
            a_as_b, b_as_a: share of a's true pixels that were predicted as b, and the reverse, None
                for a class without true pixels;
            pixels, images: exchanged px, and the images with at least part_px of them;
            at_border: share of the exchanged px within border_px of a true border;
            at_border_if_even: what that share would be if the errors were spread evenly over each
                true class;
            where: "at the border", "inside", "both", or "thin" where the class is so thin that the
                two are the same;
            confidence: mean probability of the wrong class;
            sure: share of the px with one over 0.9.
        pairs_left_out: how many more pairs there are.
        classes: in the order of their ids. Of each:
            name, foreground (bool), images (that hold it), pixels (true), predicted_pixels, share
            (of all true px), recall, by_distance (as below, of its true pixels), and objects, None
            for the background:
                count, recall (mean over objects), sd, below_half, above_90 (shares of the objects),
                missed (share without a single part), histogram (20 counts, recall 0 to 1),
                by_size (list of from_px, to_px or None, count, recall),
                holes (count, pixels, share of the objects' px, objects: share with one),
                fragments (counts of objects in 0, 1, 2, 3, 4 or more parts; mean parts and broken:
                share in several parts, both of the objects that have any).
        by_distance: error rate by distance to the true border, over all classes: list of from_px,
            to_px or None, pixels, errors, error (errors / pixels).

        Example, shortened:
            {"images": 25, "pixels": 921600,
            "rules": {"border_px": 2, "sure": 0.9, "object_px": 16, "part_px": 4},
            "pairs": [{"a": "csf", "b": "grey_matter", "a_as_b": 0.08, "b_as_a": 0.03,
                "pixels": 9120, "images": 25, "at_border": 0.91, "at_border_if_even": 0.55,
                "where": "at the border", "confidence": 0.71, "sure": 0.2}],
            "pairs_left_out": 0,
            "classes": [{"name": "csf", "foreground": true, "images": 25, "pixels": 61000,
                "predicted_pixels": 60100, "share": 0.066, "recall": 0.9, "by_distance": [...],
                "objects": {"count": 143, "recall": 0.71, "sd": 0.32, "below_half": 0.18,
                    "above_90": 0.6, "missed": 0.02, "histogram": [3, ...],
                    "by_size": [{"from_px": 16, "to_px": 64, "count": 70, "recall": 0.6}, ...],
                    "holes": {"count": 12, "pixels": 80, "share": 0.001, "objects": 0.05},
                    "fragments": {"counts": [3, 130, 8, 1, 1], "mean": 1.1, "broken": 0.07}}}],
            "by_distance": [
                {"from_px": 0, "to_px": 1, "pixels": 50000, "errors": 12000, "error": 0.24}, ...]}
        """
        pixels, predicted, total = (
            self._pixels.sum(axis=1),
            self._predicted,
            int(self._pixels.sum()),
        )
        near = self._pixels[:, :NEAR_BINS].sum(axis=1)
        pairs, left_out = self._exchanges.result(self._labels.classes, pixels, near)
        return {
            "images": self._images,
            "pixels": total,
            "rules": {
                "border_px": bin_ranges()[NEAR_BINS - 1][1], "sure": SURE,
                "object_px": OBJECT_PX, "part_px": PART_PX,
            },
            "pairs": pairs,
            "pairs_left_out": left_out,
            "classes": [
                {
                    "name": name, "foreground": i in self._labels.foreground,
                    "images": int(self._holding[i]),
                    "pixels": int(pixels[i]), "predicted_pixels": int(predicted[i]),
                    "share": rounded_share(pixels[i], total),
                    "recall": rounded_share(pixels[i] - self._errors[i].sum(), pixels[i]),
                    "by_distance": _curve(self._pixels[i], self._errors[i]),
                    "objects": self._objects.result(i),
                }
                for i, name in enumerate(self._labels.classes)
            ],
            "by_distance": _curve(self._pixels.sum(axis=0), self._errors.sum(axis=0)),
        }  # fmt: skip

    def _by_distance(self, classes: np.ndarray, bins: np.ndarray) -> np.ndarray:
        """(K, BINS) int64 pixels."""
        index = classes.astype(np.int32) * BINS + bins
        return np.bincount(index, minlength=self._pixels.size).reshape(self._pixels.shape)


def _curve(pixels: np.ndarray, errors: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "from_px": low,
            "to_px": high,
            "pixels": int(n),
            "errors": int(wrong),
            "error": rounded_share(wrong, n),
        }
        for (low, high), n, wrong in zip(bin_ranges(), pixels, errors, strict=True)
    ]
