"""Contents of the page, made up: numbers and pictures of no run, the same each time."""

import numpy as np
import pandas as pd

from maskmill.decisions.verdict import Basis, Check
from maskmill.evaluation.cost import Cost
from maskmill.evaluation.evaluate import gallery_ids
from maskmill.metrics import Labels, create
from maskmill.report import index_page
from maskmill.report.findings import Weakness
from maskmill.settings.config import Intervals
from maskmill.statistics.scores import Score
from maskmill.statistics.slices import CHANCE, Slice, Table

FAMILIES = {"calibration": {"bins": 10}, "boundary": {}, "surface": {}}

VARIANTS = ("unet", "resnet18_unet", "se_resnet18_unet")
PRIMARY = "dice_foreground"
SETTINGS = Intervals(confidence=0.95, resamples=2000, unit="auto", block=5, seed=0)
CAVEAT = (
    "5 blocks of 5 contiguous images in 1 group: too few independent units (n < 20) for a claim"
)
FINDINGS = (
    Weakness(
        "csf is taken for grey_matter",
        "8.1 % of the true pixels of csf are predicted as grey_matter; 3.2 % of grey_matter as csf"
        " (9120 px in 25 images). 91 % of them lie within 2 px of a true border, mostly at the"
        " border: hesitant errors.",
        "Look at the masks first: where they disagree with each other by a pixel or two, no network"
        " can do better. Variants that keep detail: resnet18_unet (`variants`).",
        "indistinction",
    ),
    Weakness(
        "Objects of csf are found unevenly",
        "Of 143 objects of csf, 18 % are found to less than half and 60 % to nine tenths or more.",
        "Images of a higher resolution show small objects larger, and `train.losses.dice` counts a"
        " small class like a large one.",
        "inconsistency",
    ),
    Weakness(
        "Most errors lie at borders",
        "84 % of the errors lie within 2 px of a true border.",
        "",
        "distance",
    ),
)


def scores(classes, level, rng, n=5):
    """Scores by name around `level`, with intervals; one unit less tells of the last class."""

    def one(name):
        value = float(np.clip(level + rng.normal(0, 0.04), 0, 1))
        spread = float(rng.uniform(0.01, 0.03))
        return Score(
            value,
            value - 1.2 * spread,
            min(1.0, value + spread),
            n - name.endswith(f"/{classes[-1]}"),
        )

    labels = Labels(tuple(classes), tuple(range(1, len(classes))), 255)
    return {name: one(name) for name in create(FAMILIES, labels).names}


def variant(name, data, test, place, lead, gallery=1):
    rng = np.random.default_rng(place)
    k, level = len(data.classes), 0.86 - 0.02 * place
    steps = np.arange(1, 11) * 26
    confusion = rng.integers(0, 300, (k, k)) + np.diag(rng.integers(4000, 9000, k))
    images = pd.DataFrame({
        "id": test.ids, "score": rng.uniform(0.6, 0.95, len(test)),
        "uncertainty": rng.uniform(0, 0.4, len(test)),
    })  # fmt: skip
    shown = {i for names in gallery_ids(images, gallery).values() for i in names}
    masks = {i: np.roll(test[test.ids.index(i)][1], place + 2, axis=0) for i in sorted(shown)}
    drop = Score(-0.02 * place, -0.02 * place - 0.012, -0.02 * place + 0.015, 5)
    by_distance = [
        {"from_px": a, "to_px": b, "pixels": 100, "errors": 1, "error": e}
        for a, b, e in (
            (0, 1, 0.31),
            (1, 2, 0.12),
            (2, 4, 0.05),
            (4, 8, 0.021),
            (8, 16, 0.011),
            (16, None, 0.002),
        )
    ]
    return index_page.VariantReport(
        name=name,
        card={"sha256": f"{place}abcdef" * 9, "precision": "bf16"},
        run={
            "seconds": 71.0 + 9 * place, "machine": "a processor, 2 cores", "device": "cpu",
            "threads": 2, "git_commit": "0123456789abcdef", "data_hash": "fedcba9876543210",
            "params": {"train.steps": 260},
        },
        history=pd.DataFrame({
            "step": steps, "loss": 1.6 * np.exp(-steps / 90) + 0.2 + 0.02 * place,
            f"val_{PRIMARY}": level * (1 - np.exp(-steps / 60)),
        }),
        val=scores(data.classes, level + 0.01, rng),
        test=scores(data.classes, level, rng),
        differences={} if name == lead else {"test": drop, "val": drop},
        cost=Cost(1_811_780 + 700_000 * place, 31.4 + place, 96.0),
        confusion=confusion,
        images=images,
        masks=masks,
        diagnostics={"by_distance": by_distance},
        weaknesses=FINDINGS if place < 2 else (),
        totals=totals(data),
    )  # fmt: skip


def totals(data):
    """The statistic of a split, in which the model is surer than it should be."""
    metrics = create(FAMILIES, Labels(data.classes, data.foreground, data.ignore_index))
    made = dict.fromkeys(metrics.fields, 100.0)
    for i in range(10):
        pixels, sure = (0.0 if i < 2 else 100.0 * 2**i), 0.05 + 0.1 * i
        made |= {f"calibration:{part}/{i}": value for part, value in
                 (("pixels", pixels), ("confidence", pixels * sure),
                  ("right", pixels * sure**1.3))}  # fmt: skip
    return np.array(list(made.values()))


def slices(count=8):
    """Made-up slices, worst first."""
    rows = [
        ("brightness", "12 to 31"),
        ("object_px", "16 to 60"),
        ("group", "z076-100"),
        ("csf", "absent"),
    ]
    made = [
        Slice(
            *rows[i % 4], 6 + i, Score(0.7 + 0.02 * i, 0.66 + 0.02 * i, 0.73 + 0.02 * i, 5), CHANCE
        )
        for i in range(count)
    ]
    return Table(tuple(made), Score(0.862, 0.838, 0.882, 5), 3, f"{count} slices were compared.")


def contents(data, train, test, *, variants=VARIANTS, gallery=1, **changes):
    """What the page is drawn from."""
    rows = [
        {"id": i, "split": split, "group": f"{split}0", "height": 32.0, "width": 32.0}
        | {f"px_{name}": 100.0 + 10 * n for n, name in enumerate(data.classes)}
        for split, shard in (("train", train), ("val", train), ("test", test))
        for i in shard.ids
    ]
    lead = variants[0]
    made = {
        "data": data,
        "primary": PRIMARY,
        "metrics": create(FAMILIES, Labels(data.classes, data.foreground, data.ignore_index)),
        "intervals": SETTINGS,
        "caveat": CAVEAT,
        "notice": "",
        "manifest": pd.DataFrame(rows),
        "expectations": [{"meaning": "every image has a mask", "severity": "critical",
                          "passed": True, "files": []}],
        "leaks": [],
        "train": train,
        "test": test,
        "augmentation": np.full((300, 1190, 3), 200, np.uint8),
        "variants": [
            variant(name, data, test, i, lead, gallery) for i, name in enumerate(variants)
        ],
        "slices": slices(),
        "baselines": {"intensity look-up table": 0.5463, "nearest training image": 0.61,
                      "majority class": 0.0},
        "selection": {
            "challenger": lead, "reason": f"leads with {PRIMARY} 0.8789 on val", "caveat": "",
            "winner": {"text": ""}, "variants": [{"variant": name} for name in variants],
        },
        "registration": {
            "outcome": "promoted", "reason": "1 of 1 checks passed", "model": "icbm152",
            "version": 1, "champion": {"version": 1, "variant": lead},
            "runs": dict.fromkeys(variants, "a1b2c3d4e5f6"),
            "reasons": [], "basis": Basis("first").as_json(),
            "checks": [Check.at_least(f"minimum {PRIMARY}", 0.8639, 0.8).as_json()],
        },
        "gallery": gallery,
    }  # fmt: skip
    return index_page.ReportPage(**(made | changes))
