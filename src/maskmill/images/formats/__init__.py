"""One module per image format reads the header, checks that the file is whole, and decodes it.

Each has `header(content, limits) -> Header`, which walks the whole structure of a file, and
`samples(content, header)`, the stored values and, of a palette file, its colours; those of TIFF
take a `page`, too. Decoders let much damage pass: Pillow checks no checksum of PNG data and takes
missing rows for black, and none says that half a JPEG is half. What can be checked is checked here.
AVIF is not read, since its data have no checksum, and its decoders take zeros for pixels.
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
_CONVERT = "which is not read; convert it to PNG, or to TIFF where it has more than 8 bits"
# where their first bytes stand, these bytes, and what the file is
_NOT_READ: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file; get it by `git lfs pull`"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
    (0, b"\x1f\x8b", f"gzip data, such as NIfTI, {_CONVERT}"),
    (4, b"ftyphei", f"HEIC, {_CONVERT}"),
    (4, b"ftyphev", f"HEIC, {_CONVERT}"),
    (4, b"ftypmif1", f"HEIF, {_CONVERT}"),
    (4, b"ftypavi", f"AVIF, {_CONVERT}"),
    (0, b"\xff\x0a", f"JPEG XL, {_CONVERT}"),
    (0, b"\0\0\0\x0cJXL ", f"JPEG XL, {_CONVERT}"),
    (0, b"\0\0\0\x0cjP  ", f"JPEG 2000, {_CONVERT}"),
    (0, b"\xff\x4f\xff\x51", f"JPEG 2000, {_CONVERT}"),
    (128, b"DICM", f"DICOM, {_CONVERT}"),
    (344, b"n+1\0", f"NIfTI, {_CONVERT}"),
)


def describe(content: bytes, kind: str, allowed: tuple[str, ...]) -> str:
    """What a file that is not read is, what is read, and what to do; `kind` as of `recognise`."""
    read = f"read are {', '.join(allowed)}"
    if kind:
        return f"{kind} by its first bytes; {read}; save it as one of them"
    if not content:
        return f"an empty file, of 0 bytes; {read}; get the whole file"
    start = content[:256].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return f"a web page, not an image: the download failed; {read}; get the file again"
    for at, magic, what in _NOT_READ:
        if content.startswith(magic, at):
            return f"{what}; {read}"
    return f"not an image by its first bytes; {read}; save it as one of them"


def recognise(content: bytes) -> tuple[str, ModuleType | None]:
    """Return the format by the first bytes, never by the name, and its module.

    They are ("", None) for a format that is not read.
    """
    for start, found in _MAGIC.items():
        if content.startswith(start) and (start != b"RIFF" or content[8:12] == b"WEBP"):
            return found
    return "", None
