"""One clean and one faulty manifest, each checked once, since a check takes a second to start."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from maskmill.checks.params import check
from maskmill.curation import expectations
from maskmill.curation.expectations import Finding
from maskmill.settings.config import Validation
from maskmill.system.errors import MaskmillError

VALIDATION = Validation(
    duplicate_images="critical", near_duplicates="warning", duplicate_masks="warning",
    empty_masks="info", orientation="critical", flat_images="warning", min_std=0.0,
    ignored_masks="warning", max_ignored=1.0, absent_classes="warning", search_s=60.0,
    expectations=(),
)  # fmt: skip
NAMES = ["images_present", "masks_present", "readable", "names_usable", "sizes_equal",
         "orientation", "ids_known", "ids_unique", "images_unique", "masks_unique",
         "masks_filled", "masks_labelled", "images_vary", "classes_present", "copies"]  # fmt: skip


def row(name, data, **changes):
    """A line of the manifest, of a pair without fault; `px` are the pixels of each class."""
    px = changes.pop("px", [16] * len(data.classes))
    return {
        "id": name, "image": f"data/source/images/{name}.png",
        "mask": f"data/source/masks/{name}.png", "group": name, "sequence": name, "order": 0,
        "given_split": "", "format": "PNG", "height": 8.0, "width": 8.0, "channels": 1.0,
        "dtype": "uint8", "image_orientation": 1.0, "mask_orientation": 1.0, "bytes": 99.0,
        "sha256_file": f"f{name}", "sha256_mask_file": f"g{name}", "sha256_pixels": f"p{name}",
        "sha256_mask": f"m{name}", "phash": "0" * 16, "mean": 100.0, "std": 50.0,
        "mask_height": 8.0, "mask_width": 8.0, "ignored_px": 0.0, "unknown_px": 0.0,
        "unknown_ids": "", **{f"px_{c}": float(n) for c, n in zip(data.classes, px, strict=True)},
        "error": None,
    } | changes  # fmt: skip


def search(*pairs):
    return SimpleNamespace(pairs=pd.DataFrame(pairs, columns=["a", "b", "kind", "score"]))


def checked(rows, data, validation=VALIDATION, found=None):
    return {
        f.name: f
        for f in expectations.check_expectations(
            pd.DataFrame(rows), data, validation, found or search()
        )
    }


def own(*entries):
    return VALIDATION.model_copy(update={"expectations": entries})


def unread(*sides):
    """What the manifest says of sides that could not be read."""
    image = ["height", "width", "channels", "image_orientation", "sha256_pixels", "mean", "std"]
    mask = [
        "mask_height",
        "mask_width",
        "mask_orientation",
        "sha256_mask",
        "ignored_px",
        "unknown_px",
        "unknown_ids",
    ]
    mask += ["px_background", "px_disc", "px_square", "px_bar"]
    return dict.fromkeys([*(image if "image" in sides else ()), *(mask if "mask" in sides else ())])


@pytest.fixture(scope="module")
def clean(data):
    table = pd.DataFrame([row(name, data) for name in "abc"])
    before = table.copy()
    return expectations.check_expectations(table, data, VALIDATION, search()), before, table


@pytest.fixture(scope="module")
def faulty(data):
    rows = [
        row("no_image", data, image=None, **unread("image")),
        row("no_mask", data, mask=None, **unread("mask")),
        row("broken", data, error="data/source/images/broken.png: truncated", **unread("image")),
        row("sizes", data, mask_width=6.0),
        row("turned", data, image_orientation=6.0),
        row("ids", data, unknown_px=64.0, unknown_ids="9", px=[0] * 4),
        row("copy1", data, sha256_pixels="same"),
        row("copy2", data, sha256_pixels="same"),
        row("same_mask1", data, sha256_mask="same"),
        row("same_mask2", data, sha256_mask="same"),
        row("empty", data, px=[64, 0, 0, 0]),
        row("void", data, ignored_px=63.5),
        row("flat", data, std=0.25),
        row("bad\nname", data),
        row("ok", data),
        row("ok", data, sha256_pixels="other"),
    ]
    strict = VALIDATION.model_copy(update={"min_std": 1.0, "max_ignored": 0.98})
    near = search(("flat", "void", "flipped", 0.97), ("copy1", "copy2", "exact", 1.0))
    return checked(rows, data, strict, near)


def test_clean_data_meets_every_expectation(clean):
    findings, _, _ = clean
    assert [(f.name, f.passed, f.files) for f in findings] == [(name, True, []) for name in NAMES]
    assert expectations.explain_findings(findings) == ""
    expectations.stop_on_critical(findings)


def test_checking_leaves_the_manifest_as_it_was(clean):
    _, before, after = clean
    assert list(after.columns) == list(before.columns)


@pytest.mark.parametrize(
    ("name", "severity", "ids", "files"),
    [
        ("images_present", "critical", ["no_image"], ["data/source/masks/no_image.png"]),
        ("masks_present", "critical", ["no_mask"], ["data/source/images/no_mask.png"]),
        ("readable", "critical", ["broken"], ["data/source/images/broken.png: truncated"]),
        ("names_usable", "critical", ["bad\nname"], ["'bad\\nname'"]),
        (
            "sizes_equal",
            "critical",
            ["sizes"],
            ["data/source/images/sizes.png is 8 x 8 px, its mask 6 x 8"],
        ),
        (
            "orientation",
            "critical",
            ["turned"],
            ["data/source/images/turned.png has EXIF orientation 6, its mask 1"],
        ),
        ("ids_known", "critical", ["ids"], ["data/source/masks/ids.png has 9 (64 px)"]),
        ("ids_unique", "critical", ["ok", "ok"], ["data/source/images/ok.png"] * 2),
        (
            "masks_filled",
            "info",
            ["ids", "empty"],
            ["data/source/masks/ids.png", "data/source/masks/empty.png"],
        ),
        (
            "masks_labelled",
            "warning",
            ["void"],
            ["data/source/masks/void.png is ignored for 99.2%"],
        ),
        (
            "images_vary",
            "warning",
            ["flat"],
            ["data/source/images/flat.png has a standard deviation of 0.25"],
        ),
    ],
)
def test_a_fault_is_found_with_its_pairs_files_and_severity(faulty, name, severity, ids, files):
    finding = faulty[name]
    assert (finding.passed, finding.severity, finding.ids, finding.files) == (
        False,
        severity,
        ids,
        files,
    )


def test_copies_are_found_by_their_pixels_and_paired(faulty):
    assert faulty["images_unique"].pairs == [("copy1", "copy2")]
    assert faulty["masks_unique"].pairs == [("same_mask1", "same_mask2")]
    assert faulty["images_unique"].ids == ["copy1", "copy2"]


def test_near_copies_name_both_files_and_what_one_is_of_the_other(faulty):
    finding = faulty["copies"]
    assert finding.files == [
        "data/source/images/flat.png and data/source/images/void.png (flipped, 0.97)"
    ]
    assert (finding.pairs, finding.severity) == ([("flat", "void")], "warning")


def test_without_a_search_nothing_is_said_of_near_copies(data):
    found = expectations.check_expectations(pd.DataFrame([row("a", data)]), data, VALIDATION, None)
    assert "copies" not in [finding.name for finding in found]


def test_a_class_that_no_mask_holds_is_named_with_its_id(data):
    finding = checked([row("a", data, px=[60, 4, 0, 0]), row("b", data, px=[60, 0, 4, 0])], data)[
        "classes_present"
    ]
    assert (finding.files, finding.ids, finding.severity) == (
        ["bar (id 3) stands in no mask"],
        [],
        "warning",
    )


@pytest.mark.parametrize(("exif", "passed"), [("upright", False), ("as_stored", True)])
def test_the_cameras_flag_matters_only_where_it_turns_images(data, exif, passed):
    decoding = data.decoding.model_copy(update={"exif": exif})
    found = checked(
        [row("a", data, image_orientation=3.0)], data.model_copy(update={"decoding": decoding})
    )
    assert found["orientation"].passed is passed


def test_critical_findings_stop_the_line_with_every_file_in_the_message(faulty):
    with pytest.raises(MaskmillError) as raised:
        expectations.stop_on_critical(list(faulty.values()))
    text = str(raised.value)
    assert text.startswith("the data cannot be trained on:\n[critical] every mask has an image: ")
    for file in ("no_image", "no_mask", "broken", "sizes", "turned", "ids", "copy2"):
        assert f"/{file}.png" in text
    assert "[warning]" not in text
    assert "mend these files (their meaning" in text


def test_a_warning_is_told_and_does_not_stop_the_line(faulty):
    told = [finding for finding in faulty.values() if finding.severity != "critical"]
    expectations.stop_on_critical(told)
    text = expectations.explain_findings(told)
    assert (
        "[warning] no mask with foreground belongs to two images: 4 do not meet it\n   "
        " data/source/masks/" in text
    )
    assert "[info] a mask holds some foreground: 2 do not meet it\n    data/source/masks/" in text


def test_many_files_have_a_line_each_are_counted_and_cut():
    many = Finding(
        "x", "every file can be decoded", "critical", False, [f"f{i}" for i in range(13)]
    )
    named = "".join(f"\n    f{i}" for i in range(10))
    assert (
        expectations.explain_findings([many])
        == f"[critical] every file can be decoded: 13 do not meet it{named} and 3 more"
    )


def test_data_of_which_nothing_can_be_read_is_reported_too(data):
    findings = checked([row("a", data, error="a.png: broken", **unread("image", "mask"))], data)
    assert [name for name, finding in findings.items() if not finding.passed] == ["readable"]


def test_a_class_may_have_any_name(data):
    """The manifest's own columns must not clash with px_<class>."""
    names = ("background", "unknown", "foreground", "other")
    odd = data.model_copy(update={"classes": names, "colours": dict.fromkeys(names, "#000000")})
    assert all(finding.passed for finding in checked([row("a", odd)], odd).values())


def test_findings_are_written_with_the_same_bytes_each_time_and_come_back(faulty, tmp_path):
    findings = list(faulty.values())
    for name in ("a", "b"):
        expectations.write_findings(tmp_path / name, findings)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert expectations.read_findings(tmp_path / "a") == findings
    assert set(json.loads((tmp_path / "a").read_text())[0]) == {
        "name", "meaning", "severity", "passed", "files", "ids", "pairs",
    }  # fmt: skip


def test_the_same_manifest_gives_the_same_findings(clean, data):
    findings, _, table = clean
    assert expectations.check_expectations(table, data, VALIDATION, search()) == findings


def test_a_users_own_expectations_are_judged_with_their_severity_and_files(data):
    asked = own(
        {
            "ExpectColumnMeanToBeBetween": {
                "column": "mean",
                "min_value": 120,
                "severity": "warning",
            }
        },
        {"ExpectColumnValuesToBeBetween": {"column": "mean", "max_value": 90}},
        {"ExpectTableRowCountToBeBetween": {"min_value": 1}},
    )
    found = checked([row("a", data, mean=80.0), row("b", data)], data, asked)
    mean, values, count = (found[f"own_{i}"] for i in (1, 2, 3))
    assert (mean.passed, mean.severity, mean.files) == (False, "warning", ["found: 90.0"])
    assert mean.meaning == "ExpectColumnMeanToBeBetween (column: mean, min_value: 120.0)"
    assert (values.severity, values.files, values.ids) == (
        "critical",
        ["data/source/images/b.png"],
        ["b"],
    )
    assert count.passed


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"ExpectColumnMeanToBeBetwen": {}},
            (
                "'ExpectColumnMeanToBeBetwen' is no expectation of Great Expectations; did you mean"
                " 'ExpectColumnMeanToBeBetween'?; allowed are Expect"
            ),
        ),
        (
            {"ExpectColumnMeanToBeBetween": {"column": "mean", "min_valu": 3}},
            (
                "ExpectColumnMeanToBeBetween.min_valu is not an option; did you mean 'min_value'?;"
                " allowed are severity, "
            ),
        ),
        (
            {"ExpectColumnMeanToBeBetween": {"min_value": 3}},
            "column: got nothing: field required; options are ",
        ),
        (
            {"ExpectColumnMeanToBeBetween": {"column": "mean", "min_value": "x"}},
            "min_value: got 'x': value is not a",
        ),
        (
            {"ExpectColumnMeanToBeBetween": {"column": "mean", "severity": "bad"}},
            (
                "severity: got 'bad': value is not a valid enumeration member; permitted:"
                " 'critical', 'warning', 'info'"
            ),
        ),
    ],
)
def test_a_wrong_expectation_of_a_user_is_refused_before_anything_runs(params, entry, said):
    with pytest.raises(MaskmillError) as raised:
        check(params.model_copy(update={"validation": own(entry), "variants": ()}))
    assert str(raised.value).startswith("params.yaml: validation.expectations")
    assert said in str(raised.value)


def test_a_column_that_the_manifest_lacks_is_named_with_the_nearest(data):
    with pytest.raises(MaskmillError) as raised:
        checked(
            [row("a", data)],
            data,
            own({"ExpectColumnMeanToBeBetween": {"column": "maen", "min_value": 1}}),
        )
    text = str(raised.value)
    assert text.startswith(
        "params.yaml: validation.expectations.ExpectColumnMeanToBeBetween.column: 'maen' is no"
        " column of the manifest; did you mean 'mean'?; there are id, image, mask"
    )


def test_an_expectation_that_cannot_be_judged_is_an_error_and_no_verdict(data):
    with pytest.raises(
        MaskmillError, match=r"MeanToBeBetween: Great Expectations cannot judge it on the manifest"
    ):
        checked(
            [row("a", data)],
            data,
            own({"ExpectColumnMeanToBeBetween": {"column": "dtype", "min_value": 1}}),
        )
