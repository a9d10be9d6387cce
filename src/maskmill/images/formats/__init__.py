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


_UNREAD: tuple[tuple[int, bytes, str], ...] = (  # offset, bytes, what it is and what to do
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file; `git lfs pull` brings it"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
    (0, b"\x1f\x8b", "gzip data, such as NIfTI; convert it to TIFF or PNG"),
    (4, b"ftyphei", "HEIC, which is not read; convert it to JPEG or PNG"),
    (4, b"ftypmif1", "HEIF, which is not read; convert it to JPEG or PNG"),
    (4, b"ftypavi", "AVIF, which is not read; convert it to JPEG or PNG"),
    (0, b"\xff\x0a", "JPEG XL, which is not read; convert it to JPEG or PNG"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL, which is not read; convert it to JPEG or PNG"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000, which is not read; convert it to TIFF or PNG"),
    (128, b"DICM", "DICOM, which is not read; convert it to PNG"),
)


def describe(content: bytes, kind: str, allowed: tuple[str, ...]) -> str:
    """What a file that is not read is, what is read, and what to do; `kind` as of `recognise`."""
    ways = f"read are {', '.join(allowed)}"
    if kind:
        return f"{kind} by its first bytes; {ways}; save it as one of them"
    if not content:
        return f"an empty file, of 0 bytes; {ways}; get the whole file"
    start = content[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return f"a web page, not an image: the download failed; {ways}; get the file again"
    for at, magic, told in _UNREAD:
        if content[at : at + len(magic)] == magic:
            return f"{told}; {ways}"
    return f"not an image by its first bytes; {ways}; save it as one of them"


def recognise(content: bytes) -> tuple[str, ModuleType | None]:
    """Return the format by the first bytes, never by the name, and its module.

    They are ("", None) for a format that is not read.
    """
    for start, found in _MAGIC.items():
        if content.startswith(start) and (start != b"RIFF" or content[8:12] == b"WEBP"):
            return found
    return "", None
