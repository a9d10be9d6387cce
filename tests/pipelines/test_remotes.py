"""Data, models and the run cache on a remote: a second clone goes on, and damage is found."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image
from ruamel.yaml import YAML

from tests.pipelines.conftest import Workspace, ran
from tests.pipelines.test_flow import FLOW, Prefect
from tests.services.conftest import Servers, free_port

pytestmark = pytest.mark.slow
KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")


class Clone(Servers):
    """A clone of a workspace, with servers of its own."""

    def __init__(self, first: Servers, root: Path) -> None:
        subprocess.run([*GIT, "clone", "--quiet", first.root, root], check=True)
        Workspace.__init__(self, root)
        self.env = first.env | {"PYTHONPATH": str(root / "src")}
        self.set(
            **{f"services__{name}_port": free_port() for name in ("prefect", "mlflow", "model")}
        )


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server on loopback with a bucket `kept`."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= KEYS
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="kept")
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, s3: str) -> Iterator[Servers]:
    """A workspace whose data follow a folder elsewhere, and whose flow has pushed to S3."""
    made = Servers(tmp_path_factory.mktemp("first") / "repository")
    made.env |= KEYS
    made.elsewhere = tmp_path_factory.mktemp("elsewhere") / "cells"
    made.set(variants=["unet"], train__steps=2, train__warmup_steps=0, data__classes=["off", "on"],
             data__colours={"off": "#000000", "on": "#0072B2"}, data__background="off")  # fmt: skip
    (made.root / "data/source.yaml").write_text("kind: folder\n")
    for i in range(6):
        add_pair(made.elsewhere, i)
    (made.root / "data/splits.csv").write_text(
        "group,split\na0,train\na1,train\na2,val\na3,val\na4,test\na5,test\n"
    )
    git(made, "rm", "--quiet", "--cached", "data/source/.gitkeep")
    shutil.rmtree(made.root / "data/source")
    assert made.dvc("import-url", "--quiet", str(made.elsewhere), "data/source").returncode == 0
    done = made.maskmill("remote", "set", "s3://kept/here", "--endpoint", s3)
    assert done.returncode == 0, done.stderr
    made.first = made.run(*FLOW)
    assert made.first.returncode == 0, made.first.stdout + made.first.stderr
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "results")
    yield made
    assert made.maskmill("down").returncode == 0


def add_pair(folder: Path, i: int) -> None:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    image = Image.effect_noise((64, 64), 20 + i)
    image.save(folder / f"images/a{i}.png")
    image.point(lambda value: int(value > 128)).save(folder / f"masks/a{i}.png")


def git(workspace: Workspace, *arguments: str) -> None:
    done = workspace.run(*GIT, *arguments)
    assert done.returncode == 0, done.stderr


def tasks(workspace: Servers) -> dict[str, str]:
    """Name of the state of each task of the newest run."""
    prefect = Prefect(workspace.prefect_env()["PREFECT_API_URL"])
    return prefect.tasks(prefect.runs()[0])


def test_the_flow_updates_the_data_first_and_pushes_last(first: Servers):
    states = tasks(first)
    assert states["update data/source.dvc"] == "Cached"  # it has just been imported
    assert states["push"] == "Completed"
    assert states["fetch"] == "Completed"
    assert states["train@unet"] == "Completed"


def test_a_file_that_somebody_put_into_followed_data_is_not_updated_away(first: Servers):
    own = first.root / "data/source/images/mine.png"
    own.write_bytes(b"mine")
    done = first.run(*FLOW)
    kept = own.read_bytes()
    own.unlink()
    assert done.returncode == 1
    assert (
        "error: data/source/images/mine.png: not as `dvc update` brought it, which would delete it"
        in done.stderr
    )
    assert kept == b"mine"


def test_a_second_clone_goes_on_where_the_first_stopped(first: Servers, tmp_path: Path):
    second = Clone(first, tmp_path / "repository")
    try:
        done = second.run(*FLOW)
        assert done.returncode == 0, done.stdout + done.stderr
        states = tasks(second)
        assert "unet: step" not in done.stderr + done.stdout
        assert {
            states[name] for name in ("validate", "augment", "train@unet", "evaluate@unet")
        } <= {"Restored", "Cached"}
        # outs that DVC leaves in place for their stage, its cache of runs does not hold: one lists,
        # one packs anew
        assert states["ingest"] == states["split"] == "Completed"
        assert states["register again"] == "Completed"  # its registry was empty
        assert (second.root / "models/unet/model.safetensors").exists()
    finally:
        second.maskmill("down")


def test_new_data_at_the_source_is_seen_and_only_what_depends_on_it_runs(first: Servers):
    add_pair(first.elsewhere, 6)
    done = first.run(*FLOW)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "data/source/images/a6.png" in (first.root / "data/raw/index.csv").read_text()
    states = tasks(first)
    assert states["update data/source.dvc"] == states["train@unet"] == "Completed"


def test_a_remote_that_takes_nothing_fails_the_flow_only_at_the_push(first: Servers):
    config = first.root / ".dvc/config"
    kept = config.read_text()
    config.write_text(kept.replace("s3://kept", "s3://no-such-bucket"))
    done = first.run(*FLOW, "--no-update-data")
    config.write_text(kept)
    assert done.returncode == 1
    assert "error: push: " in done.stderr
    assert tasks(first)["report"] == "Cached"


def test_a_flipped_byte_on_the_remote_is_found_before_it_is_used(first: Servers, tmp_path: Path):
    kept = tmp_path / "kept"
    assert first.maskmill("remote", "set", str(kept)).returncode == 0
    assert first.dvc("push", "--run-cache").returncode == 0
    git(first, "commit", "--quiet", "--all", "--message", "another remote")
    second = Clone(first, tmp_path / "repository")
    folders = [stored(kept, path, first) for path in ("data/prepared/shards", "challenger")]
    listed = json.loads(folders[0].read_text())
    single = stored(kept, "data/prepared/pairs.parquet", first)
    shard = stored(kept, next(file["md5"] for file in listed if file["relpath"].endswith(".bin")))
    weights = stored(kept, "models/unet/model.safetensors", first)
    for hurt in (shard, weights):
        flip(hurt)
    pulled = second.dvc("pull")
    assert pulled.returncode != 0
    cached = {path.name for path in (second.root / ".dvc/cache").rglob("*") if path.is_file()}
    assert cached.isdisjoint({shard.name, weights.name})
    for hurt in (shard, weights, single):
        hurt.unlink(missing_ok=True)  # DVC has dropped those that it has come to

    assert first.dvc("push").returncode == 0
    assert single.exists(), "a single file that is gone is sent again"
    assert not shard.exists(), "one of a folder is not, as long as the folder's list is there"
    assert not weights.exists(), "nor one that is in a folder as well: the challenger's"
    for folder in folders:
        folder.unlink()
    assert first.dvc("push").returncode == 0
    assert shard.exists()
    assert weights.exists()
    assert second.dvc("pull", "--run-cache").returncode == 0, "the whole ones are taken again"
    assert ran(second.dvc("repro")) in ([], ["register"], ["register", "report"])


def stored(remote: Path, what: str, workspace: Servers | None = None) -> Path:
    """The file on the remote with this digest, or that of an out of the workspace."""
    if workspace:
        stages = YAML(typ="safe").load(workspace.root / "dvc.lock")["stages"].values()
        what = next(out["md5"] for stage in stages for out in stage["outs"] if out["path"] == what)
    (found,) = remote.glob(f"files/md5/{what[:2]}/{what[2:]}")
    return found


def flip(path: Path) -> None:
    """Change one bit in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
