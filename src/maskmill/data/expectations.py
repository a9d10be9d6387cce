"""What must hold for a data set before anything is trained on it, as Great Expectations over the manifest.

Great Expectations judges; this file says what to expect, how bad a breach is, and turns the result into stable JSON
and a message that names files. Its import takes seconds, so it happens inside the functions.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from maskmill.config import Data, Validation
from maskmill.errors import MaskmillError

_ABOUT_MASKS = ("masks_unique", "masks_filled")  # findings that name the mask, not the image
_SHOWN = 10  # files named per finding in a message; the JSON names all


@dataclass(frozen=True)
class Finding:
    """One expectation's verdict: what was expected, how bad a breach is, and the files that break it."""

    name: str
    meaning: str
    severity: str
    passed: bool
    files: list[str]

    @property
    def stops(self) -> bool:
        """Whether the line must stop here."""
        return not self.passed and self.severity == "critical"


def check(manifest: pd.DataFrame, data: Data, validation: Validation) -> list[Finding]:
    """Hold the manifest against every expectation; one finding each, in a fixed order."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("manifest").add_dataframe_asset("pairs")
    table = _derive(manifest, data)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
    findings = []
    for name, meaning, expectation in _expectations(data, validation):
        result = batch.validate(expectation, result_format={"result_format": "COMPLETE"})
        rows = result.result.get("unexpected_index_list") or []
        broken = [_file(table.loc[i], name) for i in sorted(rows)]
        findings.append(Finding(name, meaning, expectation.severity.value, bool(result.success), broken))
    return findings


def explain(findings: Sequence[Finding]) -> str:
    """The findings that did not pass, one per line, with file names."""
    lines = []
    for finding in findings:
        if not finding.passed:
            more = f" and {len(finding.files) - _SHOWN} more" if len(finding.files) > _SHOWN else ""
            named = "; ".join(finding.files[:_SHOWN])
            lines.append(f"[{finding.severity}] {finding.meaning}: {named}{more}")
    return "\n".join(lines)


def stop_on_critical(findings: Sequence[Finding], raw: str) -> None:
    """Raises: MaskmillError naming every file that breaks a critical expectation."""
    critical = [finding for finding in findings if finding.stops]
    if critical:
        raise MaskmillError(
            f"the data in {raw} cannot be trained on:\n{explain(critical)}\n"
            "mend these files in data/source (their meaning: `data`, how bad a finding is: `validation` in params.yaml)"
        )


def _derive(manifest: pd.DataFrame, data: Data) -> pd.DataFrame:
    """The manifest with columns to put plain expectations on; what could not be read is null, which none judges."""
    table = manifest.copy()
    compared = table["height"].notna() & table["mask_height"].notna()
    differs = (table["height"] != table["mask_height"]) | (table["width"] != table["mask_width"])
    table["size_differs"] = differs.astype(object).where(compared, None)
    table["foreground_px"] = table[[f"px_{data.classes[i]}" for i in data.foreground]].sum(axis=1, min_count=1)
    table["sha256_filled_mask"] = table["sha256_mask"].where(table["foreground_px"] > 0, None)
    return table


def _expectations(data: Data, validation: Validation) -> list[tuple[str, str, Any]]:
    import great_expectations.expectations as gxe

    return [
        ("images_present", "every mask has an image", gxe.ExpectColumnValuesToNotBeNull(column="image")),
        ("masks_present", "every image has a mask", gxe.ExpectColumnValuesToNotBeNull(column="mask")),
        ("readable", "every file can be decoded", gxe.ExpectColumnValuesToBeNull(column="error")),
        (
            "sizes_equal",
            "an image and its mask have one size",
            gxe.ExpectColumnValuesToBeInSet(column="size_differs", value_set=[False]),
        ),
        (
            "ids_known",
            f"a mask holds the ids 0..{len(data.classes) - 1} or ignore_index {data.ignore_index} only",
            gxe.ExpectColumnValuesToBeInSet(column="unknown_px", value_set=[0]),
        ),
        ("ids_unique", "every pair has its own id", gxe.ExpectColumnValuesToBeUnique(column="id")),
        (
            "images_unique",
            "no image stands there twice",
            gxe.ExpectColumnValuesToBeUnique(column="sha256_pixels", severity=validation.duplicate_images),
        ),
        (
            "masks_unique",
            "no mask with foreground belongs to two images",
            gxe.ExpectColumnValuesToBeUnique(column="sha256_filled_mask", severity=validation.duplicate_masks),
        ),
        (
            "masks_filled",
            "a mask holds some foreground",
            gxe.ExpectColumnValuesToBeBetween(column="foreground_px", min_value=1, severity=validation.empty_masks),
        ),
    ]


def _file(row: pd.Series, expectation: str) -> str:
    """The file a finding is about, with what was found there."""
    if expectation == "readable":
        return str(row["error"])
    if expectation == "sizes_equal":
        sizes = [int(row[side]) for side in ("width", "height", "mask_width", "mask_height")]
        return f"{row['image']} is {sizes[0]} x {sizes[1]} px, its mask {sizes[2]} x {sizes[3]}"
    if expectation == "ids_known":
        return f"{row['mask']} has {row['unknown_ids']} ({int(row['unknown_px'])} px)"
    side, other = ("mask", "image") if expectation in _ABOUT_MASKS else ("image", "mask")
    return str(row[other] if pd.isna(row[side]) else row[side])
