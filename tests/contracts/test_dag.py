"""dvc.yaml, params.yaml and the stage functions agree."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from maskmill import config
from maskmill.check import check

ROOT = Path(__file__).parents[2]
DAG = YAML(typ="safe").load(ROOT / "dvc.yaml")
ORDER = ["ingest", "validate", "split", "augment", "train", "evaluate", "select", "register", "report"]


def test_the_dag_is_the_documented_line():
    assert [name for name in DAG["stages"] if name in ORDER] == ORDER


@pytest.mark.parametrize("name", ORDER)
def test_a_stages_parameters_are_the_sections_it_depends_on(name: str):
    stage = getattr(importlib.import_module(f"maskmill.stages.{name}"), name)
    takes = set(inspect.signature(stage).parameters) - {"paths", "variant"}  # paths are deps and outs
    declared = set(DAG["stages"][name]["params"]) - {"paths"}
    if name == "ingest":  # it looks what all outs hold, which `variants` names
        declared -= {"variants"}
    depends = {"models" if p == "models.${item.variant}" else p for p in declared}
    assert takes == depends


@pytest.mark.parametrize("name", ORDER)
def test_a_stages_code_dependencies_exist(name: str):
    for dep in DAG["stages"][name]["deps"]:
        if dep.startswith("src/"):
            for variant in config.load(ROOT / "params.yaml").variants:
                assert (ROOT / dep.replace("${item.variant}", variant)).exists(), dep


@pytest.mark.parametrize("name", ORDER)
def test_a_stages_own_file_is_among_its_dependencies(name: str):
    assert f"src/maskmill/stages/{name}.py" in DAG["stages"][name]["deps"]


def test_a_variant_does_not_depend_on_its_siblings():
    deps = DAG["stages"]["train"]["deps"]
    assert [d for d in deps if "networks" in d] == ["src/maskmill/models/networks/${item.variant}.py"]


def model_files(file: Path) -> set[Path]:
    """Files of the model family that this one imports, and those that they import."""
    found = {
        ROOT / "src" / f"{node.module.replace('.', '/')}.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("maskmill.models.")
    }
    return found.union(*(model_files(other) for other in found))


def test_training_depends_on_every_model_file_that_it_or_a_variant_imports():
    variants = (ROOT / "src/maskmill/models/networks").glob("*.py")
    used = model_files(ROOT / "src/maskmill/stages/train.py").union(*(model_files(path) for path in variants))
    deps = {d for d in DAG["stages"]["train"]["deps"] if d.startswith("src/maskmill/models/") and "networks" not in d}
    assert deps == {str(path.relative_to(ROOT)) for path in used}


def test_shipped_settings_pass_every_check():
    check(config.load(ROOT / "params.yaml"))
