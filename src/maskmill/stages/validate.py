"""validate: describe every pair in a manifest, look for copies, and hold it all against the expectations."""

from dataclasses import asdict
from pathlib import Path

from maskmill import files
from maskmill.config import Data, Paths, Validation
from maskmill.data import datasets, duplicates, expectations, manifest
from maskmill.evaluation import data_page


def validate(paths: Paths, data: Data, validation: Validation) -> None:
    """Write data/prepared/pairs.parquet, data/prepared/duplicates.csv and reports/validation.json.

    Raises: MaskmillError that names every file with a critical finding; reports/problems.html then shows them.
    """
    expectations.check_own(validation, data)
    prepared, reports = Path(paths.prepared), Path(paths.reports)
    index = datasets.read_index(Path(paths.raw))
    table, thumbnails = manifest.build(index, data, Path(paths.state) / "manifest")
    search = duplicates.find(table, thumbnails, lambda i: manifest.image(table.iloc[i], data), validation.search_s)
    findings = expectations.check(table, data, validation, search)
    problems = reports / data_page.PROBLEMS
    if any(finding.stops for finding in findings):
        contents = data_page.Contents(data=data, table=table, findings=findings, note=search.note, pairs=search.pairs)
        files.write_text(problems, data_page.render(contents))
        expectations.stop_on_critical(findings, problems)
    problems.unlink(missing_ok=True)
    manifest.write(prepared / "pairs.parquet", table)
    files.write_text(prepared / "duplicates.csv", search.pairs.to_csv(index=False))
    found = {"pairs": len(table), "search": search.note, "findings": [asdict(finding) for finding in findings]}
    files.write_json(reports / "validation.json", found)
    passed = sum(finding.passed for finding in findings)
    print(f"validate: {len(table)} pairs, {passed} of {len(findings)} expectations hold")
    if told := expectations.explain(findings):
        print(told)
