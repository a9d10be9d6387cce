"""What a stage of the data imports, it depends on: a mended file runs the stages again that it decides."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DAG = YAML(typ="safe").load(ROOT / "dvc.yaml")
# Files that only hand on, remember, or draw what goes to no out.
NOT_DECIDING = {"parallel", "stamps", "manifest_cache"}


def imported(path: Path) -> set[Path]:
    """Files of maskmill.data that this one imports by itself, at the top or in a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("maskmill.data"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {ROOT / "src" / name.replace(".", "/") for name in names - {"maskmill.data"}}
    found = {file.with_suffix(".py") for file in files if file.with_suffix(".py").exists()}
    return found | {file / "__init__.py" for file in files if (file / "__init__.py").exists()}


@pytest.mark.parametrize("stage", ["ingest", "validate", "split", "augment"])
def test_what_a_stage_imports_of_the_data_room_it_depends_on(stage: str):
    deps = [ROOT / dep for dep in DAG["stages"][stage]["deps"] if dep.startswith("src/")]
    for file in imported(ROOT / f"src/maskmill/stages/{stage}.py"):
        assert any(file == dep or dep in file.parents for dep in deps) or file.stem in NOT_DECIDING, (
            f"{stage} does not depend on {file.relative_to(ROOT)}"
        )
