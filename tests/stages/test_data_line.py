"""ingest, validate and split on a few pairs: what stops the line, is shown and is written."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from maskmill.samples.shards import Shard
from maskmill.settings import config
from maskmill.stages.ingest import ingest
from maskmill.stages.split import split
from maskmill.stages.validate import validate
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY

SIZE_PX = 64


def scene(seed):
    """A smooth picture that no other seed gives, and a mask of two blobs."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 7), dtype=np.uint8))
    image = np.asarray(coarse.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)).copy()
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    x, y = rng.integers(4, 36, 2)
    mask[y : y + 20, x : x + 20] = 255
    return image, mask


class Line:
    """A folder of pairs in given splits, its settings, and the stages that read it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        values = config.read_yaml(REPOSITORY / "params.yaml")
        colours = {"background": "#000000", "blob": "#0072B2"}
        values["data"] |= {
            "classes": list(colours),
            "values": {0: "background", 255: "blob"},
            "colours": colours,
        }
        values["splits"] |= {"given": True}
        values["augmentation"] |= {"crop_px": None}
        self.values = values
        (root / "data").mkdir()
        (root / "data/source.yaml").write_text("kind: folder\n")
        for i in range(8):
            self.add({0: "val", 1: "test"}.get(i, "train"), f"p{i}", *scene(i))

    def add(self, part, name, image, mask):
        for kind, pixels in (("images", image), ("masks", mask)):
            path = self.root / "data/source" / part / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        return path

    def run(self):
        params = config.parse(self.values)
        ingest(params.paths, params.data)
        validate(params.paths, params.data, params.validation)
        split(params.paths, params.data, params.splits)


@pytest.fixture
def line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Line(tmp_path)


def problems(line):
    return (line.root / "reports/problems.html").read_text()


def pictures(page):
    return len(re.findall(r'<img[^>]+src="data:image/', page))


def test_good_data_go_through_and_the_page_shows_them(line):
    line.run()
    table = pd.read_parquet("data/prepared/manifest.parquet")
    assert table["split"].value_counts().to_dict() == {"train": 6, "val": 1, "test": 1}
    assert table["clean"].all()
    image, mask = Shard(Path("data/prepared/shards"), "test")[0]
    assert np.array_equal(image[..., 0], scene(1)[0])
    assert np.array_equal(mask, scene(1)[1] // 255)
    assert json.loads(Path("reports/leakage.json").read_text()) == []
    assert pictures(Path("reports/data.html").read_text()) >= 8
    assert not Path("reports/problems.html").exists()


def test_the_same_data_give_the_same_files(line):
    line.run()
    outs = [
        "data/prepared/manifest.parquet",
        "reports/data.html",
        "reports/validation.json",
        "data/prepared/pairs.parquet",
    ]
    before = [Path(path).read_bytes() for path in outs]
    line.run()
    assert [Path(path).read_bytes() for path in outs] == before


def test_a_bad_file_stops_the_line_and_is_shown(line):
    path = line.add("train", "p9", *scene(9))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(MaskmillError, match=r"data/source/train/masks/p9\.png") as raised:
        line.run()
    assert "look at reports/problems.html" in str(raised.value)
    assert "data/source/train/masks/p9.png" in problems(line)


def test_the_page_of_problems_goes_when_they_are_mended(line):
    bad = line.add("train", "p9", *scene(9))
    bad.write_bytes(b"")
    with pytest.raises(MaskmillError):
        line.run()
    bad.unlink()
    (line.root / "data/source/train/images/p9.png").unlink()
    line.run()
    assert not Path("reports/problems.html").exists()


def copy_into_test(line, name="copy"):
    """The image of p3, which trains, flipped and saved anew among those that test."""
    image, mask = scene(3)
    line.add(
        "test", name, np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    )


def test_a_flipped_copy_in_another_split_stops_the_line_with_both_pictures(line):
    copy_into_test(line)
    with pytest.raises(MaskmillError) as raised:
        line.run()
    text = str(raised.value)
    assert "copy" in text
    assert "p3" in text
    assert "splits.given: false" in text
    assert "splits.allow_leaks" in text
    assert pictures(problems(line)) >= 2
    assert not Path("data/prepared/manifest.parquet").exists()


def test_a_leak_allowed_by_name_is_told_and_its_images_are_not_clean(line, capsys):
    copy_into_test(line)
    line.values["splits"]["allow_leaks"] = ["copy"]
    line.run()
    table = pd.read_parquet("data/prepared/manifest.parquet").set_index("id")
    assert table.index[~table["clean"]].tolist() == ["copy"]
    assert Shard(Path("data/prepared/shards"), "test").clean.tolist() == [False, True]
    (leak,) = json.loads(Path("reports/leakage.json").read_text())
    assert leak["kind"] == "copy"
    assert sorted(leak["ids"]) == ["copy", "p3"]
    assert (
        "split: 1 leaks, allowed by splits.allow_leaks; clean of them are train 6, val 1, test 1;"
        in capsys.readouterr().out
    )


def test_maskmills_own_split_keeps_copies_together(line):
    copy_into_test(line)
    line.values["splits"] |= {"given": False, "val": 0.25, "test": 0.25}
    line.run()
    table = pd.read_parquet("data/prepared/manifest.parquet").set_index("id")
    assert table.loc["copy", "split"] == table.loc["p3", "split"]
    assert table["clean"].all()


def own_split(line, pairs):
    """`pairs` images, each a group of its own, divided by maskmill."""
    line.values["splits"] |= {"given": False, "val": 0.2, "test": 0.2}
    for i in range(8, pairs):
        line.add("train", f"p{i}", *scene(i))


def splits_of(path="data/prepared/manifest.parquet"):
    return pd.read_parquet(path).set_index("id")["split"].to_dict()


def test_old_images_keep_their_split_when_new_ones_come(line, capsys):
    own_split(line, 16)
    written = Path("data/splits.csv")
    written.write_text("# by hand\ngroup,split\np3,test\n")
    line.run()
    before = splits_of()
    assert "split: 15 groups keep their split from now on: data/splits.csv" in (
        capsys.readouterr().out
    )
    assert written.read_text().startswith("# by hand\ngroup,split\np3,test\np0,")
    frozen = written.read_text()
    line.run()
    assert written.read_text() == frozen
    own_split(line, 28)
    line.run()
    after = splits_of()
    assert (len(before), len(after)) == (16, 28)
    assert before.items() <= after.items()
    assert written.read_text().startswith(frozen)


def test_an_experiment_freezes_nothing_and_says_so(line, capsys, monkeypatch):
    own_split(line, 12)
    monkeypatch.setenv("DVC_EXP_NAME", "brave-owl")
    line.run()
    assert not Path("data/splits.csv").exists()
    assert "12 groups are not in data/splits.csv; an experiment does not change it" in (
        capsys.readouterr().out
    )


def test_a_split_of_one_group_is_told_and_stands_on_the_page(line, capsys):
    line.run()
    told = "val holds one group, p0, test holds one group, p1: a score tells how a model does on"
    assert f"split: warning: {told}" in capsys.readouterr().out
    assert told in Path("reports/data.html").read_text()


def test_nothing_is_frozen_where_the_source_gives_the_splits(line):
    line.run()
    assert not Path("data/splits.csv").exists()
