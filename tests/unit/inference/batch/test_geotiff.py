"""A GeoTIFF's mask lies where the GeoTIFF lies."""

import numpy as np
import pytest

from maskmill.images import decode
from maskmill.inference.batch import geotiff
from maskmill.inference.batch.inputs import find_inputs
from maskmill.inference.batch.run import Model, Wanted, predict_all
from maskmill.inference.predict import Predictor
from maskmill.settings.config import Inference
from maskmill.system.errors import MaskmillError

SMALL = Inference(whole_px=128 * 128, tile_px=128, overlap_px=64)


@pytest.fixture
def scene(tmp_path):
    """A GeoTIFF whose upper left corner holds no data."""
    rasterio = pytest.importorskip("rasterio", reason="needs the extra `geo`")
    pixels = np.random.default_rng(0).integers(1, 256, (600, 700), np.uint8)
    pixels[:50, :80] = 0
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "height": 600, "width": 700,
        "crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_400_000),
        "nodata": 0, "tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "lzw",
    }  # fmt: skip
    with rasterio.open(tmp_path / "scene.tif", "w", **profile) as file:
        file.write(pixels, 1)
    return tmp_path / "scene.tif", pixels


@pytest.fixture
def model(save_model):
    return Model(Predictor(save_model(), settings=SMALL), "shapes version 7", "0123abcd")


def predict(path, model, **wanted):
    out = path.parent / "out"
    return predict_all(find_inputs([str(path)], [], out), out, model, Wanted(**wanted))


def test_crs_transform_and_nodata_are_kept(scene, model):
    import rasterio

    path, pixels = scene
    assert predict(path, model).failed == {}
    with rasterio.open(path) as given, rasterio.open(path.parent / "out/scene_mask.tif") as made:
        assert made.crs == given.crs
        assert made.transform == given.transform
        assert made.nodata == 255
        assert made.tags()["maskmill.model"] == "shapes version 7"
        assert made.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        mask = made.read(1)
    wanted = np.where(pixels == 0, 255, model.predictor.predict(pixels))
    assert np.array_equal(mask, wanted)
    # maskmill's own decoder reads it, too
    assert np.array_equal(decode.mask(path.parent / "out/scene_mask.tif"), wanted)


def test_without_rasterio_the_mask_is_png_and_that_is_said(scene, model, monkeypatch):
    monkeypatch.setattr(geotiff, "is_installed", lambda: False)
    outcome = predict(scene[0], model)
    assert outcome.without_place == 1
    assert (scene[0].parent / "out/scene_mask.png").exists()
    with pytest.raises(MaskmillError, match=r"--format tif needs rasterio; install: .*\[geo\]"):
        geotiff.check_installed()


def test_an_image_without_a_place_can_be_asked_for_as_tif(tmp_path, model):
    pytest.importorskip("rasterio", reason="needs the extra `geo`")
    x = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    decode.write_png(tmp_path / "a.png", x)
    assert predict(tmp_path / "a.png", model, form="tif").failed == {}
    found = decode.mask(tmp_path / "out/a_mask.tif")
    assert np.array_equal(found, model.predictor.predict(x))
