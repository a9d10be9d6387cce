"""Which files `data.decoding` takes, told by their headers."""

from maskmill.images.formats.header import Header
from maskmill.settings.config import Decoding

WHERE = "params.yaml: data.decoding"
_RATIO_FROM_BYTES = 64_000_000


def too_much(
    width: int,
    height: int,
    pixel_bytes: int,
    file_bytes: int,
    decoding: Decoding,
    max_pixels: int | None,
) -> str:
    """Which limit the size of an image breaks; "" for none."""
    most, where = decoding.max_pixels, f"{WHERE}.max_pixels"
    if max_pixels is not None and max_pixels < most:
        most, where = max_pixels, "params.yaml: services.max_pixels"
    unpacked = width * height * pixel_bytes
    if width < 1 or height < 1:
        return f"{width} x {height} px; at least one pixel is needed; save the file anew"
    if max(width, height) > decoding.max_side_px:
        return (
            f"{width} x {height} px; at most {decoding.max_side_px:,} px a side are read"
            f" ({WHERE}.max_side_px)"
        )
    if width * height > most:
        return f"{width} x {height} px; at most {most:,} px are read ({where}); scale it down"
    if unpacked > max(_RATIO_FROM_BYTES, decoding.max_ratio * file_bytes):
        return (
            f"{file_bytes:,} bytes that unpack to {unpacked:,}; at most {decoding.max_ratio:,}"
            f" times as many are read ({WHERE}.max_ratio)"
        )
    return ""


def image_refused(header: Header, channels: int, decoding: Decoding) -> str:
    """Why an image is not taken; "" where it is."""
    reason = _bands_refused if names_bands(header, decoding) else _colours_refused
    return (
        reason(header, channels, decoding)
        or _values_refused(header, decoding)
        or exif_refused(header, decoding)
    )


def names_bands(header: Header, decoding: Decoding) -> bool:
    """Whether `decoding.bands` chooses among the bands of this file."""
    return (
        decoding.bands is not None
        and header.format == "TIFF"
        and header.colour != "cmyk"
        and not header.palette
    )


def colour_refused(header: Header) -> str:
    """What is said of colours where one channel is wanted."""
    ways = f"grey files, or data.in_channels: 3, or {WHERE}.colour: luma"
    return f"{_kind(header)}; data.in_channels is 1; allowed are {ways}"


def exif_refused(header: Header, decoding: Decoding) -> str:
    """Why the way that a camera was held is not taken; "" where it is."""
    if decoding.exif != "refuse" or header.orientation == 1:
        return ""
    return (
        f"its EXIF orientation is {header.orientation}; allowed is 1; turn the file, or choose"
        f" upright or as_stored: {WHERE}.exif"
    )


def mask_refused(header: Header, *, by_colour: bool, lossy: bool = False) -> str:
    """Return why no mask can be of this kind; "" where one can.

    A mask is read by its colours or by its stored values; `lossy` takes files saved with loss.
    """
    if header.lossy and not lossy:
        return (
            f"a mask as lossy {header.format}, which changes ids; allowed are lossless files;"
            " export it as PNG, or set data.threshold (of two classes) or data.nearest_colour (of"
            " colours) in params.yaml"
        )
    if header.format == "GIF" and not by_colour:
        return (
            "a mask as GIF, whose writers number the colours anew; allowed are the other formats,"
            " or colours in data.values of params.yaml; export it as PNG"
        )
    colours = header.colour == "rgb" and not header.palette
    if header.colour in ("cmyk", "bands") or (colours and header.dtype != "uint8"):
        return (
            f"{_kind(header).replace('image', 'mask')}; allowed are one whole number per pixel, or"
            " 8-bit RGB with colours in data.values of params.yaml; export it so"
        )
    return ""


def _bands_refused(header: Header, channels: int, decoding: Decoding) -> str:
    bands = decoding.bands or ()
    if max(bands) > header.bands:
        return f"a TIFF of {header.bands} bands; band {max(bands)} is asked for by {WHERE}.bands"
    if len(bands) != channels:
        return (
            f"{channels} channels are wanted, and {len(bands)} bands named; make them equal:"
            f" {WHERE}.bands"
        )
    return ""


def _colours_refused(header: Header, channels: int, decoding: Decoding) -> str:
    kind, luma = _kind(header), channels == 3 or decoding.colour == "luma"
    refused = {
        f"{kind}; name the bands to read, e.g. [1, 2, 3]: {WHERE}.bands": header.colour == "bands",
        f"{kind}; data.in_channels is {channels}, for which TIFFs of several bands are read; "
        "change it in params.yaml to 1 or 3": channels not in (1, 3),
        f"{kind}, which its colours are weighted by; allowed are white and black: {WHERE}.alpha":
            header.premultiplied and decoding.alpha == "drop",
        f"{kind}; CMYK is refused; allowed is convert, of 8 bits: {WHERE}.cmyk":
            header.colour == "cmyk" and (decoding.cmyk == "refuse" or header.dtype != "uint8"),
        colour_refused(header): header.colour != "grey" and not header.palette and not luma,
    }  # fmt: skip
    return next((reason for reason, holds in refused.items() if holds), "")


def _values_refused(header: Header, decoding: Decoding) -> str:
    if header.dtype in ("bool", "uint8") or decoding.value_range is not None:
        return ""
    return (
        f"{_kind(header)}; allowed are 8 bits, or the [low, high] that become 0 and 255:"
        f" {WHERE}.value_range"
    )


def _kind(header: Header) -> str:
    colour = {"rgb": "an RGB", "cmyk": "a CMYK", "bands": f"a {header.bands}-band"}.get(
        header.colour, "a grey"
    )
    alpha = " with alpha" if header.alpha else ""
    return f"{'a palette' if header.palette else colour} image of {header.dtype}{alpha}"
