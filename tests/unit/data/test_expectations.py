"""One clean and one faulty data set, each checked once: Great Expectations takes about a second per expectation."""

import numpy as np
import pytest

from maskmill.config import Validation
from maskmill.data import decode, expectations, manifest
from maskmill.data.expectations import Finding
from maskmill.errors import MaskmillError

VALIDATION = Validation(
    duplicate_images="critical", near_duplicates="warning", duplicate_masks="warning", empty_masks="info",
    orientation="critical", flat_images="warning", min_std=0.0, ignored_masks="warning", max_ignored=1.0,
    absent_classes="warning", search_s=60.0, expectations=(),
)  # fmt: skip
NAMES = ["images_present", "masks_present", "readable", "sizes_equal", "ids_known", "ids_unique", "images_unique",
         "masks_unique", "masks_filled"]  # fmt: skip


def write(folder, name, seed, mask=None, size=(8, 8)):
    rng = np.random.default_rng(seed)
    decode.write_png(folder / "images" / f"{name}.png", rng.integers(0, 256, size, np.uint8))
    decode.write_png(folder / "masks" / f"{name}.png", rng.integers(0, 4, size, np.uint8) if mask is None else mask)


def index(folder, names):
    lines = [f"{name},{name},{order}" for order, name in enumerate(names)]
    (folder / "index.csv").write_text("\n".join(["id,group,order", *lines]))


def checked(folder, data):
    return {f.name: f for f in expectations.check(manifest.build(folder, data), data, VALIDATION)}


@pytest.fixture(scope="module")
def clean(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("clean")
    for seed, name in enumerate("abc"):
        write(folder, name, seed)
    index(folder, "abc")
    table = manifest.build(folder, data)
    before = table.copy()
    return expectations.check(table, data, VALIDATION), before, table


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("faulty")
    names = [
        "no_image",
        "no_mask",
        "broken",
        "sizes",
        "ids",
        "copy1",
        "copy2",
        "same_mask1",
        "same_mask2",
        "empty",
        "ok",
    ]
    for seed, name in enumerate(names):
        write(folder, name, seed)
    (folder / "images" / "no_image.png").unlink()
    (folder / "masks" / "no_mask.png").unlink()
    (folder / "images" / "broken.png").write_bytes(b"?")
    write(folder, "sizes", 3, np.ones((8, 6), np.uint8))
    write(folder, "ids", 4, np.full((8, 8), 9, np.uint8))
    write(folder, "copy2", names.index("copy1"), np.ones((8, 8), np.uint8))
    mask = decode.mask(folder / "masks" / "same_mask1.png")
    write(folder, "same_mask2", 100, mask)
    write(folder, "empty", 101, np.zeros((8, 8), np.uint8))
    index(folder, [*names, "ok"])
    return checked(folder, data)


def test_clean_data_meets_every_expectation(clean):
    findings, _, _ = clean
    assert [(f.name, f.passed, f.files) for f in findings] == [(name, True, []) for name in NAMES]
    assert expectations.explain(findings) == ""
    expectations.stop_on_critical(findings, "data/raw")


def test_checking_leaves_the_manifest_as_it_was(clean):
    _, before, after = clean
    assert list(after.columns) == list(before.columns)


@pytest.mark.parametrize(
    ("name", "severity", "files"),
    [
        ("images_present", "critical", ["masks/no_image.png"]),
        ("masks_present", "critical", ["images/no_mask.png"]),
        ("sizes_equal", "critical", ["images/sizes.png is 8 x 8 px, its mask 6 x 8"]),
        ("ids_known", "critical", ["masks/ids.png has 9 (64 px)"]),
        ("ids_unique", "critical", ["images/ok.png", "images/ok.png"]),
        ("masks_filled", "info", ["masks/empty.png", "masks/ids.png"]),
    ],
)
def test_a_fault_is_found_with_its_files_and_severity(faulty, name, severity, files):
    finding = faulty[name]
    assert (finding.passed, finding.severity, sorted(finding.files)) == (False, severity, files)


def test_a_broken_file_is_named_with_the_reason(faulty):
    (said,) = faulty["readable"].files
    assert "images/broken.png: not an image by its first bytes" in said
    assert faulty["readable"].stops


def test_copies_are_found_by_their_pixels(faulty):
    assert {"images/copy1.png", "images/copy2.png"} <= set(faulty["images_unique"].files)
    assert {"masks/same_mask1.png", "masks/same_mask2.png"} <= set(faulty["masks_unique"].files)
    assert not {"images/sizes.png", "images/empty.png"} & set(faulty["images_unique"].files)


def test_critical_findings_stop_the_line_with_every_file_in_the_message(faulty):
    with pytest.raises(MaskmillError) as raised:
        expectations.stop_on_critical(list(faulty.values()), "data/raw")
    text = str(raised.value)
    assert text.startswith("the data in data/raw cannot be trained on:\n[critical] every mask has an image: ")
    for file in ("no_image", "no_mask", "broken", "sizes", "ids", "copy2"):
        assert f"/{file}.png" in text
    assert "[warning]" not in text
    assert "mend these files in data/source" in text


def test_a_warning_is_told_and_does_not_stop_the_line(faulty):
    told = [finding for finding in faulty.values() if finding.severity != "critical"]
    expectations.stop_on_critical(told, "data/raw")
    text = expectations.explain(told)
    assert "[warning] no mask with foreground belongs to two images: masks/" in text
    assert "[info] a mask holds some foreground: masks/" in text


def test_a_long_list_of_files_is_cut_and_counted():
    many = Finding("x", "every file can be decoded", "critical", False, [f"f{i}" for i in range(13)])
    assert (
        expectations.explain([many])
        == "[critical] every file can be decoded: " + "; ".join(f"f{i}" for i in range(10)) + " and 3 more"
    )


def test_data_of_which_nothing_can_be_read_is_reported_too(tmp_path, data):
    write(tmp_path, "a", 0)
    (tmp_path / "images" / "a.png").write_bytes(b"?")
    index(tmp_path, "a")
    findings = checked(tmp_path, data)
    assert [name for name, finding in findings.items() if not finding.passed] == ["readable"]


def test_a_class_may_have_any_name(tmp_path, data):
    """The manifest's own columns must not clash with px_<class>."""
    names = ("background", "unknown", "foreground", "other")
    odd = data.model_copy(update={"classes": names, "colours": dict.fromkeys(names, "#000000")})
    write(tmp_path, "a", 0, np.arange(64, dtype=np.uint8).reshape(8, 8) % 4)
    index(tmp_path, "a")
    assert all(finding.passed for finding in checked(tmp_path, odd).values())
