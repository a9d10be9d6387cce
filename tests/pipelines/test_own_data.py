"""Somebody's own folder, from `maskmill data import` to a served champion, in a clone."""

import json
import re
from pathlib import Path

import pytest

from tests.pipelines.conftest import Workspace, change_params, clone, ran
from tests.stages.test_data_line import Line

QUICK = {
    "variants": ["unet"], "models.unet.feature_scale": 16, "train.steps": 4,
    "train.val_every_steps": 2, "train.warmup_steps": 1, "train.batch_size": 2, "train.threads": 1,
    "gate.minimum": {"dice_foreground": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone into which a folder of eight pairs in given splits was imported."""
    folder = tmp_path_factory.mktemp("own")
    pairs = Line(folder)
    made = clone(tmp_path_factory.mktemp("line") / "repository")
    done = made.run(
        "maskmill", "data", "import", str(folder / "data/source"), "--classes", "background,blob"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made.imported, made.pairs = done, pairs
    change_params(made.root, dict(QUICK))
    return made


def test_what_was_guessed_is_said_and_where_to_change_it(own: Workspace):
    assert "make pipeline" in own.imported.stdout.splitlines()[-1]
    for said in ("blob", "data.values", "splits.given", "data.classes"):
        assert said in own.imported.stdout
    assert (own.root / "data/source.dvc").exists()


def test_the_line_runs_on_it(own: Workspace):
    done = own.pipeline()
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(done) == [
        "ingest", "validate", "split", "augment", "train@unet", "evaluate@unet", "select",
        "register", "report",
    ]  # fmt: skip
    assert own.run("maskmill", "data", "verify").returncode == 0
    tracked = own.run("git", "status", "--porcelain", "--ignored").stdout
    assert "data/source.dvc" in tracked


def test_the_champion_answers_for_a_file_of_it(own: Workspace):
    image = min((own.root / "data/source/test/images").iterdir())
    assert own.run("maskmill", "predict", str(image)).returncode == 0
    assert json.loads((own.root / "metrics/registration.json").read_text())["outcome"] == "promoted"


def test_a_new_copy_in_the_test_images_stops_the_line_and_nothing_is_lost(own: Workspace):
    before = {path: path.read_bytes() for path in (own.root / "reports").glob("*.html")}
    source = own.root / "data/source"
    for kind in ("images", "masks"):
        copied = source / "test" / kind / "again.png"
        copied.write_bytes((source / "train" / kind / "p4.png").read_bytes())
    done = own.pipeline()
    assert done.returncode != 0
    assert re.search(r"data/source/\S*again\.png|p4.*again|again.*p4", done.stdout + done.stderr)
    assert "look at reports/problems.html" in done.stdout + done.stderr
    assert (own.root / "reports/problems.html").exists()
    assert {path: path.read_bytes() for path in before} == before
    for kind in ("images", "masks"):
        (source / "test" / kind / "again.png").unlink()
    assert own.dvc("repro").returncode == 0


def test_a_flipped_byte_in_a_source_file_is_found_by_verify(own: Workspace):
    path = min((own.root / "data/source/train/images").iterdir())
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
    done = own.run("maskmill", "data", "verify")
    path.write_bytes(whole)
    assert done.returncode == 2
    assert str(path.relative_to(own.root)) in done.stderr


def test_pixels_that_rot_in_a_shard_are_found_before_training(own: Workspace):
    shard = next(
        path
        for path in sorted((own.root / "data/prepared/shards").iterdir())
        if path.suffix != ".parquet"
    )
    whole = shard.read_bytes()
    shard.chmod(0o644)
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = own.run("python", "-m", "maskmill.stages", "train", "unet")
    shard.write_bytes(whole)
    assert done.returncode == 2
    assert shard.name in done.stderr


def test_a_folder_that_leads_out_of_the_repository_is_refused(own: Workspace, tmp_path: Path):
    prepared = own.root / "data/prepared"
    prepared.rename(tmp_path / "prepared")
    prepared.symlink_to(tmp_path / "prepared")
    done = own.pipeline()
    prepared.unlink()
    (tmp_path / "prepared").rename(prepared)
    assert done.returncode == 2
    assert "data/prepared" in done.stderr
