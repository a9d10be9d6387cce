"""What the names of folders and files say: images or masks, which split, which of several masks."""

import re

IMAGE_WORDS = {
    "image", "images", "img", "imgs", "jpegimages", "pngimages", "photo", "photos", "picture",
    "pictures", "frame", "frames", "scan", "scans", "input", "inputs", "original", "originals",
    "raw", "ortho", "x", "foto", "fotos", "bild", "bilder", "imagenes", "immagini", "volume",
}  # fmt: skip
MASK_WORDS = {
    "mask", "masks", "label", "labels", "lbl", "lbls", "labelled", "labeled", "gt", "gts", "truth",
    "groundtruth", "annot", "annots", "ann", "anns", "anno", "annos", "annotation", "annotations",
    "seg", "segs", "segmentation", "segmentations", "segmentationclass", "semantic", "semantics",
    "target", "targets", "trimap", "trimaps", "manual", "stuffthingmaps", "instance", "instances",
    "panoptic", "y", "l", "maske", "masken", "masque", "masques", "mascara", "mascaras", "maschere",
}  # fmt: skip
# of masks that say the same as others in another form, or something else than the class
DERIVED_WORDS = {
    "color", "colour", "colors", "colours", "colored", "coloured", "rgb", "vis", "viz", "visual",
    "preview", "overlay", "overlays", "instance", "instances", "object", "objects", "panoptic",
    "depth", "disparity", "confidence", "edge", "edges", "contour", "contours",
}  # fmt: skip
_SPLITS = "training|train|validation|valid|val|testing|test"
_SPLIT = re.compile(
    rf"^(?:{_SPLITS})(?=[_-]|annot|mask|label|image|\d|$)|(?<=[_-])(?:{_SPLITS})(?=\d|$)",
    re.IGNORECASE,
)


def words_of(name: str) -> list[str]:
    """The words of a name, in small letters: `leftImg8bit` has left, img and bit."""
    found = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)
    return [word.lower() for word in found]


def role_of(name: str) -> str:
    """What a folder's name says that it holds: "mask", "image" or "". x and y do, x1 does not."""
    words = {*words_of(name), re.sub(r"[^a-z]", "", name.lower())}
    if re.search(r"\d", name):
        words = {word for word in words if len(word) > 1}
    return "mask" if words & MASK_WORDS else "image" if words & IMAGE_WORDS else ""


def is_derived(name: str) -> bool:
    """Whether a mask's path says that it is a rendering, or numbers of objects."""
    words = words_of(name)
    return bool({*words} & DERIVED_WORDS) or "instanceids" in "".join(words)


def split_words(part: str) -> tuple[str, str]:
    """A folder's name with `{split}` in place of train, val or test, and that word or ""."""
    match = _SPLIT.search(part)
    if match is None:
        return part, ""
    return part[: match.start()] + "{split}" + part[match.end() :], match[0]
