"""Images of all depths and bands are read, or it is said what reads them."""

from pathlib import Path

import pytest

from tests.strangers import formats
from tests.strangers.outcome import (
    Build,
    Outcome,
    Refusal,
    check_outcome,
    check_refusal,
    import_plan,
    told,
)

BLACK_AND_WHITE: dict[int | str, str] = {0: "background", 255: "foreground"}
RANGE = "become 0 to 255"


def read(*notes: str, **settings: object) -> Outcome:
    """Black and white masks, and these settings of the images."""
    return Outcome(
        values=BLACK_AND_WHITE,
        notes=notes,
        settings={f"data.{key.replace('__', '.')}": value for key, value in settings.items()},
    )


BANDS = list(range(1, 14))
ACCEPTED: dict[Build, Outcome] = {
    formats.turned_photographs: read("4 photographs are turned", in_channels=3),
    formats.grey_16_bits: read(
        "1200 to 39000 become 0 to 255", decoding__value_range=[1200, 39000], in_channels=1
    ),
    formats.microscope_12_bits: read(
        "496 to 3520 become 0 to 255", decoding__value_range=[496, 3520], in_channels=1
    ),
    formats.floats_from_0_to_1: read(RANGE, decoding__value_range=[0, 1], in_channels=1),
    formats.computed_tomography: read(
        "-952 to 560 become 0 to 255", decoding__value_range=[-952, 560], in_channels=1
    ),
    formats.satellite_13_bands: read(
        RANGE, "13 bands, and all are taken", decoding__bands=BANDS, in_channels=13
    ),
    formats.opaque_photographs: read(in_channels=3),
    formats.some_heic: Outcome(
        values=BLACK_AND_WHITE,
        unused={"masks without an image": 2, "other files (.heic)": 2},
        notes=("images without a mask are left out",),
        advice_works=False,
    ),
}
REFUSED: dict[Build, Refusal] = {
    formats.near_infrared_called_alpha: Refusal(
        ("8 images are not opaque", "im000.tif", "last band is called alpha"),
        read("4 bands, and all are taken", decoding__bands=[1, 2, 3, 4], in_channels=4),
    ),
    formats.floats_with_holes: Refusal(("8 images hold NaN", "im000.tif")),
    formats.heic: Refusal(("images holds 8 .heic, which are not read", "PNG, JPEG", "convert")),
    formats.avif: Refusal(("images holds 8 .avif, which are not read", "convert")),
    formats.jpeg_xl: Refusal(("images holds 8 .jxl, which are not read", "convert")),
    formats.jpeg_2000: Refusal(("images holds 8 .jp2, which are not read", "convert")),
    formats.dicom: Refusal(("images holds 8 .dcm, which are not read", "convert", "pydicom")),
    formats.nifti: Refusal(("imagesTr holds", "NIfTI", "nibabel")),
    formats.arrays_of_pairs: Refusal(("8 .npz, which are not read", "as PNG each")),
    formats.arrays_of_images: Refusal(("im000.npy", "uint8 (48, 64, 3)")),
    formats.jpeg_12_bits: Refusal(("im000.jpg", "12 bits", "save it as")),
    formats.lfs_pointers: Refusal(("im000.png", "a Git LFS pointer", "git lfs pull")),
}
ONE_BROKEN: dict[Build, str] = {
    formats.an_empty_file: "img005.jpg: an empty file",
    formats.a_web_page: "img005.jpg: a web page",
}


@pytest.mark.parametrize("build", ACCEPTED, ids=lambda build: build.__name__)
def test_an_image_is_read_as_its_writer_stored_it(folder: Path, build: Build):
    check_outcome(folder, build(folder), ACCEPTED[build])


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_what_is_not_read_is_named_with_what_reads_it(folder: Path, build: Build):
    drawn = build(folder)
    check_refusal(folder, drawn, REFUSED[build])


@pytest.mark.parametrize("build", ONE_BROKEN, ids=lambda build: build.__name__)
def test_one_broken_file_among_others_is_named_and_stops_no_import(folder: Path, build: Build):
    build(folder)
    plan = import_plan(folder)
    assert len(plan.pairs) == 12
    assert ONE_BROKEN[build] in told(plan)


def test_alpha_is_dropped_by_the_setting_that_the_message_names(folder: Path):
    drawn = formats.near_infrared_called_alpha(folder)
    says = ("data.decoding.alpha in params.yaml", "drop")
    wanted = Refusal(says, read(in_channels=3), {"data.decoding.alpha": "drop"})
    check_refusal(folder, drawn, wanted)


def test_bands_and_range_are_those_that_are_asked_for(folder: Path):
    formats.satellite_13_bands(folder)
    plan = import_plan(folder, bands=(4, 3, 2), value_range=(0, 3000))
    assert (plan.decoding.bands, plan.decoding.value_range) == ((4, 3, 2), (0, 3000))
    assert plan.data.in_channels == 3
