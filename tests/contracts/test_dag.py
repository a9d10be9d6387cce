"""dvc.yaml, params.yaml and the stage functions agree."""

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
    assert list(DAG["stages"]) == ORDER


@pytest.mark.parametrize("name", ORDER)
def test_a_stages_parameters_are_the_sections_it_depends_on(name: str):
    stage = getattr(importlib.import_module(f"maskmill.stages.{name}"), name)
    takes = set(inspect.signature(stage).parameters) - {"paths", "variant"}  # paths are deps and outs
    depends = {"models" if p == "models.${item.variant}" else p for p in DAG["stages"][name]["params"]}
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


def test_every_file_of_the_model_family_is_a_dependency_of_training():
    deps = [d for d in DAG["stages"]["train"]["deps"] if d.startswith("src/maskmill/models/")]
    shared = {f"src/maskmill/models/{p.name}" for p in (ROOT / "src/maskmill/models").glob("*.py")}
    assert shared - {"src/maskmill/models/__init__.py"} == {d for d in deps if "networks" not in d}


def test_shipped_settings_pass_every_check():
    check(config.load(ROOT / "params.yaml"))
