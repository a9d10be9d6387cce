"""The page that people open: one HTML file with everything in it, readable without a network."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from maskmill.config import SPLITS, Data
from maskmill.data.shards import Shard
from maskmill.evaluation import page, pictures, scores
from maskmill.evaluation.evaluate import galleries

# Okabe and Ito's colours, told apart with any colour vision; jfly.uni-koeln.de/color
_LINES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_TILE_PX = 512  # longest side of a picture on the page
_SAMPLES = 4  # training pairs in the data card


@dataclass(frozen=True)
class Variant:
    """All that the page says of one variant."""

    name: str
    card: Mapping[str, Any]  # model.json
    run: Mapping[str, Any]  # run.json
    history: pd.DataFrame
    val: Mapping[str, float]
    test: Mapping[str, float]
    confusion: np.ndarray  # (K, K), rows truth
    per_image: pd.DataFrame  # id, score
    masks: Mapping[str, np.ndarray]  # id -> predicted (H, W)
    ms_per_image: float


@dataclass(frozen=True)
class Contents:
    """What the page is drawn from."""

    data: Data
    primary: str
    notice: str
    manifest: pd.DataFrame
    findings: Sequence[Mapping[str, Any]]
    leaks: Sequence[Mapping[str, Any]]  # those that params.yaml allows; others stop the line
    train: Shard
    test: Shard
    augmentation: np.ndarray  # (H, W, 3) the preview sheet
    variants: Sequence[Variant]
    baselines: Mapping[str, float]
    selection: Mapping[str, Any]
    registration: Mapping[str, Any]
    gallery: int


def render(contents: Contents) -> str:
    """The page as HTML; the same contents give the same text."""
    chosen = contents.selection["challenger"] or contents.selection["variants"][0]["variant"]
    return page.template("report.html.j2").render(
        c=contents,
        lead=next(v for v in contents.variants if v.name == chosen),
        best_baseline=scores.best(contents.baselines),
        curves=_curves(contents),
        splits=_splits(contents),
        samples=_samples(contents),
        augmentation=pictures.data_uri(contents.augmentation),
        confusions={v.name: _shares(v.confusion) for v in contents.variants},
        galleries={v.name: _galleries(contents, v) for v in contents.variants},
    )


def _curves(contents: Contents) -> str:
    """Training loss and validation score by step, as SVG text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    look: dict[str, Any] = {
        "svg.hashsalt": "maskmill",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
    }
    with mpl.rc_context(
        {**look, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3}
    ):
        figure = Figure(figsize=(9.5, 3.4), layout="constrained")
        loss, score = figure.subplots(1, 2)
        for variant, line in zip(contents.variants, np.resize(_LINES, len(contents.variants)), strict=True):
            steps = variant.history["step"]
            loss.plot(steps, variant.history["loss"], "o-", ms=3, color=line, label=variant.name)
            score.plot(steps, variant.history[f"val_{contents.primary}"], "o-", ms=3, color=line, label=variant.name)
        loss.set(
            xlabel="optimizer step", ylabel="training loss (mean since the last point)", ylim=(0, None), xlim=(0, None)
        )
        score.set(xlabel="optimizer step", ylabel=f"{contents.primary} on val", xlim=(0, None))
        score.legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _splits(contents: Contents) -> list[dict[str, Any]]:
    """A row per split: images, groups, sizes, and the share of each class among its valid pixels."""
    rows = []
    for split in SPLITS:
        part = contents.manifest[contents.manifest["split"] == split]
        pixels = np.array([part[f"px_{name}"].sum() for name in contents.data.classes], dtype=float)
        sizes = [f"{h:.0f} x {w:.0f}" for h, w in sorted(set(zip(part["height"], part["width"], strict=True)))]
        rows.append({
            "name": split, "images": len(part), "groups": part["group"].nunique(), "shares": pixels / pixels.sum(),
            "sizes": sizes[0] if len(sizes) == 1 else f"{len(sizes)} sizes, {sizes[0]} to {sizes[-1]}",
        })  # fmt: skip
    return rows


def _samples(contents: Contents) -> list[dict[str, str]]:
    shard, data = contents.train, contents.data
    places = np.linspace(0, len(shard) - 1, min(_SAMPLES, len(shard))).astype(int).tolist()
    return [{"id": shard.ids[i], **_pair(data, *shard[i])} for i in places]


def _galleries(contents: Contents, variant: Variant) -> dict[str, list[dict[str, Any]]]:
    chosen = galleries(variant.per_image, contents.gallery)
    by_image = variant.per_image.set_index("id")["score"]
    shown: dict[str, list[dict[str, Any]]] = {}
    for title, names in chosen.items():
        shown[title] = []
        for name in names:
            image, truth = contents.test[contents.test.ids.index(name)]
            predicted = variant.masks[name]
            wrong = pictures.errors(predicted, truth, contents.data.ignore_index)
            tiles = _pair(contents.data, image, truth) | {
                "predicted": _overlay(contents.data, image, predicted), "error": _uri(wrong, ids=True),
            }  # fmt: skip
            shown[title].append({"id": name, "score": by_image[name], **tiles})
    return shown


def _uri(picture: np.ndarray, *, ids: bool = False) -> str:
    """The picture as text, at most 512 px long: a page of full-size photographs would not open."""
    return pictures.data_uri(pictures.fit(picture, _TILE_PX, ids=ids))


def _pair(data: Data, image: np.ndarray, mask: np.ndarray) -> dict[str, str]:
    return {"image": _uri(pictures.rgb(image)), "truth": _overlay(data, image, mask)}


def _overlay(data: Data, image: np.ndarray, mask: np.ndarray) -> str:
    background = None if data.background is None else data.classes.index(data.background)
    return _uri(pictures.overlay(image, mask, data.palette, background))


def _shares(confusion: np.ndarray) -> np.ndarray:
    """Each row over its sum: of the pixels of a true class, the share predicted as each class."""
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.zeros(confusion.shape)
    np.divide(confusion, totals, out=shares, where=totals > 0)
    return shares
