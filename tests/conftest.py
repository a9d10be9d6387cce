"""What all tests share: the settings of this repository, and settings and shards that no edit of params.yaml moves."""

from pathlib import Path

import pandas as pd
import pytest

from maskmill import config
from maskmill.data import decode, shards

REPOSITORY = Path(__file__).parents[1]


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
    """A function that packs (image, mask) arrays, named `names` or p0, p1, .., and gives the shard."""

    def make(pairs, split="train", names=None, data=data):
        names = names or [f"p{i}" for i in range(len(pairs))]
        rows = []
        for name, (image, mask) in zip(names, pairs, strict=True):
            files = {"image": f"images/{split}-{name}.png", "mask": f"masks/{split}-{name}.png"}
            decode.write_png(tmp_path / "raw" / files["image"], image)
            decode.write_png(tmp_path / "raw" / files["mask"], mask)
            rows.append({"id": name, **files, "height": mask.shape[0], "width": mask.shape[1]})
        shards.pack(tmp_path / "shards", split, pd.DataFrame(rows), tmp_path / "raw", data)
        return shards.Shard(tmp_path / "shards", split)

    return make
