"""What all tests share.

The settings of this repository, and settings and shards that no edit of params.yaml moves.
"""

import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maskmill.images import decode
from maskmill.images.digest import pixel_digest
from maskmill.samples import packing, shards
from maskmill.settings import config
from maskmill.system.logs import log_to_stdout

REPOSITORY = Path(__file__).parents[1]
# A shell that starts the tests in the background has SIGINT ignored, and what the tests start would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
log_to_stdout()  # as whatever starts from a command line does


# files that take minutes: begun first, so that all processes end together; the later ones need
# test_line's
LONG = [
    "test_flow.py", "test_line.py", "test_remotes.py", "test_own_data.py", "test_tune.py",
    "test_experiments.py", "test_up.py", "test_kill.py", "test_away.py",
]  # fmt: skip


BEGAN = time.monotonic()


def pytest_addoption(parser: pytest.Parser):
    parser.addoption(
        "--begin-within",
        type=float,
        metavar="SECONDS",
        help="skip the tests that would begin later",
    )


def pytest_runtest_setup(item: pytest.Item):
    seconds = item.config.getoption("--begin-within")
    if seconds is not None and time.monotonic() - BEGAN > seconds:
        pytest.skip(f"it would have begun after {seconds:g} s")


def pytest_collection_modifyitems(items: list[pytest.Item]):
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session")
def params():
    """params.yaml as it stands."""
    return config.load(REPOSITORY / "params.yaml")


@pytest.fixture(scope="session")
def data():
    """Four classes on grey images."""
    return config.Data(
        title="shapes",
        classes=("background", "disc", "square", "bar"),
        background="background",
        ignore_index=255,
        values=None,
        colours={"background": "#000000", "disc": "#0072B2", "square": "#E69F00", "bar": "#CC79A7"},
        in_channels=1,
        decoding=config.STRICT,
    )


@pytest.fixture
def make_shard(tmp_path, data):
    """A function that packs (image, mask) arrays and gives the shard of their split.

    The arrays are named `names` or p0, p1, .. A further call replaces the pairs of its split, and
    leaves the other splits as they are.
    """
    rows = {}

    def make(pairs, split="train", names=None, data=data):
        names = names or [f"p{i}" for i in range(len(pairs))]
        rows[split] = []
        for name, (image, mask) in zip(names, pairs, strict=True):
            paths = {
                side: tmp_path / "raw" / f"{side}s" / f"{split}-{name}.png"
                for side in ("image", "mask")
            }
            decode.write_png(paths["image"], image)
            decode.write_png(paths["mask"], mask)
            digests = {
                "sha256_pixels": pixel_digest(np.atleast_3d(image)),
                "sha256_mask": pixel_digest(mask),
            }
            rows[split].append(
                {"id": name, "split": split, "clean": True, **digests}
                | {k: str(p) for k, p in paths.items()}
            )
        columns = ["id", "split", "clean", "image", "mask", "sha256_pixels", "sha256_mask"]
        table = pd.DataFrame([row for part in rows.values() for row in part], columns=columns)
        packing.pack_samples(tmp_path / "shards", table, data)
        return shards.Shard(tmp_path / "shards", split)

    return make
