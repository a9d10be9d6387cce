"""`maskmill predict` and a loaded version give the masks of the registered weights."""

import subprocess
import sys

import numpy as np
from PIL import Image

from maskmill.images import decode
from maskmill.inference.predict import Predictor
from maskmill.settings.config import Inference
from tests.conftest import REPOSITORY
from tests.pipelines.conftest import change_params
from tests.serving.conftest import picture

TILES = {"whole_px": 4096, "tile_px": 64, "overlap_px": 32}


def test_files_are_predicted_by_the_champion_with_the_settings_of_params_yaml(registered, tmp_path):
    (tmp_path / "params.yaml").write_bytes((REPOSITORY / "params.yaml").read_bytes())
    change_params(tmp_path, {f"inference.{key}": value for key, value in TILES.items()})
    image = picture(100, 150)
    for name in ("same.png", "in/deep/large.png"):
        decode.write_png(tmp_path / name, image)
    Image.fromarray(image).save(tmp_path / "same.jpg", quality=40)
    command = [sys.executable, "-m", "maskmill", "predict", "same.png", "same.jpg", "in"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=registered.environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "models:/icbm152@champion (unet): 3 images predicted" in done.stdout
    predictor = Predictor(registered.folders["unet"], settings=Inference(**TILES))
    out = tmp_path / "predictions"
    for mask in ("same_mask.png", "deep/large_mask.png"):
        assert np.array_equal(decode.mask(out / mask), predictor.predict(image))
    lossy = decode.image(tmp_path / "same.jpg", 1)
    assert np.array_equal(decode.mask(out / "same_jpg_mask.png"), predictor.predict(lossy))
    with Image.open(out / "same_mask.png") as made:
        made.load()
        version = registered.versions["unet"]
        assert made.text["maskmill.model"] == f"icbm152 version {version}"
        assert made.text["maskmill.weights_sha256"] == predictor.card.sha256
    shown = decode.image(out / "same_overlay.png", 3)
    assert shown.shape == (100, 150, 3)
    assert (shown != np.repeat(image[..., None], 3, axis=2)).any()
