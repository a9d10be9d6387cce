"""Whether images and masks can be trained on as the settings read them, and what to look at."""

from collections.abc import Mapping
from typing import Any

from maskmill.importing.measure import FolderContents
from maskmill.settings.config import Decoding
from maskmill.system.errors import MaskmillError, few_of


def notes_on_images(
    found: FolderContents, settings: Mapping[str, Any], decoding: Decoding
) -> list[str]:
    """What of the images, and of masks beyond whole numbers, was guessed."""
    notes = []
    if found.span is not None and decoding.value_range is not None:
        low, high = decoding.value_range
        notes.append(
            f"images of more than 8 bits: {low:g} to {high:g} become 0 to 255; they hold "
            f"{found.span[0]:g} to {found.span[1]:g}; --range LOW,HIGH, or "
            "data.decoding.value_range, says otherwise"
        )
    if found.clear:
        notes.append(
            f"{len(found.clear)} masks are transparent in places, which count as 0 or black there "
            "(data.decoding.mask_alpha); --ignore '#000000' leaves them out"
        )
    if found.no_data:
        notes.append(
            f"{len(found.no_data)} masks hold negative values or NaN: no data, ignored: "
            f"{few_of(found.no_data, 3)}"
        )
    if found.turned:
        notes.append(
            f"{len(found.turned)} photographs are turned by their camera's flag, and their masks "
            "are drawn on what is shown"
        )
    if bands := settings["data.decoding.bands"]:
        notes.append(f"images have {len(bands)} bands, and all are taken; --bands 1,2,3 says which")
    return notes


def check_readable(found: FolderContents, channels: int, decoding: Decoding) -> None:
    """Raises: MaskmillError where no pair could be trained on."""
    if found.holes:
        raise MaskmillError(
            f"{len(found.holes)} images hold NaN, which is no number: {few_of(found.holes, 3)}; "
            "fill the pixels in the files, or leave those images out"
        )
    if found.see_through:
        bands = max(header.bands for _, header in found.images if header.alpha)
        way = ",".join(str(band + 1) for band in range(bands))
        is_tiff = any(header.format == "TIFF" for _, header in found.images if header.alpha)
        of_bands = f"; --bands {way} takes it for a band like the others" if is_tiff else ""
        raise MaskmillError(
            f"{len(found.see_through)} images are not opaque: {few_of(found.see_through, 3)}. "
            "Their last band is called alpha: data.decoding.alpha in params.yaml says whether to "
            f"drop it, or to lay the image over white or black{of_bands}"
        )
    refused = found.refused(channels, decoding)
    total = len(found.images)
    if total and sum(map(len, refused.values())) >= total:
        told = "; ".join(f"{few_of(names, 2)}: {why}" for why, names in refused.items())
        raise MaskmillError(f"no image can be read as the settings are: {told}")
    if not found.readable:
        raise MaskmillError(
            "no pair can be read, so nothing is written:\n" + "\n".join(found.broken[:20])
        )
    if found.unlike and len(found.unlike) >= found.readable:
        raise MaskmillError(
            f"no mask has the size of its image: {few_of(found.unlike, 3)}; do they pair? --images "
            "and --masks name the folders"
        )
