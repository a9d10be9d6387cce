"""How a folder is laid out: each source says whether it is its own, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maskmill import sources
from maskmill.images import formats
from maskmill.sources import Recognised, _files, folder
from maskmill.system.errors import MaskmillError, few_of

_FOLDER = "folder"
_KNOWN = (
    "a folder `images` and a folder `masks` with equal names but for the ending, or masks named "
    "like their image and `_mask`; either once, or once for train, val and test; a folder for each "
    "patient, class or image; a CSV with the columns image,mask; COCO, LabelMe, YOLO, CVAT, Label "
    "Studio or run lengths. --images and --masks name the folders; docs/own-data.md shows each"
)
_UNREAD = {  # ending -> what to do
    ".heic": "convert them to JPEG or PNG (heif-convert, or a phone's export)",
    ".heif": "convert them to JPEG or PNG (heif-convert)",
    ".avif": "convert them to JPEG or PNG",
    ".jxl": "convert them to JPEG or PNG (djxl)",
    ".jp2": "convert them to TIFF or PNG (opj_decompress)",
    ".dcm": "convert them to PNG (dcmj2pnm, or pydicom)",
    ".gz": "NIfTI and other gzip data: save the slices as PNG or TIFF (nibabel)",
    ".nii": "save the slices as PNG or TIFF (nibabel)",
    ".npz": "save image and mask as PNG each (numpy.load, Pillow)",
    ".zip": "unpack it, and import the folder that comes out",
    ".tar": "unpack it, and import the folder that comes out",
}
_FIRST = 100  # of the files without a known ending that are opened


def recognise(
    top: Path, *, kind: str = "", images: str = "", masks: str = ""
) -> tuple[Recognised, list[Path]]:
    """The layout of `top`, and all files below it.

    Raises: MaskmillError where it is none that is known, or could be two.
    """
    check_folder(top)
    files = list(_files.regular_files(top))
    recognisers = sources.recognisers()
    if kind and kind not in recognisers:
        raise MaskmillError(f"--kind: {kind!r} is not known; known are {', '.join(recognisers)}")
    chosen = kind or (_FOLDER if images or masks else "")
    found: dict[str, Recognised] = {}
    refused: dict[str, str] = {}
    for name, recognises in recognisers.items():
        if chosen and name != chosen:
            continue
        try:
            made = (
                folder.recognise(top, files, images, masks)
                if name == _FOLDER
                else recognises(top, files)
            )
        except MaskmillError as error:
            refused[name] = str(error)
            continue
        if made is not None:
            found[name] = made
    return _choose(top, files, found, refused), files


def _choose(
    top: Path, files: Sequence[Path], found: dict[str, Recognised], refused: dict[str, str]
) -> Recognised:
    """A list or annotations come before files that lie there under equal names."""
    first = {name: made for name, made in found.items() if name != _FOLDER} or found
    if len(first) > 1:
        told = "; ".join(f"{name}: {made.told}" for name, made in first.items())
        raise MaskmillError(
            f"{top}: could be several layouts: {told}; say which by --kind {next(iter(first))}"
        )
    if first:
        made = next(iter(first.values()))
        passed = [f"{why}; passed by" for why in refused.values()]
        return replace(made, notes=[*made.notes, *passed])
    if refused:
        raise MaskmillError("\n".join(refused.values()))
    raise MaskmillError(f"{top}: {_describe_files(top, files)} Known are: {_KNOWN}")


def check_folder(top: Path) -> None:
    """Raises: MaskmillError for what is no folder."""
    if top.suffix.lower() == ".zip" and top.is_file():
        raise MaskmillError(f"{top}: an archive; unpack it, and import the folder that comes out")
    if not top.is_dir():
        raise MaskmillError(f"{top}: no such folder; name the one that holds the images and masks")


def _describe_files(top: Path, files: Sequence[Path]) -> str:
    """What lies there: which of it is read, and what to do with the rest."""
    if not files:
        return "the folder is empty."
    endings = Counter(path.suffix.lower() or "no ending" for path in files)
    told = few_of([f"{count} {ending}" for ending, count in endings.most_common()], 6)
    unread = {ending: way for ending, way in _UNREAD.items() if ending in endings}
    lines = [f"no layout that is known; it holds {told}."]
    for ending, way in unread.items():
        parents = Counter(path.parent for path in files if path.suffix.lower() == ending)
        place = parents.most_common(1)[0][0].relative_to(top).as_posix()
        lines.append(
            f"{place if place != '.' else top} holds {endings[ending]} {ending}, which are not "
            f"read; read are {', '.join(formats.NAMES)}: {way}."
        )
    pictures = [path for path in files if path.suffix.lower() in _files.SUFFIXES]
    if pictures and not unread:
        folders = Counter(path.parent for path in pictures)
        shown = "; ".join(
            f"{each.relative_to(top)}: {few_of([p.name for p in pictures if p.parent == each], 2)}"
            for each, _ in folders.most_common(4)
        )
        lines.append(f"No two of its folders have names that pair: {shown}.")
    return " ".join(lines)
