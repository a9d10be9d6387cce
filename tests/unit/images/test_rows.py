"""A TIFF that is read in parts has the pixels of one that is read as a whole."""

import numpy as np
import pytest
import tifffile

from maskmill.images import decode, rows
from maskmill.images.formats import tiff
from maskmill.images.rows import ArrayRows, TiffRows, count_pages, open_rows
from maskmill.settings.config import STRICT, Decoding

LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 37, "compression": "lzw"},
    "tiles": {"tile": (64, 128), "compression": "zlib"},
    "predictor": {"tile": (32, 32), "compression": "zlib", "predictor": 2},
    "jpeg": {"tile": (64, 64), "compression": "jpeg"},
    "planes": {"planarconfig": "separate"},
    "planes in tiles": {"planarconfig": "separate", "tile": (32, 32), "compression": "zlib"},
}


@pytest.fixture(autouse=True)
def _always_in_parts(monkeypatch):
    monkeypatch.setattr(rows, "_WHOLE_PX", 1)
    monkeypatch.setattr(tiff, "_STRIP_BYTES", 20_000)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_part_is_that_of_the_whole(tmp_path, layout):
    pixels = np.random.default_rng(0).integers(0, 256, (301, 130, 3), np.uint8)
    apart = LAYOUTS[layout].get("planarconfig") == "separate"
    stored = pixels.transpose(2, 0, 1) if apart else pixels
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", **LAYOUTS[layout])
    whole, read = (
        decode.image(tmp_path / "x.tif", 3, STRICT),
        open_rows(tmp_path / "x.tif", 3, STRICT),
    )
    assert isinstance(read, TiffRows)
    assert (read.height, read.width) == (301, 130)
    if layout != "jpeg":
        assert np.array_equal(whole, pixels)
    for start, stop in [(0, 100), (60, 200), (150, 151), (140, 301), (300, 301), (3, 9), (0, 301)]:
        assert np.array_equal(read.rows(start, stop), whole[start:stop]), (start, stop)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_policy_is_that_of_the_decoder(tmp_path, dtype):
    values = np.random.default_rng(0).integers(0, 5000, (200, 90)).astype(dtype)
    tifffile.imwrite(tmp_path / "x.tif", values, tile=(32, 32))
    decoding = Decoding(value_range=(100.0, 4000.0))
    whole = decode.image(tmp_path / "x.tif", 1, decoding)
    assert np.array_equal(open_rows(tmp_path / "x.tif", 1, decoding).rows(50, 77), whole[50:77])
    with pytest.raises(decode.DecodeError, match=r"params\.yaml: data\.decoding\.value_range"):
        open_rows(tmp_path / "x.tif", 1, STRICT)


def test_rows_that_were_read_are_not_decoded_again(tmp_path, monkeypatch):
    tifffile.imwrite(
        tmp_path / "x.tif", np.zeros((400, 40), np.uint8), rowsperstrip=10, compression="lzw"
    )
    read, decoded = open_rows(tmp_path / "x.tif", 1, STRICT), []
    original = tiff.RowReader.rows
    monkeypatch.setattr(
        tiff.RowReader, "rows", lambda self, *span: decoded.append(span) or original(self, *span)
    )
    for start, stop in [(0, 100), (20, 80), (70, 170), (150, 250)]:
        read.rows(start, stop)
    assert decoded == [(0, 100), (100, 170), (170, 250)]


def test_damage_in_a_part_is_named(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (200, 90), np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", values, rowsperstrip=50, compression="zlib")
    content = bytearray((tmp_path / "x.tif").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    (tmp_path / "x.tif").write_bytes(content)
    read = open_rows(tmp_path / "x.tif", 1, STRICT)
    with pytest.raises(decode.DecodeError, match=r"x\.tif: rows 0 to 200: "):
        read.rows(0, 200)


def test_files_that_cannot_be_read_in_parts_are_decoded_as_a_whole(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    decode.write_png(tmp_path / "x.png", pixels)
    turned = {"extratags": [(274, "H", 1, 6, True)]}
    tifffile.imwrite(tmp_path / "x.tif", pixels, **turned)
    for name in ("x.png", "x.tif"):
        read = open_rows(tmp_path / name, 1, STRICT)
        assert isinstance(read, ArrayRows)
        whole = decode.image(tmp_path / name, 1, STRICT)
        assert np.array_equal(read.rows(0, read.height), whole)


def test_pages_are_counted_and_read_one_by_one(tmp_path):
    stack = np.random.default_rng(0).integers(0, 256, (3, 40, 50), np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", stack, photometric="minisblack")
    assert count_pages(tmp_path / "x.tif") == 3
    for page in range(3):
        read = open_rows(tmp_path / "x.tif", 1, STRICT, page)
        assert np.array_equal(read.rows(0, 40)[..., 0], stack[page])
    (tmp_path / "no.tif").write_bytes(b"II*\0")
    assert [count_pages(tmp_path / name) for name in ("no.tif", "none.tif")] == [1, 1]
