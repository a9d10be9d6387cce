"""One module per image format reads the header, checks that the file is whole, and decodes it.

Each has `header(content, limits) -> Header`, which walks the whole structure of a file, and
`samples(content, header)`, the stored values and, of a palette file, its colours. Decoders let much
damage pass: Pillow checks no checksum of PNG data and takes missing rows for black, and none says
that half a JPEG is half. What can be checked is checked here.
"""

from types import ModuleType

from maskmill.images.formats import bmp, gif, jpeg, npy, png, tiff, webp

_MAGIC: dict[bytes, tuple[str, ModuleType]] = {
    b"\x89PNG\r\n\x1a\n": ("PNG", png),
    b"\xff\xd8\xff": ("JPEG", jpeg),
    b"II*\0": ("TIFF", tiff), b"MM\0*": ("TIFF", tiff),
    b"II+\0": ("TIFF", tiff), b"MM\0+": ("TIFF", tiff),
    b"BM": ("BMP", bmp),
    b"RIFF": ("WEBP", webp),
    b"GIF87a": ("GIF", gif), b"GIF89a": ("GIF", gif),
    b"\x93NUMPY": ("NPY", npy),
}  # fmt: skip
NAMES = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
OF_MASKS = (*NAMES, "NPY")


def recognise(content: bytes) -> tuple[str, ModuleType | None]:
    """Return the format by the first bytes, never by the name, and its module.

    They are ("", None) for a format that is not read.
    """
    for start, found in _MAGIC.items():
        if content.startswith(start) and (start != b"RIFF" or content[8:12] == b"WEBP"):
            return found
    return "", None
