import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from maskmill.images import decode, mask_values, pixels
from maskmill.images.decode import DecodeError
from maskmill.images.formats import jpeg, tiff
from maskmill.settings.config import STRICT
from tests.bad_inputs import build, good
from tests.bad_inputs.build import encoded

GREY = np.arange(48 * 40, dtype=np.uint8).reshape(40, 48)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 48), np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def policy_of(**options):
    return STRICT.model_copy(update=options)


def jpeg_of(place, value):
    """A JPEG of another byte in its frame's header."""
    content = bytearray(encoded(GREY, "JPEG"))
    content[content.index(b"\xff\xc0\0\x0b") + place] = value
    return bytes(content)


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
    assert np.array_equal(
        decode.mask(encoded(Image.fromarray(GREY > 99))), (GREY > 99).astype(np.uint8)
    )


def test_png_bytes_keep_every_pixel():
    assert np.array_equal(decode.mask(decode.png_bytes(GREY)), GREY)
    assert np.array_equal(decode.image(decode.png_bytes(GREY[..., None]), 1)[..., 0], GREY)
    assert np.array_equal(decode.image(decode.png_bytes(COLOUR), 3), COLOUR)


@pytest.mark.parametrize(
    "read", [lambda path: decode.image(path, 1), decode.mask], ids=["image", "mask"]
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"", "an empty file, of 0 bytes; read are PNG, JPEG, TIFF, BMP, WEBP, GIF"),
        (b"GI", "not an image by its first bytes; read are PNG, JPEG, TIFF, BMP, WEBP, GIF"),
        (encoded(NOISE)[:900], "broken or unreadable: cut off"),
        (encoded(NOISE, "JPEG")[:900], "broken or unreadable: cut off"),
        (encoded(NOISE, "TIFF")[:900], "broken or unreadable: cut off"),
    ],
    ids=["missing", "empty", "two bytes", "cut png", "half jpeg", "cut tiff"],
)
def test_a_file_that_is_no_whole_image_is_named_with_the_reason(tmp_path, read, content, said):
    path = tmp_path / "scan.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DecodeError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: {said}")


def test_a_control_character_in_a_name_is_shown_and_not_sent_to_the_terminal(tmp_path):
    with pytest.raises(DecodeError) as raised:
        decode.image(tmp_path / "a\x1b[31m\nb.png", 1)
    assert str(raised.value) == f"{tmp_path}/a\\x1b[31m\\nb.png: no such file"


def refused(content, channels=1, **policy):
    with pytest.raises(DecodeError) as raised:
        decode.image(content, channels, policy_of(**policy), "scan")
    return str(raised.value)


@pytest.mark.parametrize(
    ("content", "channels", "said"),
    [
        (
            encoded(COLOUR), 1,
            "an RGB image of uint8; data.in_channels is 1; allowed are grey files, or "
            "data.in_channels: 3, or params.yaml: data.decoding.colour: luma",
        ),
        (
            encoded(GREY.astype(np.uint16)), 1,
            "a grey image of uint16; allowed are 8 bits, or the [low, high] that become 0 and 255: "
            "params.yaml: data.decoding.value_range",
        ),
        (
            encoded(np.dstack([COLOUR, GREY])), 3,
            f"{np.count_nonzero(GREY != 255):,} pixels that are not opaque; alpha is refused; "
            "allowed are drop, white and black: params.yaml: data.decoding.alpha",
        ),
        (
            encoded(np.dstack([COLOUR, GREY]), "TIFF"), 3,
            f"{np.count_nonzero(GREY != 255):,} pixels that are not opaque; alpha is refused; "
            "allowed are drop, white and black: params.yaml: data.decoding.alpha, or all bands by "
            "their numbers: params.yaml: data.decoding.bands",
        ),
        (
            encoded(Image.new("CMYK", (8, 8)), "JPEG"), 3,
            "a CMYK image of uint8; CMYK is refused; allowed is convert, of 8 bits: "
            "params.yaml: data.decoding.cmyk",
        ),
        (
            build.tiff(np.zeros((8, 8, 5), np.uint8)), 3,
            "a 5-band image of uint8; name the bands to read, e.g. [1, 2, 3]: "
            "params.yaml: data.decoding.bands",
        ),
        (
            encoded(GREY), 4,
            "a grey image of uint8; data.in_channels is 4, for which TIFFs of several bands are "
            "read; change it in params.yaml to 1 or 3",
        ),
        (
            build.animated(GREY, "PNG"), 1,
            "2 pages; one image per file is read; split it into files",
        ),
        (
            build.npy(GREY), 1,
            "NPY by its first bytes; read are PNG, JPEG, TIFF, BMP, WEBP, GIF; "
            "save it as one of them",
        ),
    ],
    ids=[
        "colour", "16 bit", "alpha", "alpha band", "cmyk", "bands", "channels", "animation", "npy",
    ],
)  # fmt: skip
def test_what_the_policy_does_not_take_says_what_it_is_what_is_allowed_and_where_to_change_it(
    content, channels, said
):
    assert refused(content, channels) == f"scan: {said}"


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (
            {"max_pixels": 100},
            (
                "48 x 40 px; at most 100 px are read (params.yaml: data.decoding.max_pixels); scale"
                " it down"
            ),
        ),
        (
            {"max_side_px": 40},
            "48 x 40 px; at most 40 px a side are read (params.yaml: data.decoding.max_side_px)",
        ),
    ],
)
def test_a_limit_is_named_with_its_setting(limit, said):
    assert refused(encoded(GREY), **limit) == f"scan: {said}"


@pytest.mark.parametrize("side", [11_000, 30_000])
def test_too_many_pixels_are_refused_by_the_header_alone(side):
    bomb = build.png(side, side, 8, 0, b"")[:33]  # nothing but the header
    assert refused(bomb).startswith(f"scan: {side} x {side} px; at most 100,000,000 px are read")


def test_an_empty_mask_of_a_satellite_scene_is_no_bomb():
    side = 9_000
    rows = zlib.compress(bytes(side * (1 + side // 8)), 9)
    empty = build.png(side, side, 1, 0, rows)
    assert side**2 / len(empty) > 7_000
    assert decode.header(empty, STRICT).width == side


def test_a_server_may_have_a_lower_limit_than_the_data():
    with pytest.raises(
        DecodeError, match=r"row 3: .*at most 99 px are read \(params\.yaml: services\.max_pixels\)"
    ):
        decode.image(encoded(GREY), 1, name="row 3", max_pixels=99)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_image_and_mask_are_turned_alike_whatever_the_orientation(orientation, form):
    content = build.turned(Image.fromarray(COLOUR if form == "WEBP" else GREY), orientation, form)
    stored, upright = Image.open(io.BytesIO(content)), None
    if form != "TIFF":  # Pillow turns a TIFF when it loads it
        upright = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
        assert np.array_equal(decode.image(content, 3), upright)
        assert np.array_equal(
            decode.image(content, 3, policy_of(exif="as_stored")), np.asarray(stored.convert("RGB"))
        )
    else:
        assert np.array_equal(decode.image(content, 1)[..., 0], np.asarray(stored))
        assert np.array_equal(decode.mask(content), np.asarray(stored))
    assert decode.header(content, STRICT).orientation == orientation
    if orientation > 1:
        assert f"EXIF orientation is {orientation}; allowed is 1" in refused(
            content, 3, exif="refuse"
        )


def test_bands_come_in_the_order_in_which_they_are_named():
    stored = np.random.default_rng(0).integers(0, 256, (9, 7, 5), np.uint8)
    pixels = decode.image(build.tiff(stored), 3, policy_of(bands=(4, 1, 2)))
    assert np.array_equal(pixels, stored[..., [3, 0, 1]])


def test_16_bits_and_floats_come_linearly_from_the_range_rounded_and_clipped():
    stored = np.array([[0, 100, 101, 150, 200, 300]], np.uint16)
    wanted = [0, 0, 3, 128, 255, 255]  # 2.55 and 127.5 are rounded
    for content in (build.png16(stored), build.tiff(stored), build.tiff(stored.astype(np.float32))):
        assert (
            decode.image(content, 1, policy_of(value_range=(100, 200))).ravel().tolist() == wanted
        )


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_refused_like_any_other_and_without_a_warning():
    stored = np.zeros((8, 8), np.float32)
    stored.view(np.uint32)[0, 0] = 0x7FA00000
    with pytest.raises(DecodeError, match="1 values are NaN or infinite"):
        decode.image(build.tiff(stored), 1, policy_of(value_range=(0, 1)))


@pytest.mark.parametrize(
    "content", [encoded(COLOUR, icc_profile=b"no profile"), build.interlaced(COLOUR)]
)
def test_a_png_with_a_faulty_colour_profile_or_interlaced_is_read_without_a_word(
    content, capfd, caplog
):
    assert np.array_equal(decode.image(content, 3), COLOUR)
    assert (capfd.readouterr(), caplog.records) == (("", ""), [])


@pytest.mark.parametrize(("policy", "wanted"), [("drop", 100), ("white", 178), ("black", 50)])
def test_alpha_is_dropped_or_laid_over_white_or_black(policy, wanted):
    picture = np.dstack([np.full((2, 2, 3), 100, np.uint8), np.full((2, 2), 127, np.uint8)])
    for content in (
        encoded(picture),
        encoded(picture, "TIFF"),
        encoded(Image.fromarray(picture).convert("LA")),
    ):
        assert (decode.image(content, 3, policy_of(alpha=policy)) == wanted).all()


def test_a_transparent_palette_and_colour_follow_the_same_policy():
    picture = Image.fromarray(np.array([[0, 1]], np.uint8))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    over = decode.image(encoded(picture, transparency=0), 3, policy_of(alpha="white"))
    assert over.tolist() == [[[255, 255, 255], [40, 50, 60]]]
    colours = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    over = decode.image(encoded(colours, transparency=(40, 50, 60)), 3, policy_of(alpha="black"))
    assert over.tolist() == [[[10, 20, 30], [0, 0, 0]]]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_ids_in_a_mask_and_spread_over_the_greys_in_an_image(bits):
    ids = np.arange(2**bits, dtype=np.uint8)[None]
    assert np.array_equal(decode.mask(build.tiny(ids, bits)), ids)
    assert decode.image(build.tiny(ids, bits), 1).ravel().tolist() == [
        int(i) * 255 // (2**bits - 1) for i in ids[0]
    ]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", ">i8", "bool"])
def test_an_array_is_a_mask_whatever_its_order_and_width(dtype):
    ids = (np.arange(12).reshape(3, 4) % 2).astype(dtype)
    for array in (ids, np.asfortranarray(ids)):
        assert np.array_equal(decode.mask(build.npy(array)), ids)


def test_ids_of_16_bits_keep_their_values():
    ids = np.array([[0, 300, 65535]], np.uint16)
    for content in (build.png16(ids), build.tiff(ids), build.npy(ids.astype(np.int64))):
        assert decode.mask(content).tolist() == ids.tolist()


def test_a_colour_mask_keeps_its_colours_and_a_full_alpha_is_taken_off():
    assert np.array_equal(decode.mask(encoded(COLOUR)), COLOUR)
    assert np.array_equal(
        decode.mask(encoded(np.dstack([COLOUR, np.full_like(GREY, 255)]))), COLOUR
    )


@pytest.mark.parametrize(
    ("form", "options"), [("JPEG", {"quality": 100}), ("WEBP", {"quality": 100})]
)
def test_a_lossy_mask_is_refused_since_its_ids_are_not_those_that_were_drawn(form, options):
    content = encoded(COLOUR, form, **options)
    with pytest.raises(DecodeError) as raised:
        decode.mask(content, name="m")
    assert str(raised.value) == (
        f"m: a mask as lossy {form}, which changes ids; allowed are lossless files; export it as"
        " PNG, or set data.threshold (of two classes) or data.nearest_colour (of colours) in"
        " params.yaml"
    )
    shown = np.asarray(build.opened(content).convert("RGB"))
    assert np.array_equal(decode.mask(content, lossy=True), shown)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_an_opaque_alpha_is_taken_off_and_a_single_clearer_pixel_is_refused(form):
    alpha = np.full_like(GREY, 255)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    content = encoded(np.dstack([COLOUR, alpha]), form, **options)
    assert np.array_equal(decode.image(content, 3), COLOUR)
    alpha[7, 9] = 254
    content = encoded(np.dstack([COLOUR, alpha]), form, **options)
    assert "1 pixels that are not opaque; alpha is refused" in refused(content, 3)


@pytest.mark.parametrize(
    ("dtype", "full"), [("uint8", 255), ("uint16", 65535), ("float32", 1), ("int16", 32767)]
)
def test_what_is_opaque_depends_on_the_depth_of_alpha(dtype, full):
    pixels = np.stack([GREY % 7, np.full_like(GREY, 1)], axis=-1).astype(dtype)
    pixels[..., 1] = full
    content = build.tiff(pixels, extrasamples=["unassalpha"])
    assert np.array_equal(decode.mask(content), GREY % 7)
    policy = {} if dtype == "uint8" else {"value_range": (0.0, 255.0)}
    assert np.array_equal(decode.image(content, 1, policy_of(**policy))[..., 0], GREY % 7)
    pixels[3, 4, 1] = full - 1
    content = build.tiff(pixels, extrasamples=["unassalpha"])
    assert "1 pixels that are not opaque" in refused(content, **policy)
    with pytest.raises(DecodeError, match="1 transparent pixels in a mask"):
        decode.mask(content)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_one_transparent_grey_of_few_bits_is_laid_over_white_and_the_rest_is_opaque(bits):
    most = 2**bits - 1
    greys = np.arange(most + 1, dtype=np.uint8)[None]
    transparent = build.chunk(b"tRNS", struct.pack(">H", 0))
    content = build.tiny(greys, bits)
    content = content[:33] + transparent + content[33:]
    laid = decode.image(content, 1, policy_of(alpha="white")).ravel().tolist()
    assert laid == [255, *(int(grey) * 255 // most for grey in greys[0, 1:])]
    assert "1 pixels that are not opaque" in refused(content)


def test_weighted_colours_are_read_where_all_is_opaque():
    content = build.tiff(np.dstack([COLOUR, np.full_like(GREY, 255)]), extrasamples=["assocalpha"])
    assert np.array_equal(decode.image(content, 3), COLOUR)


def test_clear_pixels_of_a_mask_are_refused_or_zero_and_smoothed_ones_keep_their_value():
    ids = np.array([[1, 2, 3]], np.uint8)
    content = encoded(np.dstack([ids, np.array([[0, 128, 255]], np.uint8)]))
    with pytest.raises(DecodeError) as raised:
        decode.mask(content, name="m")
    assert str(raised.value) == (
        "m: 2 transparent pixels in a mask; allowed is no alpha, or a full one; export it without,"
        " or take them for 0, or black, by params.yaml: data.decoding.mask_alpha: zero"
    )
    zero = policy_of(mask_alpha="zero")
    assert decode.mask(content, zero).tolist() == [[0, 2, 3]]
    colours = np.array([[[9, 8, 7, 0], [6, 5, 4, 255]]], np.uint8)
    assert decode.mask(encoded(colours), zero).tolist() == [[[0, 0, 0], [6, 5, 4]]]
    assert decode.mask(encoded(colours[:, :1]), zero).tolist() == [[[0, 0, 0]]], "of one pixel"
    colours.flags.writeable = False  # as some decoders give them
    one, opaque = colours[:, :1], decode.Header("PNG", 1, 1, 4, colour="rgb", alpha=True)
    assert mask_values.drop_alpha(one, opaque, zero).tolist() == [[[0, 0, 0]]]


def test_whole_floats_are_ids_and_fractions_and_too_large_numbers_are_refused():
    ids = np.array([[0, 7, 300]], np.float32)
    for content in (build.tiff(ids), build.npy(ids.astype(np.float64))):
        found = decode.mask(content)
        assert (found.tolist(), found.dtype) == ([[0, 7, 300]], np.uint16)
    allowed = "allowed are whole numbers from 0 to 65535, and negative ones or NaN for no data"
    for value, said in ((2.5, "2.5"), (65536, "65536"), (np.inf, "inf")):
        with pytest.raises(DecodeError) as raised:
            decode.mask(build.tiff(np.array([[1, value]], np.float32)), name="m")
        assert str(raised.value) == f"m: the value {said} in a mask; {allowed}; export it so"
    with pytest.raises(DecodeError, match="the value inf in a mask"):
        decode.mask(build.npy(np.array([[np.inf]], np.float16)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "float16", "float32"])
def test_negative_numbers_and_nan_of_a_mask_are_no_data(dtype):
    stored = np.array([[0, 3, -1, -100]]).astype(dtype)
    wanted = [0, 3, decode.NO_DATA, decode.NO_DATA]
    if stored.dtype.kind == "f":
        stored = np.append(stored, [[np.nan, -np.inf]], axis=1).astype(dtype)
        wanted += [decode.NO_DATA] * 2
    found = decode.mask(build.npy(stored))
    assert (found.tolist(), found.dtype) == ([wanted], np.int32)


@given(ids=st.lists(st.integers(-3, 65535) | st.none(), min_size=1, max_size=20))
def test_any_whole_numbers_come_back_from_every_type_that_holds_them(ids):
    wanted = [[decode.NO_DATA if one is None or one < 0 else one for one in ids]]
    for dtype in ("float32", "float64", *(("int32", ">i8") if None not in ids else ())):
        stored = np.array([[np.nan if one is None else one for one in ids]]).astype(dtype)
        assert decode.mask(build.npy(stored)).tolist() == wanted
        assert decode.mask(build.tiff(stored.astype(stored.dtype.newbyteorder("=")))).tolist() == (
            wanted
        )


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("rows", [1, 7, None])
def test_a_mask_of_group_4_is_read_as_pillow_reads_it(photometric, rows):
    content = build.group4(NOISE > 99, photometric=photometric, rows=rows)
    assert np.array_equal(decode.mask(content), np.asarray(build.opened(content)).astype(np.uint8))
    assert np.array_equal(decode.image(content, 1)[..., 0], 255 * decode.mask(content))


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_changed_bit_of_group_4_is_refused_or_makes_another_whole_picture(at, bit):
    content = bytearray(build.group4(GREY > 99))
    (start,), (size,) = build.tag_values(bytes(content), 273), build.tag_values(bytes(content), 279)
    content[start + at % size] ^= 1 << bit
    try:
        found = decode.mask(bytes(content))
    except DecodeError as error:
        assert "its CCITT Group 4 data are not those of its pixels" in str(error)
    else:
        again = build.group4(found.astype(bool))
        (there,) = build.tag_values(again, 273)
        assert again[there : there + size] == content[start : start + size]


def test_greys_of_few_bits_have_the_colours_that_viewers_show():
    content = encoded(Image.fromarray(GREY > 99))
    assert set(np.unique(decode.mask(content, palette_colours=True))) == {0, 255}
    assert set(np.unique(decode.mask(content))) == {0, 1}


STACK = np.stack([GREY, NOISE, 255 - GREY])


def test_each_page_of_a_stack_is_read_by_its_number(write):
    path = write("stack.tif", build.stack(STACK))
    for number, page in enumerate(STACK):
        assert np.array_equal(decode.image(path, 1, page=number)[..., 0], page)
        assert np.array_equal(decode.mask(path, page=number), page)
    assert decode.header(path, STRICT, page=1).pages == 3
    assert decode.header(write("one.tif", build.tiff(GREY)), STRICT, page=0).pages == 1


def test_the_pages_of_a_stack_are_those_of_the_file_as_it_is_now(write):
    for pages in (STACK, STACK[::-1]):
        path = write("stack.tif", build.stack(pages))
        assert np.array_equal(decode.image(path, 1, page=0)[..., 0], pages[0])


def test_a_page_that_is_not_there_and_a_stack_that_is_no_tiff_are_named(write):
    path = write("stack.tif", build.stack(STACK))
    with pytest.raises(DecodeError) as raised:
        decode.image(path, 1, page=3)
    assert str(raised.value) == (
        f"{path}: 3 pages; page 4 is asked for; put the whole stack there, or list the data anew"
    )
    for number in (0, 2):
        with pytest.raises(DecodeError) as raised:
            decode.image(encoded(GREY), 1, name="scan", page=number)
        assert str(raised.value) == (
            "scan: PNG as a stack; pages are read of TIFF; `pages: false` in data/source.yaml reads"
            " it as one image"
        )
    with pytest.raises(DecodeError, match="no such file"):
        decode.image(path.with_name("other.tif"), 1, page=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (jpeg_of(4, 12), "a JPEG of 1 components of 12 bits; read are 1, 3 or 4 of 8 bits; save"),
        (jpeg_of(1, 0xC3), "a JPEG of the kind SOF3; read are baseline and progressive ones; save"),
        (build.with_tag(build.tiff(GREY), 259, 6), "a TIFF of compression 6 (read are none, LZW,"),
        (build.npy(COLOUR), "an array of uint8 (40, 48, 3); read are 2-D arrays of numbers, as"),
    ],
    ids=["12 bits", "lossless JPEG", "old JPEG in TIFF", "3-D array"],
)
def test_a_whole_file_of_a_kind_that_is_not_read_is_not_called_broken(content, said):
    with pytest.raises(DecodeError) as raised:
        decode.mask(content, name="m")
    assert str(raised.value).startswith(f"m: {said}")
    assert "whole file" not in str(raised.value)


def test_the_header_tells_size_and_kind_without_pixels():
    found = decode.header(build.png16(np.zeros((3, 4, 3), np.uint16)), STRICT)
    assert (found.format, found.width, found.height, found.bands, found.dtype) == (
        "PNG", 4, 3, 3, "uint16",
    )  # fmt: skip
    assert decode.header(encoded(Image.fromarray(GREY).quantize(8)), STRICT).palette


def test_a_file_that_needs_more_pixels_than_pillow_allows_is_read_where_the_setting_allows_it(
    monkeypatch,
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for form in ("PNG", "JPEG", "TIFF", "BMP", "GIF"):
        assert decode.image(encoded(GREY, form), 1).shape == (40, 48, 1)


@pytest.mark.parametrize(
    ("bits", "mode"), [(1, "1"), (8, "L"), (8, "P"), (24, "RGB"), (32, "RGBA")]
)
@pytest.mark.parametrize("top_down", [False, True])
def test_a_bmp_of_any_kind_is_read_as_pillow_reads_it(bits, mode, top_down):
    content = bytearray(encoded(Image.fromarray(COLOUR[:, :45]).convert(mode), "BMP"))
    assert content[28] == bits
    if top_down:
        struct.pack_into("<i", content, 22, -40)
    wanted = np.asarray(build.opened(bytes(content)).convert("RGB"))
    assert np.array_equal(decode.image(bytes(content), 3, policy_of(alpha="drop")), wanted)


def test_an_image_of_many_blocks_of_rows_is_worked_on_as_a_whole(monkeypatch):
    contents = [encoded(COLOUR), encoded(np.dstack([COLOUR, GREY]))]
    policy = policy_of(colour="luma", alpha="white")
    whole = [decode.image(content, 1, policy) for content in contents]
    monkeypatch.setattr(pixels, "_BLOCK_PX", 500)
    for content, wanted in zip(contents, whole, strict=True):
        assert np.array_equal(decode.image(content, 1, policy), wanted)
    assert np.array_equal(whole[0][..., 0], np.asarray(Image.fromarray(COLOUR).convert("L")))


def test_a_stack_of_pages_is_refused_with_their_number_but_an_overview_is_no_page(tmp_path):
    assert refused(build.pages(GREY, 3)) == (
        "scan: 3 pages; one image per file is read; split it into files, or take each page for an"
        " image by `pages: true` in data/source.yaml"
    )
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(GREY, metadata=None)
        file.write(GREY[::2, ::2], subfiletype=1, metadata=None)
    assert np.array_equal(decode.image(buffer.getvalue(), 1)[..., 0], GREY)


@pytest.mark.parametrize(
    "options", [{"compression": "jpeg"}, {"compression": "jpeg", "tile": (16, 16)}], ids=str
)
def test_jpeg_inside_tiff_is_read_as_tifffile_reads_it(options):
    content = build.tiff(COLOUR, **options)
    assert np.array_equal(decode.image(content, 3), tifffile.imread(io.BytesIO(content)))


def test_large_jpegs_are_proven_whole_by_another_way_with_the_same_pixels(monkeypatch):
    content = encoded(COLOUR, "JPEG")
    small = decode.image(content, 3)
    monkeypatch.setattr(jpeg, "_LARGE_PX", 0)
    assert np.array_equal(decode.image(content, 3), small)
    half = encoded(np.dstack([NOISE] * 3), "JPEG")
    assert "the data end before the pixels do" in refused(
        half[: len(half) * 2 // 3] + b"\xff\xd9", 3
    )


def test_opencv_gets_its_limit_before_it_is_imported_and_the_decoder_needs_no_opencv():
    code = (
        "import sys, zlib, numpy, maskmill.images.labels\n"
        "assert not {'cv2', 'torch', 'great_expectations'} & set(sys.modules)\n"
        "import maskmill.report.pictures, cv2\n"
        "from tests.bad_inputs import build\n"
        "bomb = build.png(20000, 20000, 8, 0, zlib.compress(b''))\n"
        "cv2.imdecode(numpy.frombuffer(bomb, 'u1'), 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pixels <= CV_IO_MAX_IMAGE_PIXELS" in done.stderr


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(form=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"]), data=st.data())
def test_a_damaged_file_is_an_image_or_a_decode_error_never_anything_else(form, data):
    content = bytearray(encoded(COLOUR if form == "WEBP" else GREY, form))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        pixels = decode.image(content, 3, name="damaged")
    except DecodeError as error:
        assert str(error).startswith("damaged: ")
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3


@given(seed=st.integers(0, 2**32 - 1))
def test_any_good_pair_comes_back_as_it_was_written(seed):
    for file in next(good.pairs(seed)):
        pixels = (
            decode.image(file.content, file.channels, file.decoding)
            if file.channels
            else decode.mask(file.content)
        )
        np.testing.assert_array_equal(pixels, file.pixels)
        found = decode.header(file.content, file.decoding)
        assert (found.height, found.width) == file.shape[:2]


def tiled(shape, side, **options):
    return build.tiff(np.zeros(shape, np.uint16), tile=(side, side), compression="zlib", **options)


def test_a_tiff_tile_much_larger_than_its_image_is_damage():
    with pytest.raises(DecodeError) as raised:
        decode.header(tiled((16, 16), 2048), STRICT)
    assert (
        "broken or unreadable: tiles of 2048 x 2048 px in an image of 16 x 16 px; a side larger"
        " than the image's may have 1024 px" in str(raised.value)
    )
    assert decode.header(tiled((100, 100), 256), STRICT).width == 100, (
        "as writers of one tile size do"
    )


@pytest.mark.parametrize(("planar", "pixel_bytes"), [("contig", 6), ("separate", 2)])
def test_the_limits_are_held_against_the_bytes_of_a_tiff_tile(planar, pixel_bytes):
    shape = (16, 16, 3) if planar == "contig" else (3, 16, 16)
    asked = []
    content = tiled(shape, 512, photometric="rgb", planarconfig=planar)
    tiff.header(content, lambda *numbers: asked.append(numbers))
    assert asked == [(16, 16, 6), (512, 512, pixel_bytes)]
