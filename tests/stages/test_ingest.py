"""ingest lists a user's files and reads none; it draws what is no file yet."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maskmill.images import decode
from maskmill.stages.ingest import ingest


@pytest.fixture
def paths(params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/source").mkdir(parents=True)
    return params.paths


def index() -> pd.DataFrame:
    return pd.read_csv("data/raw/index.csv", dtype=str, keep_default_na=False)


def test_files_stay_where_they_are_and_are_not_opened(paths, data):
    for name in ("images/b", "images/a,\u00e4", "masks/b"):
        path = Path(f"data/source/{name}.png")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        path.chmod(0)
    Path("data/source.yaml").write_text("kind: folder\ngroups: (?P<group>.)\n")
    stray = Path("data/raw/images/old.png")
    decode.write_png(stray, np.zeros((2, 2), np.uint8))
    ingest(paths, data)
    assert index().to_dict("records") == [
        {"id": "a,\u00e4", "image": "data/source/images/a,\u00e4.png", "mask": "", "group": "a",
         "sequence": "a", "order": "0", "split": ""},
        {"id": "b", "image": "data/source/images/b.png", "mask": "data/source/masks/b.png",
         "group": "b", "sequence": "b", "order": "1", "split": ""},
    ]  # fmt: skip
    assert not stray.exists()
    assert [path.name for path in Path("data/raw").rglob("*") if path.is_file()] == ["index.csv"]


def test_what_is_made_is_drawn_as_png_with_class_ids(paths, data):
    Path("data/source/train.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg", "height": 3, "width": 3}], "categories":'
        ' [{"id": 5, "name": "bar"}], "annotations": [{"image_id": 1, "category_id": 5,'
        ' "segmentation": {"size": [3, 3], "counts": [3, 3, 3]}}]}'
    )
    Path("data/source/a.jpg").write_bytes(b"not read")
    Path("data/source.yaml").write_text("kind: coco\nannotations: {train.json: .}\n")
    ingest(paths, data)
    (row,) = index().to_dict("records")
    assert (row["image"], row["mask"], row["split"]) == (
        "data/source/a.jpg",
        "data/raw/masks/a.png",
        "train",
    )
    assert decode.mask(Path(row["mask"])).tolist() == [[0, 3, 0]] * 3
