"""What the page's tables are made of: rows, axes, words, the definition of every number."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskmill.evaluation import image_facts
from maskmill.metrics import Metrics, definition_key
from maskmill.report import charts
from maskmill.report.findings import Weakness
from maskmill.statistics import intervals
from maskmill.statistics.scores import Score, clean_name

if TYPE_CHECKING:
    from maskmill.report.index_page import VariantReport

CLASSES = 16  # most classes in a confusion table
_CLEAN = clean_name("")
_OWN = {  # numbers of the page that no metric family defines
    "interval": (
        "In brackets: made to hold the score of endlessly many images of this kind in the stated "
        "share of cases. By drawing the independent units (intervals.unit) anew, bias-corrected, "
        "and widened where they are few; bounds are rounded outwards. "
        "None where fewer than 5 units tell the score, or it hangs on one. Failures so rare that "
        "these images may hold none are not in it: where one group in twenty fails, 95 % intervals "
        "hold in about 90 %."
    ),
    "n": (
        "Independent units behind an interval: images, groups of images, or blocks of contiguous "
        "images. Neighbours of one sequence are not independent. Under 20 are too few for a claim. "
        "A score that fewer units tell than the headline, as of a class that is in few of them, "
        "has its own n beside it."
    ),
    "difference": (
        "Score of the variant less that of the leader, on the same images; "
        "its interval comes from the same draws for both, so that what makes an image hard for "
        "both does not count."
    ),
    "parameters": "Numbers that training has set.",
    "ms per image": (
        "Median time of one prediction, one test image at a time, without reading and scoring, on "
        "the machine that evaluated."
    ),
    "memory": (
        "MB (10^6 bytes): the weights, and the most that is held at once beside them in a "
        "prediction of the largest test image."
    ),
    "training": "Time from the first step to the last validation.",
    "rule": (
        "A score that needs no network. Look-up table: the commonest class of each grey value of "
        "the training images. Nearest training image: its mask, at 48 x 48 px by mean squared "
        "difference. Majority: the commonest class everywhere."
    ),
    "share predicted": (
        "Of the test pixels of a true class (row), the share predicted as each class (column)."
    ),
    "distance to the border": (
        "From a pixel to the nearest border between two true classes, px. "
        "Error: share of the pixels at that distance that are wrong."
    ),
    "image score": (
        "The headline's formula on the one image alone. Their mean is not the headline, which sums "
        "pixels over the split."
    ),
    "uncertainty": (
        "Mean entropy of the class probabilities over the pixels that are not ignored, over log K: "
        "0 is sure, 1 a guess."
    ),
    "confidence": (
        "The largest class probability of a pixel. An honest model is right as often as it is "
        "confident: on the diagonal."
    ),
    "slice": (
        "Test images that share a property. Numbers are cut into ranges of equally many images "
        "(slices.bins); slices of fewer images than slices.minimum are not shown."
    ),
    "brightness": "Mean of an image's grey values, 0 to 255.",
    "contrast": "Standard deviation of an image's grey values, in grey levels.",
    "sharpness": "Standard deviation of the Laplacian of an image's grey values.",
    "object_px": "Median area, px, of the objects of an image.",
    "object": (
        "A connected part of the truth of one foreground class, by sides or corners, of 16 px or "
        "more. Its recall is the share of its pixels that is predicted as its class."
    ),
    "hole": "A wrong spot of 4 px or more that one object encloses on all sides.",
    "part": (
        "A connected predicted part of the class of an object that shares 4 px or more with it."
    ),
    "exchanged": (
        "Pixels of one true class that are predicted as another. At the border: up to 2 px from a "
        "true border. Spread evenly: if errors fell alike on all pixels of each true class. "
        "Probability of the wrong class: what the model itself gave it."
    ),
    "foreground": "Share of the true foreground among an image's pixels that are not ignored.",
    "training loss": "Mean of the weighted sum of train.losses since the last point.",
    "share of pixels": "Pixels of a class over all pixels of the split that are not ignored.",
}


@dataclass(frozen=True)
class ScoreRow:
    """A score of every variant on one split."""

    name: str
    scores: list[Score]
    definition: str


def definition_anchor(name: str) -> str:
    """The id of a definition: `#def-..`; scores by class share that of their kind."""
    return "def-" + re.sub(
        r"\W+", "-", definition_key(name.removeprefix(_CLEAN)).replace("/", "-class")
    )


def find_definition(name: str, definitions: Mapping[str, str]) -> str:
    """What a score is, by its name; "" for one that nobody defined."""
    kind = name.removeprefix(_CLEAN)
    text = definitions.get(definition_key(kind)) or _OWN.get(kind, "")
    return f"{text}; over the images that do not leak" if text and name != kind else text


def has_definition(name: str) -> bool:
    """Whether a property of images, by which slices are cut, has a definition here."""
    return name in image_facts.FACTS


def glossary(metrics: Metrics, primary: str) -> list[tuple[str, str, str]]:
    """(anchor, name, definition) of every number on the page, the headline first."""
    scores = {
        name: f"{text}{'; less is better' if name in metrics.lower else ''}"
        for name, text in metrics.definitions.items()
    }
    head = {definition_key(primary): scores.pop(definition_key(primary))}
    return [
        (definition_anchor(name), f"{name}CLASS" if name.endswith("/") else name, text)
        for name, text in (head | _OWN | scores).items()
    ]


def score_axis(scores: Iterable[Score], include: Iterable[float] = ()) -> charts.ChartAxis:
    """The axis that holds these scores and their intervals."""
    return charts.choose_axis(
        (v for s in scores for v in (s.value, s.low, s.high)), include=include
    )


def scores_axis(variants: Sequence["VariantReport"], primary: str) -> charts.ChartAxis:
    """Of the primary score of all variants on both splits."""
    names = (primary, clean_name(primary))
    return score_axis(
        of[name] for v in variants for of in (v.val, v.test) for name in names if name in of
    )


def differences_axis(variants: Sequence["VariantReport"]) -> charts.ChartAxis:
    """Of the paired differences, with 0."""
    return score_axis((score for v in variants for score in v.differences.values()), (0,))


def all_scores(
    variants: Sequence["VariantReport"], split: str, definitions: Mapping[str, str]
) -> list[ScoreRow]:
    """Every score of a split, of all variants; those of a class last."""
    of = [getattr(v, split) for v in variants]
    names = dict.fromkeys(name for scores in of for name in scores if name != clean_name("images"))
    ordered = sorted(names, key=lambda name: "/" in name.removeprefix(_CLEAN))
    return [
        ScoreRow(
            name, [s.get(name, Score(math.nan)) for s in of], find_definition(name, definitions)
        )
        for name in ordered
    ]


def describe_difference(difference: Score) -> str:
    """What a paired difference says, in words."""
    if not math.isfinite(difference.low):
        return "no interval"
    if intervals.is_significant(difference):
        return "better" if difference.value > 0 else "worse"
    apart = difference.low > 0 or difference.high < 0
    return (
        f"{'above' if difference.value > 0 else 'below'}, {_weakness(difference)}"
        if apart
        else "not told apart"
    )


def _weakness(difference: Score) -> str:
    return (
        "n too small for a claim" if difference.independent else "over blocks, which prove nothing"
    )


def foremost_findings(findings: Sequence[Weakness]) -> list[Weakness]:
    """The first finding of each kind that has a remedy, two at most."""
    kinds: dict[str, Weakness] = {}
    for finding in findings:
        if finding.remedy:
            kinds.setdefault(finding.kind, finding)
    return list(kinds.values())[:2]


def exceeded_limit(selection: Mapping[str, Any], variant: str) -> str:
    """The limit of the selection that a variant is over, in words; "" where it is within all."""
    return next(
        (row.get("over") or "" for row in selection["variants"] if row["variant"] == variant), ""
    )


def weakest_class(variant: "VariantReport", classes: Sequence[str]) -> tuple[str, Score] | None:
    """The class with the least Dice on test."""
    known = [
        (name, variant.test[f"dice/{name}"])
        for name in classes
        if math.isfinite(variant.test[f"dice/{name}"].value)
    ]
    return min(known, key=lambda item: item[1].value) if known else None


def row_shares(counts: np.ndarray, classes: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """The n classes of the table, and the share of each row's pixels predicted as each class.

    Returns: (n,), (n, n).

    Of more than 16 classes, those of which the most pixels are exchanged.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.zeros(counts.shape)
    np.divide(counts, totals, out=shares, where=totals > 0)
    exchanged = counts + counts.T
    np.fill_diagonal(exchanged, 0)
    worst = np.argsort(-exchanged.sum(axis=1), kind="stable")[:CLASSES]
    ids = sorted(worst.tolist())
    return ids, shares[np.ix_(ids, ids)]


def is_lower_better(name: str, metrics: Metrics) -> bool:
    """Whether less is better."""
    return definition_key(name.removeprefix(_CLEAN)) in metrics.lower


def by_distance(bins: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[float]]:
    """Labels and error rates, in percent, of `diagnostics`' by_distance."""
    labels = [
        f"{b['from_px']}–{b['to_px']}" if b["to_px"] is not None else f"over {b['from_px']}"
        for b in bins
    ]
    return labels, [math.nan if b["error"] is None else 100 * float(b["error"]) for b in bins]
