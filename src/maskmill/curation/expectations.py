"""Check what must hold for a data set before training, by Great Expectations on the manifest.

Great Expectations judges; this file says what to expect, how bad a breach is, and turns the result
into stable JSON and a message that names files. Its import takes seconds, so it happens inside the
functions.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from maskmill.curation import own_expectations
from maskmill.settings.config import Data, Validation
from maskmill.system import files
from maskmill.system.errors import MaskmillError, few_of

if TYPE_CHECKING:
    from maskmill.curation.duplicates import DuplicateSearch

_ABOUT_MASKS = ("masks_unique", "masks_filled")  # findings that name the mask, not the image
_FOUND = {  # what is said of a row; of the others its file alone
    "readable": "{error}",
    "names_usable": "{id!r}",
    "sizes_equal": (
        "{image} is {width:.0f} x {height:.0f} px, its mask {mask_width:.0f} x {mask_height:.0f}"
    ),
    "orientation": (
        "{image} has EXIF orientation {image_orientation:.0f}, its mask {mask_orientation:.0f}"
    ),
    "ids_known": "{mask} has {unknown_ids} ({unknown_px:.0f} px)",
    "masks_labelled": "{mask} is ignored for {ignored_share:.1%}",
    "images_vary": "{image} has a standard deviation of {std:.2f}",
    "classes_present": "{id} (id {number}) stands in no mask",
}
_ALIKE = {"images_unique": "sha256_pixels", "masks_unique": "sha256_filled_mask"}
_USABLE_NAME = r"^(?!\.)[^\x00-\x1f\x7f\\]{1,200}$"  # an id becomes a file's name
_SHOWN = 10  # files named per finding in a message; the JSON names all


@dataclass(frozen=True)
class Finding:
    """One expectation's verdict: what was expected, how bad a breach is, and what breaks it."""

    name: str
    meaning: str
    severity: str
    passed: bool
    # each with what was found there; of a finding about the whole data set what was found
    files: list[str]
    ids: list[str] = field(default_factory=list)  # of the pairs that `files` names, in its order
    pairs: list[tuple[str, str]] = field(default_factory=list)  # ids that break it together

    @property
    def stops(self) -> bool:
        """Whether the line must stop here."""
        return not self.passed and self.severity == "critical"


class _Expected(NamedTuple):
    name: str
    meaning: str
    expectation: Any
    table: str = "pairs"  # or classes


def check_expectations(
    manifest: pd.DataFrame,
    data: Data,
    validation: Validation,
    search: "DuplicateSearch | None" = None,
) -> list[Finding]:
    """Check the manifest against every expectation and return one finding for each.

    Their order is fixed, and the user's own come last. Without a `search` nothing is said of near
    duplicates.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    near = None if search is None else search.pairs[search.pairs["kind"] != "exact"]
    tables = {"pairs": _derive(manifest, data, near), "classes": _classes(manifest, data)}
    source, batches = context.data_sources.add_pandas("manifest"), {}
    for name, table in tables.items():
        whole = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        batches[name] = whole.get_batch({"dataframe": table})
    findings = []
    for expected in _expectations(data, validation, searched=near is not None):
        result = batches[expected.table].validate(
            expected.expectation, result_format={"result_format": "COMPLETE"}
        )
        findings.append(_finding(expected, result, tables[expected.table], near))
    for number, (where, expectation) in enumerate(own_expectations.create(validation), 1):
        own_expectations.check_columns(where, expectation, manifest)
        result = batches["pairs"].validate(expectation, result_format={"result_format": "COMPLETE"})
        _check_answer(where, result)
        own = _Expected(
            f"own_{number}", own_expectations.describe_expectation(expectation), expectation
        )
        findings.append(_finding(own, result, tables["pairs"], near))
    return findings


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """Write the findings as JSON; the same findings give the same bytes."""
    files.write_json(path, [asdict(finding) for finding in findings])


def read_findings(path: Path) -> list[Finding]:
    """The findings that `write` wrote."""
    return [
        Finding(**entry | {"pairs": [(a, b) for a, b in entry["pairs"]]})
        for entry in files.read_json(path)
    ]


def explain_findings(findings: Sequence[Finding]) -> str:
    """Describe the findings that did not pass, each with its files.

    Of several files each has a line; of many only the first are named.
    """
    lines = []
    for finding in findings:
        if not finding.passed:
            count = len(finding.files)
            named = few_of(finding.files, _SHOWN, "\n    ")
            found = f"{count} do not meet it\n    {named}" if count > 1 else named
            lines.append(f"[{finding.severity}] {finding.meaning}: {found}")
    return "\n".join(lines)


def stop_on_critical(findings: Sequence[Finding]) -> None:
    """Raises: MaskmillError naming every file that breaks a critical expectation."""
    critical = [finding for finding in findings if finding.stops]
    if critical:
        raise MaskmillError(
            f"the data cannot be trained on:\n{explain_findings(critical)}\n"
            "mend these files"
            " (their meaning: `data`, how bad a finding is: `validation` in params.yaml)"
        )


def _derive(manifest: pd.DataFrame, data: Data, near: pd.DataFrame | None) -> pd.DataFrame:
    """Return the manifest with columns for plain expectations.

    What could not be read is null, which no expectation judges.
    """
    table = manifest.reset_index(drop=True)
    compared = table["height"].notna() & table["mask_height"].notna()
    differs = (table["height"] != table["mask_height"]) | (table["width"] != table["mask_width"])
    table["size_differs"] = differs.astype(object).where(compared, None)
    # as_stored turns nothing, so there no flag matters
    flags = (
        table["image_orientation"].notna()
        & table["mask_orientation"].notna()
        & (data.decoding.exif == "upright")
    )
    turned = table["image_orientation"] != table["mask_orientation"]
    # of a quarter turn the sizes decide: where they are equal once it is made, it is right
    quarter = (table["image_orientation"] >= 5) != (table["mask_orientation"] >= 5)
    turned &= ~(quarter & ~differs & (table["height"] != table["width"]))
    table["turned_apart"] = turned.astype(object).where(flags, None)
    table["foreground_px"] = table[[f"px_{data.classes[i]}" for i in data.foreground]].sum(
        axis=1, min_count=1
    )
    table["sha256_filled_mask"] = table["sha256_mask"].where(table["foreground_px"] > 0, None)
    table["ignored_share"] = (
        table["ignored_px"] / (table["mask_height"] * table["mask_width"])
    ).astype(float)
    if near is not None:
        counts = pd.concat([near["a"], near["b"]]).value_counts()
        table["copies"] = table["id"].map(counts).fillna(0).astype(int)
    return table


def _classes(manifest: pd.DataFrame, data: Data) -> pd.DataFrame:
    """Return a row per class: id (its name), number, and pixels in all masks.

    Pixels are null where no mask could be read.
    """
    pixels = [manifest[f"px_{name}"].sum(min_count=1) for name in data.classes]
    return pd.DataFrame({"id": data.classes, "number": range(len(data.classes)), "pixels": pixels})


def _expectations(data: Data, validation: Validation, *, searched: bool) -> list[_Expected]:
    import great_expectations.expectations as gxe

    known = (
        f"a mask holds the ids 0..{len(data.classes) - 1} or ignore_index {data.ignore_index} only"
    )
    if data.values is not None:
        known = "a mask holds the values of data.values only"
    v, filled = validation, "no mask with foreground belongs to two images"
    plain = [
        _Expected("images_present", "every mask has an image",
                  gxe.ExpectColumnValuesToNotBeNull(column="image")),
        _Expected("masks_present", "every image has a mask",
                  gxe.ExpectColumnValuesToNotBeNull(column="mask")),
        _Expected("readable", "every file can be decoded",
                  gxe.ExpectColumnValuesToBeNull(column="error")),
        _Expected("names_usable",
                  "an id can be a file's name: 1 to 200 characters, none of control, no backslash",
                  gxe.ExpectColumnValuesToMatchRegex(column="id", regex=_USABLE_NAME)),
        _Expected("sizes_equal", "an image and its mask have one size",
                  gxe.ExpectColumnValuesToBeInSet(column="size_differs", value_set=[False])),
        _Expected("orientation", "a camera's flag turns an image and its mask alike",
                  gxe.ExpectColumnValuesToBeInSet(column="turned_apart", value_set=[False],
                                                  severity=v.orientation)),
        _Expected("ids_known", known,
                  gxe.ExpectColumnValuesToBeInSet(column="unknown_px", value_set=[0])),
        _Expected("ids_unique", "every pair has its own id",
                  gxe.ExpectColumnValuesToBeUnique(column="id")),
        _Expected("images_unique", "no image stands there twice",
                  gxe.ExpectColumnValuesToBeUnique(column="sha256_pixels",
                                                   severity=v.duplicate_images)),
        _Expected("masks_unique", filled,
                  gxe.ExpectColumnValuesToBeUnique(column="sha256_filled_mask",
                                                   severity=v.duplicate_masks)),
        _Expected("masks_filled", "a mask holds some foreground",
                  gxe.ExpectColumnValuesToBeBetween(column="foreground_px", min_value=1,
                                                    severity=v.empty_masks)),
        _Expected("masks_labelled", f"at most {v.max_ignored:.0%} of a mask is ignored",
                  gxe.ExpectColumnValuesToBeBetween(column="ignored_share", max_value=v.max_ignored,
                                                    severity=v.ignored_masks)),
        _Expected("images_vary",
                  f"an image is not of one value: its standard deviation is at least {v.min_std:g}",
                  gxe.ExpectColumnValuesToBeBetween(column="std", min_value=v.min_std,
                                                    severity=v.flat_images)),
        _Expected("classes_present", "every class stands in some mask",
                  gxe.ExpectColumnValuesToBeBetween(column="pixels", min_value=1,
                                                    severity=v.absent_classes),
                  "classes"),
    ]  # fmt: skip
    copies = _Expected(
        "copies", "no image is a copy of another, saved anew, resized, flipped, turned or cropped",
        gxe.ExpectColumnValuesToBeInSet(column="copies", value_set=[0], severity=v.near_duplicates),
    )  # fmt: skip
    return [*plain, copies] if searched else plain


def _finding(
    expected: _Expected, result: Any, table: pd.DataFrame, near: pd.DataFrame | None
) -> Finding:
    rows = table.loc[sorted(result.result.get("unexpected_index_list") or [])]
    named, ids = [_file(row, expected.name) for _, row in rows.iterrows()], rows["id"].tolist()
    pairs: list[tuple[str, str]] = []
    if expected.name in _ALIKE:
        first = rows.groupby(_ALIKE[expected.name])["id"].transform("first")
        pairs = [(a, b) for a, b in zip(first, rows["id"], strict=True) if a != b]
    elif expected.name == "copies" and near is not None:
        image = dict(zip(table["id"], table["image"], strict=True))
        near = near.sort_values(["a", "b"])
        pairs = list(zip(near["a"], near["b"], strict=True))
        named = [
            f"{image[r.a]} and {image[r.b]} ({r.kind}, {r.score:.2f})" for r in near.itertuples()
        ]
        ids = near["a"].tolist()
    elif expected.table == "classes":
        ids = []
    elif not result.success and not named:
        named = [f"found: {result.result.get('observed_value')}"]
    severity = expected.expectation.severity.value
    return Finding(
        expected.name, expected.meaning, severity, bool(result.success), named, ids, pairs
    )


def _check_answer(where: str, result: Any) -> None:
    """Raises: MaskmillError when Great Expectations could not judge."""
    told = result.exception_info or {}
    for answer in [told, *(value for value in told.values() if isinstance(value, dict))]:
        if answer.get("raised_exception"):
            said = str(answer["exception_message"]).strip().splitlines()[-1]
            raise MaskmillError(
                f"{where}: Great Expectations cannot judge it on the manifest, a pandas table:"
                f" {said}; take another expectation, or one whose column has values of that kind"
            )


def _file(row: pd.Series, expectation: str) -> str:
    """The file a finding is about, with what was found there."""
    if expectation in _FOUND:
        return _FOUND[expectation].format(**row.to_dict())
    side, other = ("mask", "image") if expectation in _ABOUT_MASKS else ("image", "mask")
    return str(row[other] if pd.isna(row[side]) else row[side])
