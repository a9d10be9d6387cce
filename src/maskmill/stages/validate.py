"""validate: describe every pair in a manifest and hold it against the expectations."""

from dataclasses import asdict
from pathlib import Path

from maskmill import files
from maskmill.config import Data, Paths, Validation
from maskmill.data import expectations, manifest


def validate(paths: Paths, data: Data, validation: Validation) -> None:
    """Write reports/validation.json and data/prepared/pairs.parquet.

    Raises: MaskmillError that names every file with a critical finding.
    """
    table = manifest.build(Path(paths.raw), data)
    findings = expectations.check(table, data, validation)
    expectations.stop_on_critical(findings, paths.raw)
    manifest.write(Path(paths.prepared) / "pairs.parquet", table)
    files.write_json(Path(paths.reports) / "validation.json", [asdict(finding) for finding in findings])
    passed = sum(finding.passed for finding in findings)
    print(f"validate: {len(table)} pairs, {passed} of {len(findings)} expectations hold")
    if told := expectations.explain(findings):
        print(told)
