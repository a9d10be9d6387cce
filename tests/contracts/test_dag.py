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
ORDER = ["code", "ingest", "validate", "split", "augment", "train", "evaluate", "select", "register", "report"]


def test_the_dag_is_the_documented_line():
    assert [name for name in DAG["stages"] if name in ORDER] == ORDER


@pytest.mark.parametrize("name", ORDER)
def test_a_stages_parameters_are_the_sections_it_depends_on(name: str):
    stage = getattr(importlib.import_module(f"maskmill.stages.{name}"), name)
    takes = set(inspect.signature(stage).parameters) - {"paths", "variant"}  # paths are deps and outs
    declared = set(DAG["stages"][name].get("params", ()))
    depends = {"models" if p == "models.${item.variant}" else p for p in declared}
    assert takes == depends


@pytest.mark.parametrize("name", ORDER[1:])
def test_a_stage_depends_on_its_own_digest_of_code(name: str):
    takes = inspect.signature(getattr(importlib.import_module(f"maskmill.stages.{name}"), name)).parameters
    digest = f"${{paths.prepared}}/code/{name}" + ("-${item.variant}" if "variant" in takes else "")
    assert [dep for dep in DAG["stages"][name]["deps"] if "/code" in dep] == [digest]


def test_no_code_stands_in_the_dag_but_as_the_whole_that_is_read():
    lines = {name: [dep for dep in stage["deps"] if dep.startswith("src")] for name, stage in DAG["stages"].items()}
    assert {name: found for name, found in lines.items() if found} == {"code": ["src/maskmill"]}


def test_shipped_settings_pass_every_check():
    check(config.load(ROOT / "params.yaml"))
