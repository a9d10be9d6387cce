"""A plan of an import, made of a small folder whose names would break a careless page."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.images import decode
from maskmill.importing import propose
from maskmill.importing.plan import Plan, Wishes
from maskmill.settings import config

SHIPPED = Path(__file__).parents[3] / "params.yaml"


def make(top: Path, count: int = 15, **wishes: Any) -> Plan:
    """The plan of so many pairs of three patients, in `top`, which is the working directory.

    One image has no mask, one file is of no use, one mask is of another size than its image.
    """
    shutil.copy(SHIPPED, top)
    rng = np.random.default_rng(0)
    folder = top / "cells & <b>walls</b>"
    for i in range(count):
        name = f"p{i % 3}_{i:03d}"
        mask = (rng.random((40, 60)) < 0.3).astype(np.uint8)
        decode.write_png(folder / f"images/{name}.png", rng.integers(0, 255, (40, 60, 3), np.uint8))
        decode.write_png(folder / f"masks/{name}.png", mask[:39] if i == 1 else mask)
    decode.write_png(folder / "images/p0_unlabelled.png", np.zeros((40, 60, 3), np.uint8))
    (folder / "images/&<i>.txt").write_text("of no use")
    return propose.make_plan(folder, Wishes(**wishes), config.load())
