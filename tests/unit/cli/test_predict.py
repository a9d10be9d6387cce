"""`maskmill predict` says what it did, and what stands in the way."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from maskmill import models
from maskmill.cli import predict as command
from maskmill.cli.app import app
from maskmill.images import decode
from maskmill.inference import predict
from maskmill.inference.batch.run import Model
from maskmill.inference.predict import Predictor
from maskmill.samples.preprocessing import Preprocessing
from maskmill.system.errors import MaskmillError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs the command with a small model in an empty folder."""
    torch.manual_seed(0)
    options = {"feature_scale": 16}
    network = models.create("unet", in_channels=1, num_classes=2, **options)
    facts = {
        "variant": "unet", "options": options, "classes": ("rest", "cell"), "background": "rest",
        "ignore_index": 255, "colours": {"rest": "#000000", "cell": "#ff0000"}, "in_channels": 1,
        "preprocessing": Preprocessing(mean=(0.5,), std=(0.25,)), "precision": "fp32",
        "parameters": 1, "best_step": 1,
    }  # fmt: skip
    predict.save(tmp_path / "model", network.state_dict(), facts)
    loaded = Model(Predictor(tmp_path / "model"), "cells version 3", "")
    monkeypatch.setattr(command, "_load", lambda uri: loaded)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        arguments = ["predict", *arguments, "--model", "models:/cells/3"]
        return CliRunner().invoke(app, arguments, catch_exceptions=True)

    return run


def save(*names):
    for i, name in enumerate(names):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30), np.uint8)
        decode.write_png(command.Path(name), pixels)


def test_of_one_file_the_shares_and_the_places_are_said(run, tmp_path):
    save("x.png")
    for _ in range(2):  # what was predicted before is said again
        done = run("x.png")
        assert done.exit_code == 0
        mask = decode.mask(tmp_path / "predictions/x_mask.png")
        shares = f"rest {(mask == 0).mean():.1%}, cell {(mask == 1).mean():.1%}"
        assert done.stdout == (
            f"models:/cells/3 (unet): {shares}\n"
            "look at predictions/x_overlay.png; class ids are in predictions/x_mask.png\n"
        )
    assert sorted(path.name for path in (tmp_path / "predictions").iterdir()) == [
        "journal.jsonl", "x_mask.png", "x_overlay.png",
    ]  # fmt: skip


def test_other_files_are_never_written_over(run, tmp_path):
    save("x.png")
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions/x_mask.png").write_text("drawn by hand")
    assert "class ids are in predictions/x_2_mask.png" in run("x.png").stdout
    assert (tmp_path / "predictions/x_mask.png").read_text() == "drawn by hand"


def test_of_many_images_their_number_is_said(run, tmp_path):
    save("in/a.png", "in/b.png", "c.png")
    done = run("in", "c.png", "--out", "o", "--no-overlay", "--confidence", "entropy")
    assert done.stdout == (
        "models:/cells/3 (unet): 3 images predicted\n"
        "look at o; o/journal.jsonl says what became of each image\n"
    )
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"journal.jsonl"} | {
        f"{stem}_{kind}.png" for stem in "abc" for kind in ("mask", "confidence")
    }
    again = run("in", "c.png", "--out", "o", "--no-overlay", "--confidence", "entropy")
    assert "0 images predicted, 3 were predicted before" in again.stdout


def test_wrong_images_are_named_and_end_in_1(run, tmp_path):
    save("in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"no")
    done = run("in")
    assert done.exit_code == 1
    assert "1 images predicted, 1 failed" in done.stdout
    assert "failed:\n  in/b.png: not an image by its first bytes" in done.stdout
    failed = [json.loads(s) for s in (tmp_path / "predictions/journal.jsonl").open()]
    assert [e["input"] for e in failed if e["event"] == "failed"] == [str(tmp_path / "in/b.png")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "predict: which images? maskmill predict PATH.., or --list FILE"),
        (["none.png"], "none.png: no such file"),
    ],
    ids=["nothing", "absent"],
)
def test_a_mistake_is_an_error(run, arguments, said):
    error = run(*arguments).exception
    assert isinstance(error, MaskmillError)
    assert str(error) == said
