"""Images in, masks out: each once, the same on every path, and nothing lost by a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskmill.images import decode, rows
from maskmill.inference.batch.canvas import Canvas
from maskmill.inference.batch.inputs import find_inputs
from maskmill.inference.batch.journal import NAME
from maskmill.inference.batch.run import Model, Wanted, predict_all
from maskmill.inference.predict import Predictor
from maskmill.settings.config import Decoding, Inference

SMALL = Inference(whole_px=128 * 128, tile_px=128, overlap_px=64)


def picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def draw(image, mask):
    return np.repeat((mask * 60)[..., None], 3, axis=2)


OVERLAYS = Wanted(draw=draw)


@pytest.fixture
def model(save_model):
    return Model(Predictor(save_model(), settings=SMALL), "shapes version 7", "0123abcd")


@pytest.fixture
def run(tmp_path, model):
    """A function that predicts what is in tmp_path/in, and gives the outcome."""

    def run(wanted=OVERLAYS, model=model, named="in", out="out"):
        inputs = find_inputs([str(tmp_path / named)], [], tmp_path / out)
        return predict_all(inputs, tmp_path / out, model, wanted)

    return run


def events(out):
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def names_in(folder):
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def test_masks_are_those_of_the_predictor_tiled_or_not(tmp_path, run, model):
    images = {"small": picture(40, 56), "large": picture(300, 222)}
    for name, pixels in images.items():
        decode.write_png(tmp_path / f"in/{name}.png", pixels)
    assert run().predicted == 2
    for name, pixels in images.items():
        mask = decode.mask(tmp_path / f"out/{name}_mask.png")
        assert np.array_equal(mask, model.predictor.predict(pixels))
        assert np.array_equal(
            decode.image(tmp_path / f"out/{name}_overlay.png", 3)[..., 0], mask * 60
        )
    tiles = Counter(
        e["input"].rpartition("/")[2] for e in events(tmp_path / "out") if e["event"] == "tile"
    )
    done = {
        e["input"].rpartition("/")[2]: e for e in events(tmp_path / "out") if e["event"] == "done"
    }
    assert tiles == {"large.png": done["large.png"]["tiles"]}
    assert (done["small.png"]["tiles"], done["small.png"]["height"]) == (1, 40)
    assert sum(done["large.png"]["shares"].values()) == pytest.approx(1)


def test_a_second_run_predicts_what_is_new_alone(tmp_path, run, monkeypatch):
    for name in ("a", "b"):
        decode.write_png(tmp_path / f"in/{name}.png", picture(20, 30))
    assert (run().predicted, run().skipped) == (2, 2)
    before = {
        name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names_in(tmp_path / "out")
    }
    decode.write_png(tmp_path / "in/c.png", picture(20, 30))
    (tmp_path / "out/b_mask.png").unlink()  # what is gone is made anew, under its name
    outcome = run()
    assert (outcome.predicted, outcome.skipped) == (2, 1)
    assert set(names_in(tmp_path / "out")) == before.keys() | {"c_mask.png", "c_overlay.png"}
    assert (tmp_path / "out/a_mask.png").stat().st_mtime_ns == before["a_mask.png"]


def test_images_of_one_name_have_results_of_two(tmp_path, run):
    decode.write_png(tmp_path / "in/same.png", picture(20, 30))
    Image.fromarray(picture(24, 36)).save(tmp_path / "in/same.jpg")
    run(Wanted())
    sizes = {
        n: decode.mask(tmp_path / "out" / n).shape for n in names_in(tmp_path / "out") if n != NAME
    }
    assert sizes == {"same_mask.png": (24, 36), "same_png_mask.png": (20, 30)}


def test_a_wrong_image_is_told_and_the_others_are_predicted(tmp_path, run):
    decode.write_png(tmp_path / "in/b.png", picture(20, 30))
    (tmp_path / "in/a.png").write_bytes(b"no image")
    outcome = run()
    assert (outcome.predicted, len(outcome.failed)) == (1, 1)
    assert "a.png: not an image by its first bytes" in next(iter(outcome.failed.values()))
    decode.write_png(tmp_path / "in/a.png", picture(20, 30))
    outcome = run()
    assert (outcome.predicted, outcome.skipped, outcome.failed) == (1, 1, {})


def test_what_the_models_own_decoding_refuses_is_said_to_be_the_cards(tmp_path, run):
    Image.fromarray(picture(20, 30, 3)).save(tmp_path / "rgb.png")
    (error,) = run(named="rgb.png").failed.values()
    assert "data.decoding.colour" in error
    assert "what counts is the model's card, model.json" in error
    (error,) = run(named="none.png").failed.values()
    assert "card" not in error


def test_that_is_said_also_where_the_pixels_alone_show_it(tmp_path, run, monkeypatch):
    monkeypatch.setattr(rows, "_WHOLE_PX", 1000)
    clear = np.dstack([picture(290, 90), np.full((290, 90), 255, np.uint8)])
    clear[200:, :, 1] = 100
    options = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "rowsperstrip": 10}
    tifffile.imwrite(tmp_path / "x.tif", clear, planarconfig="contig", **options)
    (error,) = run(named="x.tif").failed.values()
    assert "x.tif: rows 192 to 256: " in error
    assert error.count("what counts is the model's card, model.json") == 1
    assert names_in(tmp_path / "out") == [NAME]


def test_results_name_the_model_and_the_data(tmp_path, run):
    decode.write_png(tmp_path / "in/a.png", picture(20, 30))
    run(Wanted(confidence="margin", draw=draw))
    for kind in ("mask", "confidence", "overlay"):
        with Image.open(tmp_path / f"out/a_{kind}.png") as image:
            image.load()
            assert image.text["maskmill.model"] == "shapes version 7"
            assert image.text["maskmill.data_hash"] == "0123abcd"
            assert len(image.text["maskmill.weights_sha256"]) == 64
            assert image.text["maskmill.classes"] == "0 a, 1 b, 2 c, 3 d"


@pytest.mark.parametrize("kind", ["margin", "entropy"])
def test_confidence_is_high_where_the_probabilities_are_clear(tmp_path, run, model, kind):
    x = picture(40, 56)
    decode.write_png(tmp_path / "in/a.png", x)
    run(Wanted(confidence=kind))
    found = decode.mask(tmp_path / "out/a_confidence.png") / 255
    p = model.predictor.logits(x).softmax(0).numpy().astype(float)
    by_hand = {
        "margin": np.sort(p, axis=0)[-1] - np.sort(p, axis=0)[-2],
        "entropy": 1 + (p * np.log(p)).sum(0) / np.log(4),
    }[kind]
    assert np.abs(found - by_hand).max() < 0.0021


def test_a_file_larger_than_the_decoder_takes_is_read_in_parts(
    tmp_path, run, save_model, monkeypatch
):
    monkeypatch.setattr(rows, "_WHOLE_PX", 1000)
    x = picture(260, 300)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/a.tif", x, tile=(64, 64), compression="zlib")
    strict = Predictor(save_model(decoding=Decoding(max_pixels=10_000)), settings=SMALL)
    assert run(Wanted(), Model(strict, "m version 1", "")).failed == {}
    assert np.array_equal(decode.mask(tmp_path / "out/a_mask.png"), strict.predict(x))
    tifffile.imwrite(tmp_path / "in/a.tif", x, compression="zlib", rowsperstrip=260)
    (error,) = run(Wanted(), Model(strict, "m version 1", "")).failed.values()
    assert "a strip or tile of 300 x 260 px, which are decoded at once" in error


def test_pages_of_a_stack_have_a_mask_each(tmp_path, run, model):
    stack = picture(3, 40, 56)
    tifffile.imwrite(tmp_path / "s.tif", stack, photometric="minisblack")
    assert run(named="s.tif").predicted == 3
    for page in range(3):
        mask = decode.mask(tmp_path / f"out/s_p{page + 1:04d}_mask.png")
        assert np.array_equal(mask, model.predictor.predict(stack[page]))


def test_work_that_a_kill_has_left_of_another_version_of_an_image_is_not_used(
    tmp_path, run, model, monkeypatch
):
    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    decode.write_png(tmp_path / "x.png", picture(300, 200))
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Canvas, "shares", killed)
        run(named="x.png")
    assert [path.name for path in (tmp_path / "out/.work").rglob("mask")] == ["mask"]
    larger = picture(500, 200, seed=1)
    decode.write_png(tmp_path / "x.png", larger)
    assert run(named="x.png").failed == {}
    assert np.array_equal(
        decode.mask(tmp_path / "out/x_2_mask.png"), model.predictor.predict(larger)
    )
    assert not (tmp_path / "out/.work").exists()


CHILD = """
import sys
from pathlib import Path
import torch
from maskmill.inference.batch.inputs import find_inputs
from maskmill.inference.batch.run import Model, Wanted, predict_all
from maskmill.inference.predict import Predictor
from maskmill.settings.config import Inference
torch.set_num_threads(1)
model, images, out = map(Path, sys.argv[1:])
small = Inference(whole_px=128 * 128, tile_px=128, overlap_px=64)
outcome = predict_all(
    find_inputs([str(images)], [], out), out,
    Model(Predictor(model, settings=small), "m version 1", ""), Wanted(confidence="margin"),
)
print(outcome.predicted, outcome.skipped)
"""


def test_killed_in_small_and_in_large_images_no_result_is_lost_or_made_twice(tmp_path, save_model):
    for i in range(20):
        decode.write_png(tmp_path / f"in/{i:02d}.png", picture(100, 120, seed=i))
    decode.write_png(tmp_path / "in/large.png", picture(1500, 200))
    folder, out = save_model(), tmp_path / "out"

    def start(into):
        command = [sys.executable, "-c", CHILD, str(folder), str(tmp_path / "in"), str(into)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)

    undisturbed = start(tmp_path / "quiet")
    for reached in (lambda e: e["event"] == "done", lambda e: e.get("row") == 5):
        child, until = start(out), time.monotonic() + 120
        while not (out / NAME).exists() or not any(map(reached, whole_events(out))):
            assert child.poll() is None
            assert time.monotonic() < until
            time.sleep(0.001)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    rows_before = max(e["row"] for e in whole_events(out) if e["event"] == "tile")
    last, _ = start(out).communicate(timeout=120)
    assert undisturbed.wait(120) == 0
    noted = events(out)
    assert Counter(e["event"] for e in noted)["begun"] == 21
    assert Counter(e["input"] for e in noted if e["event"] == "done").most_common(1)[0][1] == 1
    assert sum(e["event"] == "done" for e in noted) == 21
    tiles = [(e["row"], e["column"]) for e in noted if e["event"] == "tile"]
    assert len(tiles) == len(set(tiles))
    assert max(tiles)[0] > rows_before
    predicted, skipped = map(int, last.split())
    assert (predicted, skipped) == (21 - skipped, 20)
    assert names_in(out) == names_in(tmp_path / "quiet")
    for name in names_in(out):
        if name != NAME:
            assert (out / name).read_bytes() == (tmp_path / "quiet" / name).read_bytes(), name


def whole_events(out):
    lines = (out / NAME).read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]
