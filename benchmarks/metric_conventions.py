"""python benchmarks/metric_conventions.py: score one prediction by the conventions of libraries.

Six drawn images of four classes: a background, one class that all images have, one that two have,
and one that none has, neither in truth nor in prediction. The conventions of
segmentation_models.pytorch, torchmetrics, mmsegmentation and PaddleSeg are computed here in a few
lines each, those of torchmetrics also by itself, and must agree. Prints the table of
docs/metrics.md.
"""

import numpy as np
import torch
from metrics import drawn

from maskmill import metrics
from maskmill.metrics import Labels

CLASSES = ("background", "everywhere", "in two images", "nowhere")
LABELS = Labels(CLASSES, (1, 2, 3), 255)
K = len(CLASSES)


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """(6, H, W) predicted and true ids; nothing is ignored, since torchmetrics' MeanIoU cannot."""
    made = [drawn(3, (120, 160), seed) for seed in range(6)]
    predicted, truth = (
        np.stack([getattr(one, side)[6:].numpy() for one in made])
        for side in ("predicted", "truth")
    )
    for ids in (predicted, truth):
        ids[2:][ids[2:] == 2] = 0
    return predicted, truth


def counts(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, predicted and true pixels of each image and class, (N, K) each."""
    p, t = (
        np.stack([(ids == c).sum((1, 2)) for c in range(K)], axis=1) for ids in (predicted, truth)
    )
    return np.stack([((predicted == c) & (truth == c)).sum((1, 2)) for c in range(K)], axis=1), p, t


def iou(h: np.ndarray, p: np.ndarray, t: np.ndarray, absent: float) -> np.ndarray:
    """Of each cell; `absent` where there is nothing."""
    union = p + t - h
    return np.where(union > 0, h / np.maximum(union, 1), absent)


def dice(h: np.ndarray, p: np.ndarray, t: np.ndarray, absent: float) -> np.ndarray:
    """As `iou`."""
    return np.where(p + t > 0, 2 * h / np.maximum(p + t, 1), absent)


def conventions(
    h: np.ndarray, p: np.ndarray, t: np.ndarray
) -> list[tuple[str, str, str, float, float]]:
    """Library and call, over what, what an absent class gives, IoU, Dice."""
    cells, over, images, every = (
        (h, p, t),
        *([part.sum(axis) for part in (h, p, t)] for axis in (0, 1, None)),
    )

    def both(parts: tuple[np.ndarray, ...], absent: float) -> tuple[float, float]:
        return float(np.nanmean(iou(*parts, absent))), float(np.nanmean(dice(*parts, absent)))

    def by_class(absent: float = np.nan) -> tuple[float, float]:
        return tuple(
            float(np.nanmean(np.nanmean(f(*cells, absent)[:, :3], axis=0))) for f in (iou, dice)
        )

    smp = "segmentation_models.pytorch, `reduction="
    return [
        (f'{smp}"micro"`', "all pixels of all classes", "no part", *both(every, 1)),
        (f'{smp}"macro"`', "classes", "1", *both(over, 1)),
        (f'{smp}"micro-imagewise"`', "images", "no part", *both(images, 1)),
        (f'{smp}"macro-imagewise"`', "images and classes", "1", *both(cells, 1)),
        ("torchmetrics, `JaccardIndex`, `F1Score` macro", "classes", "left out",
         *both(over, np.nan)),
        ("torchmetrics, `MeanIoU`", "pairs of image and class", "left out",
         both(cells, np.nan)[0], np.nan),
        ("torchmetrics, `MeanIoU(per_class=True)`, mean", "images, then classes", "left out",
         by_class()[0], np.nan),
        ("mmsegmentation, `mIoU`, `mDice`", "classes", "left out", *both(over, np.nan)),
        ("PaddleSeg, `mean_iou`, `dice`", "classes", "0", *both(over, 0)),
    ]  # fmt: skip


def ours(predicted: np.ndarray, truth: np.ndarray) -> list[tuple[str, str, str, float, float]]:
    """The same by maskmill."""
    from maskmill.metrics import Sample

    family = metrics.create({"per_image": {}}, LABELS)
    totals = sum(
        family.statistic(
            Sample(predicted=torch.tensor(p), truth=torch.tensor(t), probabilities=torch.empty(0))
        )
        for p, t in zip(predicted, truth, strict=True)
    )
    found = {name: float(value) for name, value in family.scores(totals).items()}
    return [
        ("**maskmill**, `miou`", "classes", "left out", found["miou"], np.nan),
        ("**maskmill**, `miou_foreground`, `dice_foreground`", "classes but the background",
         "left out", found["miou_foreground"], found["dice_foreground"]),
        ("**maskmill**, `iou_micro`, `dice_micro`", "all pixels of these classes", "no part",
         found["iou_micro"], found["dice_micro"]),
        ("**maskmill**, `image_miou`", "images, then classes", "left out",
         found["image_miou"], np.nan),
        ("**maskmill**, `image_miou_foreground`, `image_dice_foreground`",
         "images, then classes but the background", "left out",
         found["image_miou_foreground"], found["image_dice_foreground"]),
    ]  # fmt: skip


def check(
    predicted: np.ndarray, truth: np.ndarray, rows: list[tuple[str, str, str, float, float]]
) -> None:
    """Hold the rows of torchmetrics against torchmetrics."""
    from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex
    from torchmetrics.segmentation import MeanIoU

    p, t = torch.tensor(predicted).long(), torch.tensor(truth).long()
    expected = {name: (a, b) for name, _, _, a, b in rows if name.startswith("torchmetrics")}
    theirs = [
        (MulticlassJaccardIndex(K)(p, t).item(), MulticlassF1Score(K)(p, t).item()),
        (MeanIoU(K, input_format="index")(p, t).item(), np.nan),
        (MeanIoU(K, input_format="index", per_class=True)(p, t)[:3].mean().item(), np.nan),
    ]
    for (name, values), found in zip(expected.items(), theirs, strict=True):
        np.testing.assert_allclose(values, found, atol=1e-6, err_msg=name)


def main() -> None:
    """Print the table."""
    predicted, truth = pairs()
    rows = conventions(*counts(predicted, truth))
    check(predicted, truth, rows)
    print("| library, call | mean over | an absent class | IoU | Dice |\n|---|---|---|---|---|")
    for name, over, absent, *values in ours(predicted, truth) + rows:
        print(
            f"| {name} | {over} | {absent} | "
            + " | ".join("" if np.isnan(v) else f"{v:.4f}" for v in values)
            + " |"
        )


if __name__ == "__main__":
    main()
