"""The real line in a clone with tiny settings: what it runs, skips, leaves and tells a user."""

import json
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from maskmill.inference.predict import Predictor
from maskmill.report import index_page
from maskmill.settings.config import read_yaml
from maskmill.system.files import sha256
from pipelines import local
from tests.pipelines.conftest import Workspace, change_params, copy, ran, stages_of

STAGES = [
    "settings", "ingest", "validate", "split", "augment", "train@unet", "train@resnet18_unet",
    "evaluate@unet", "evaluate@resnet18_unet", "select", "register", "report",
]  # fmt: skip


def test_the_first_run_runs_every_stage_and_promotes(workspace: Workspace):
    assert set(stages_of(workspace.said)) >= set(STAGES)
    registration = json.loads((workspace.root / "metrics/registration.json").read_text())
    assert registration["outcome"] == "promoted"
    assert registration["champion"]["version"] == 1
    assert "gate: icbm152 version 1 promoted" in workspace.said
    assert workspace.said.rstrip().endswith(
        "look at reports/index.html; then: make predict IMAGE=x.png"
    )


def test_the_expected_time_is_said_before_a_training_starts(workspace: Workspace):
    lines = workspace.said.splitlines()
    expected = next(
        i
        for i, line in enumerate(lines)
        if line.startswith("unet:") and "steps of 2 at 184 x 152 px: about" in line
    )
    started = next(i for i, line in enumerate(lines) if line.startswith("unet: step"))
    assert expected < started


def test_the_page_holds_everything_and_asks_for_nothing(workspace: Workspace):
    page = (workspace.root / "reports/index.html").read_text()
    for part in index_page.SECTIONS:
        assert f'<section id="{part}"' in page
    for text in (
        "resnet18_unet",
        "intensity look-up table",
        "nearest training image",
        "majority class",
        "Worst 1:",
    ):
        assert text in page
    assert set(re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page)) == {"data.html"}
    assert "<script" not in page
    assert "@import" not in page
    run = json.loads((workspace.root / "metrics/registration.json").read_text())["runs"]["unet"]
    assert run[:12] in page


def test_a_training_is_one_run_in_mlflow_with_its_data_and_commit(workspace: Workspace):
    code = (
        "from maskmill.settings import config; from maskmill.tracking import stores; import json,"
        " sys;p = config.load(); s = stores.connect_store(p.tracking,"
        " p.paths);print(json.dumps([[r.data.tags['variant'],"
        " r.data.tags['mlflow.source.git.commit'], r.inputs.dataset_inputs[0].dataset.digest,"
        " sorted(r.data.metrics), r.data.params['train.steps']] for r in"
        " s.client.search_runs([s.experiment_id])]))"
    )
    recorded = json.loads(workspace.run(sys.executable, "-c", code).stdout)
    assert sorted(row[0] for row in recorded) == ["resnet18_unet", "unet"]
    commit = workspace.run("git", "rev-parse", "HEAD").stdout.strip()
    lock = (workspace.root / "dvc.lock").read_text()
    for _, recorded_commit, digest, metrics, steps in recorded:
        assert recorded_commit == commit
        assert len(digest) == 32
        assert digest in lock
        assert {"loss", "val_dice_foreground", "test_dice_foreground"} <= set(metrics)
        assert steps == "6"


def test_the_working_tree_stays_clean_but_for_the_lock(workspace: Workspace):
    assert workspace.run("git", "status", "--porcelain").stdout.split() == ["??", "dvc.lock"]


def test_what_python_has_compiled_is_no_dependency(workspace: Workspace):
    stages = YAML(typ="safe").load(workspace.root / "dvc.lock")["stages"].values()
    folders = [
        dep
        for stage in stages
        for dep in stage["deps"]
        if dep["path"].startswith("src/") and "nfiles" in dep
    ]
    assert [dep["path"] for dep in folders] == ["src/maskmill"]
    assert any(workspace.root.glob("src/maskmill/training/__pycache__/*.pyc"))
    for dep in folders:
        files = [path for path in (workspace.root / dep["path"]).rglob("*") if path.is_file()]
        assert dep["nfiles"] == len([path for path in files if path.suffix != ".pyc"]), dep


def test_the_champion_predicts_what_was_evaluated(workspace: Workspace):
    code = (
        "import maskmill, numpy as np, sys; from PIL import Image;"
        "mask = maskmill.load('models:/icbm152@champion')"
        ".predict('data/raw/images/icbm152_z081.png');"
        "Image.fromarray(mask).save('mask.png'); print(mask.shape, mask.dtype)"
    )
    done = workspace.run(sys.executable, "-c", code)
    assert "(184, 152) uint8" in done.stdout, done.stderr
    champion = json.loads((workspace.root / "metrics/registration.json").read_text())["champion"]
    expected = Predictor(workspace.root / "models" / champion["variant"])
    assert expected.card.sha256 == champion["weights_sha256"]
    served = np.asarray(Image.open(workspace.root / "mask.png"))
    np.testing.assert_array_equal(
        served, expected.predict(workspace.root / "data/raw/images/icbm152_z081.png")
    )
    (workspace.root / "mask.png").unlink()


def test_predict_writes_mask_and_overlay_for_any_size(workspace: Workspace):
    image = workspace.root / "odd.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (47, 33), dtype=np.uint8)).save(image)
    done = workspace.run("maskmill", "predict", "odd.png")
    assert "look at predictions/odd_overlay.png" in done.stdout, done.stderr
    assert Image.open(workspace.root / "predictions/odd_mask.png").size == (33, 47)
    assert Image.open(workspace.root / "predictions/odd_overlay.png").mode == "RGB"
    image.unlink()


def test_a_second_repro_does_nothing(workspace: Workspace):
    done = workspace.dvc("repro")
    assert ran(done) == []
    assert "up to date" in done.stdout


def test_a_comment_and_an_unused_loss_run_nothing_and_a_statement_runs_what_reaches_it(
    workspace: Workspace,
):
    def repro_with(file: str, text: str) -> list[str]:
        path = workspace.root / "src/maskmill" / file
        before = path.read_text()
        path.write_text(before + text)
        done = workspace.dvc("repro", "select")
        path.write_text(before)
        assert done.returncode == 0, done.stderr
        return stages_of(done.stdout)

    assert repro_with("losses/dice.py", "# a remark\n") == ["settings"]
    assert repro_with("losses/focal.py", "ALPHA = 1\nprint(ALPHA)\n") == ["settings"]
    assert repro_with("stages/select.py", "print('mine')\n") == ["settings", "select"]
    assert stages_of(workspace.dvc("repro").stdout) == ["settings", "select"]


def test_a_setting_that_is_left_out_has_its_default_and_runs_nothing(workspace: Workspace):
    path = workspace.root / "params.yaml"
    before = path.read_text()
    values = read_yaml(path)
    del values["slices"], values["train"]["seed"]
    path.write_text(json.dumps(values))
    done, checked = workspace.dvc("repro"), workspace.run(sys.executable, "-m", "maskmill", "check")
    path.write_text(before)
    assert done.returncode == checked.returncode == 0, done.stderr + checked.stderr
    assert stages_of(done.stdout) == ["settings"]
    assert checked.stdout.splitlines()[1:] == [
        "params.yaml does not name 4 settings, which have their defaults (docs/settings.md):",
        "  train.seed: 0", "  slices.columns: []", "  slices.bins: 4", "  slices.minimum: 5",
    ]  # fmt: skip


def test_same_seed_gives_bit_equal_weights_and_metrics(workspace: Workspace):
    outs = [
        workspace.root / path
        for path in ("models/unet/model.safetensors", "metrics/test/unet.json")
    ]
    before = [sha256(path) for path in outs]
    for folder in (workspace.root / ".maskmill/checkpoints/unet").iterdir():
        for checkpoint in folder.iterdir():
            checkpoint.unlink()  # or the finished training would only be read back
    workspace.dvc("repro", "--single-item", "--force", "--no-run-cache", "train@unet")
    done = workspace.dvc("repro", "--single-item", "--force", "--no-run-cache", "evaluate@unet")
    assert ran(done) == ["evaluate@unet"], done.stderr
    assert [sha256(path) for path in outs] == before


@pytest.mark.usefixtures("params_kept")
def test_a_variants_option_runs_that_variant_and_what_depends_on_it(workspace: Workspace):
    workspace.set(models__resnet18_unet__width=9)
    assert ran(workspace.dvc("repro")) == [
        "train@resnet18_unet", "evaluate@resnet18_unet", "select", "register", "report",
    ]  # fmt: skip


def test_an_option_set_back_is_restored_without_training(workspace: Workspace):
    done = workspace.dvc("repro")
    assert [stage for stage in ran(done) if stage.startswith(("train", "evaluate"))] == []
    registration = json.loads((workspace.root / "metrics/registration.json").read_text())
    assert registration["outcome"] in ("kept", "promoted", "refused")


@pytest.mark.usefixtures("params_kept")
def test_a_threshold_of_the_gate_runs_the_gate_and_the_report(workspace: Workspace):
    workspace.set(gate__minimum={"dice_foreground": 0.999})
    done = workspace.pipeline()
    assert ran(done) == ["register", "report"]
    assert done.returncode == 0  # a refused gate is a result
    assert "refused: minimum dice_foreground" in done.stdout
    assert "is below 0.9990; version" in done.stdout
    assert workspace.run("maskmill", "gate").returncode == 0
    assert workspace.run("maskmill", "gate", "--strict").returncode == 3
    assert "refused" in (workspace.root / "reports/index.html").read_text()


def test_dvc_shows_metrics_parameters_plots_and_the_model(workspace: Workspace):
    shown = json.loads(workspace.dvc("metrics", "show", "--json").stdout)[""]["data"]
    assert set(shown["metrics/test/unet.json"]["data"]) >= {
        "dice_foreground",
        "miou",
        "dice/csf",
        "iou/csf",
    }
    plots = json.loads(workspace.dvc("plots", "show", "--json").stdout)["data"]
    drawn = {"models/unet/history.csv", "reports/augmentation.png", "reports/plots/classes.csv"}
    assert drawn | {"reports/plots/confusion.csv"} <= set(plots)
    code = (
        "from dvc.repo import Repo;"
        " print(Repo('.').artifacts.read()['dvc.yaml']['challenger'].path)"
    )
    assert workspace.run(sys.executable, "-c", code).stdout.strip() == "challenger"


@pytest.mark.slow
@pytest.mark.usefixtures("params_kept")
def test_an_experiment_records_but_never_promotes(workspace: Workspace):
    workspace.run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "add", "--all")
    workspace.run(
        "git",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "commit",
        "--quiet",
        "-m",
        "first run",
    )
    changed = workspace.dvc(
        "exp", "run", "--name", "seven", "-S", "train.seed=7", "-S", "variants=[unet]"
    )
    assert changed.returncode == 0, changed.stdout + changed.stderr
    registration = json.loads((workspace.root / "metrics/registration.json").read_text())
    assert registration["outcome"] in ("recorded", "refused")
    again = workspace.pipeline()  # outside an experiment what was recorded goes through the gate
    assert ("registering again" in again.stdout) == (registration["outcome"] == "recorded")
    assert (
        json.loads((workspace.root / "metrics/registration.json").read_text())["outcome"]
        != "recorded"
    )
    diff = json.loads(workspace.dvc("params", "diff", "--json").stdout)["params.yaml"]["train.seed"]
    assert (diff["old"], diff["new"]) == (0, 7)
    assert "seven" in workspace.dvc("exp", "show", "--csv").stdout
    workspace.run("git", "checkout", "--", ".")
    workspace.dvc("checkout", "--force")


@pytest.mark.slow
def test_a_lost_registry_is_filled_again(finished: Workspace, tmp_path: Path):
    workspace = copy(finished, tmp_path / "repository")
    (workspace.root / ".maskmill/mlflow/mlflow.db").unlink()
    done = workspace.pipeline()
    assert "registering again" in done.stdout
    assert workspace.run("maskmill", "predict", "data/raw/images/icbm152_z080.png").returncode == 0


def test_without_a_champion_the_error_says_what_to_run(workspace: Workspace):
    done = workspace.run(
        "maskmill",
        "predict",
        "data/raw/images/icbm152_z080.png",
        env={"MLFLOW_TRACKING_URI": "sqlite:///empty.db"},
    )
    (workspace.root / "empty.db").unlink()
    assert done.returncode == 2
    assert "no version of 'icbm152' has alias 'champion'" in done.stderr
    assert "no version is registered yet; `make pipeline` trains and registers one" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("params_kept")
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"variants": ["unett"]}, "models.unett: 'unett' is no network; did you mean 'unet'"),
        (
            {"models.unet.feature_scal": 4},
            "models.unet.feature_scal is not an option; did you mean 'feature_scale'?",
        ),
        (
            {"train.learning_rate": -1.0},
            "train.learning_rate: got -1.0: input should be greater than 0",
        ),
        ({"train.stepz": 5}, "train.stepz is not a setting; did you mean 'steps'?"),
        (
            {"gate.minimum": {"dice_forground": 0.5}},
            "gate.minimum: 'dice_forground' is no metric; did you mean",
        ),
        ({"models.unet.feature_scale": 32}, "allowed are 1 to 16"),
    ],
)
def test_a_bad_setting_is_refused_and_changes_nothing(
    workspace: Workspace,
    values: dict[str, object],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys,
):
    before = snapshot(workspace)
    change_params(workspace.root, values)
    monkeypatch.chdir(workspace.root)
    monkeypatch.setattr(local, "die_with_parent", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert local.main() == 2
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""
    assert snapshot(workspace) == before


def test_bad_data_is_refused_with_file_names_and_the_outs_come_back(
    finished: Workspace, tmp_path: Path
):
    workspace = copy(finished, tmp_path / "repository")
    source, kind = workspace.root / "data/source", workspace.root / "data/source.yaml"
    before = snapshot(workspace)
    for folder in ("images", "masks"):
        (source / folder).mkdir(parents=True)
    Image.new("L", (40, 40)).save(source / "images/good.png")
    Image.new("L", (40, 40)).save(source / "masks/good.png")
    (source / "images/cut.png").write_bytes((source / "images/good.png").read_bytes()[:58])
    Image.new("L", (40, 40)).save(source / "masks/cut.png")
    kind.write_text("kind: folder\n")
    done = workspace.pipeline()
    assert done.returncode != 0
    assert "data/source/images/cut.png: broken or unreadable" in done.stderr
    assert "what stood on disk before is back in place" in done.stderr

    (source / "images/cut.png").unlink()
    Image.new("L", (40, 41)).save(source / "images/cut.png")
    Image.new("L", (40, 40), 7).save(source / "masks/good.png")
    Image.new("L", (40, 40)).save(source / "images/alone.png")
    done = workspace.pipeline()
    assert (
        "an image and its mask have one size: data/source/images/cut.png is 40 x 41 px, its mask 40"
        " x 40" in done.stderr
    )
    assert (
        "a mask holds the ids 0..3 or ignore_index 255 only: data/source/masks/good.png has 7"
        " (1600 px)" in done.stderr
    )
    assert "every image has a mask: data/source/images/alone.png" in done.stderr
    assert "look at reports/problems.html" in done.stderr
    assert "data/source/images/alone.png" in (workspace.root / "reports/problems.html").read_text()
    assert snapshot(workspace) == before


def test_a_failed_run_leaves_the_users_own_dvc_files_alone(workspace: Workspace):
    other, kind = workspace.root / "data/other", workspace.root / "data/source.yaml"
    icbm = kind.read_text()
    other.mkdir()
    (other / "versioned").write_text("a")
    assert workspace.dvc("add", "data/other").returncode == 0
    (other / "new").write_text("not in any cache")
    kind.write_text("kind: folder\n")
    done = workspace.pipeline()
    kind.write_text(icbm)
    assert done.returncode != 0
    assert "data/source/images: no images; put them there" in done.stderr
    assert (other / "new").read_text() == "not in any cache"


def snapshot(workspace: Workspace) -> dict[str, str]:
    """Digests of what a user would miss: models, metrics, reports, the registry's file."""
    folders = ("data/raw", "data/prepared", "models", "metrics", "reports", "challenger")
    return {
        str(path.relative_to(workspace.root)): sha256(path)
        for folder in folders
        for path in sorted((workspace.root / folder).rglob("*"))
        if path.is_file() and path.name not in (".gitignore", "problems.html")
    }
