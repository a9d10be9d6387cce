import io
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskmill.data import decode
from maskmill.data.decode import DecodeError

GREY = np.arange(48 * 40, dtype=np.uint8).reshape(40, 48)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 48), np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def encoded(pixels, form="PNG", **options):
    buffer = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_pixels_come_back_as_they_were_written(form):
    assert np.array_equal(decode.image(encoded(GREY, form), 1), GREY[..., None])
    assert np.array_equal(decode.image(encoded(COLOUR, form), 3), COLOUR)


def test_the_first_bytes_decide_not_the_name(write):
    assert np.array_equal(decode.image(write("a.jpg", encoded(GREY)), 1)[..., 0], GREY)


def test_a_grey_file_fills_three_channels():
    assert np.array_equal(decode.image(encoded(GREY), 3), np.repeat(GREY[..., None], 3, axis=2))


def test_an_image_is_upright_by_its_exif_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    assert np.array_equal(decode.image(encoded(GREY, exif=exif), 1)[..., 0], np.rot90(GREY, -1))
    assert np.array_equal(decode.mask(encoded(GREY, exif=exif)), np.rot90(GREY, -1))


def test_a_palette_mask_keeps_its_ids():
    ids = np.array([[0, 1], [2, 200]], np.uint8)
    picture = Image.fromarray(ids)
    picture.putpalette(list(range(255, -1, -1)) * 3)
    assert picture.mode == "P"
    assert np.array_equal(decode.mask(encoded(picture)), ids)


def test_a_one_bit_mask_has_the_ids_0_and_1():
    assert np.array_equal(decode.mask(encoded(Image.fromarray(GREY > 99))), (GREY > 99).astype(np.uint8))


def test_png_bytes_keep_every_pixel():
    assert np.array_equal(decode.mask(decode.png_bytes(GREY)), GREY)
    assert np.array_equal(decode.image(decode.png_bytes(GREY[..., None]), 1)[..., 0], GREY)
    assert np.array_equal(decode.image(decode.png_bytes(COLOUR), 3), COLOUR)


@pytest.mark.parametrize("read", [lambda path: decode.image(path, 1), decode.mask], ids=["image", "mask"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"", "not an image by its first bytes; read are PNG, JPEG, TIFF, BMP, WEBP"),
        (b"GIF89a is not read", "not an image by its first bytes"),
        (encoded(NOISE)[:900], "broken or unreadable: "),
        (encoded(NOISE, "JPEG")[:900], "broken or unreadable: "),
        (encoded(NOISE, "TIFF")[:900], "broken or unreadable: "),
    ],
    ids=["missing", "empty", "gif", "cut png", "half jpeg", "cut tiff"],
)
def test_a_file_that_is_no_whole_image_is_named_with_the_reason(tmp_path, read, content, said):
    path = tmp_path / "scan.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DecodeError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: {said}")


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    with pytest.raises(DecodeError, match=str(tmp_path)):
        decode.image(tmp_path, 1)


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (COLOUR, "RGB"),
        (GREY.astype(np.uint16), "I;16"),
        (np.dstack([COLOUR, GREY]), "RGBA"),
    ],
)
def test_an_image_of_another_kind_than_grey_says_its_mode_and_the_way_out(write, pixels, mode):
    path = write("scan.png", encoded(pixels))
    with pytest.raises(DecodeError) as raised:
        decode.image(path, 1)
    assert str(raised.value) == (
        f"{path}: an image of mode {mode}; data.in_channels is 1, for which Pillow modes L are read; "
        "convert the file or change data.in_channels"
    )


@pytest.mark.parametrize("pixels", [np.dstack([COLOUR, GREY]), GREY.astype(np.uint16)], ids=["alpha", "16 bit"])
def test_colour_images_with_alpha_or_16_bits_are_refused(pixels):
    with pytest.raises(DecodeError, match=r"data\.in_channels is 3"):
        decode.image(encoded(pixels), 3)


@pytest.mark.parametrize(("pixels", "mode"), [(COLOUR, "RGB"), (GREY.astype(np.uint16), "I;16")])
def test_a_mask_of_colours_or_16_bits_says_its_mode_and_the_way_out(write, pixels, mode):
    path = write("mask.png", encoded(pixels))
    with pytest.raises(DecodeError) as raised:
        decode.mask(path)
    assert str(raised.value).startswith(f"{path}: a mask of mode {mode}; masks hold one 8-bit value per pixel")
    assert "save it as grey or palette PNG" in str(raised.value)


def test_bytes_are_called_by_the_name_they_are_given():
    with pytest.raises(DecodeError, match=r"^row 3: not an image"):
        decode.image(b"?", 1, "row 3")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [11_000, 30_000])
def test_too_many_pixels_are_refused_by_the_header_alone(side):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(DecodeError, match=r"bomb: .*(at most 100,000,000 px|exceeds limit)"):
        decode.image(bomb, 1, "bomb")


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(form=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "WEBP"]), data=st.data())
def test_a_damaged_file_is_an_image_or_a_decode_error_never_anything_else(form, data):
    content = bytearray(encoded(COLOUR if form == "WEBP" else GREY, form))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        pixels = decode.image(content, 3, "damaged")
    except DecodeError as error:
        assert str(error).startswith("damaged: ")
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3


def test_a_stack_of_pages_is_refused_with_their_number(tmp_path):
    pages = [Image.new("L", (8, 8), i) for i in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DecodeError, match=r"stack\.tif: 3 pages; one image per file is read"):
        decode.image(tmp_path / "stack.tif", 1)


def test_damage_that_pillow_has_no_error_for_is_a_broken_file():
    whole = encoded(np.zeros((4, 4), np.uint8), "TIFF")
    offset = re.search(rb"\x11\x01[\x03\x04]\x00\x01\x00\x00\x00", whole).start()  # tag 273: a number
    with pytest.raises(DecodeError, match="x: broken or unreadable"):  # Pillow: TypeError
        decode.image(whole[: offset + 2] + b"\x07" + whole[offset + 3 :], 1, "x")
