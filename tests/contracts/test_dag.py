"""dvc.yaml, params.yaml and the stage functions agree."""

import importlib
import inspect
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from maskmill.checks.params import check
from maskmill.settings import config

ROOT = Path(__file__).parents[2]
DAG = YAML(typ="safe").load(ROOT / "dvc.yaml")
ORDER = [
    "settings",
    "ingest",
    "validate",
    "split",
    "augment",
    "train",
    "evaluate",
    "select",
    "register",
    "report",
]


def test_the_dag_is_the_documented_line():
    assert [name for name in DAG["stages"] if name in ORDER] == ORDER


@pytest.mark.parametrize("name", ORDER[1:])
def test_a_stage_depends_on_its_own_settings_and_code(name: str):
    takes = inspect.signature(
        getattr(importlib.import_module(f"maskmill.stages.{name}"), name)
    ).parameters
    file = (
        f"${{paths.prepared}}/settings/{name}"
        + ("-${item.variant}" if "variant" in takes else "")
        + ".json"
    )
    assert [dep for dep in DAG["stages"][name]["deps"] if "/settings" in dep] == [file]
    # they stand in the file, with the defaults of what is left out
    assert "params" not in DAG["stages"][name]
    assert takes.keys() - {"variant"} <= config.Params.model_fields.keys()


def test_no_code_stands_in_the_dag_but_as_the_whole_that_is_read():
    lines = {
        name: [dep for dep in stage["deps"] if dep.startswith("src")]
        for name, stage in DAG["stages"].items()
    }
    assert {name: found for name, found in lines.items() if found} == {"settings": ["src/maskmill"]}


def test_shipped_settings_pass_every_check():
    check(config.load(ROOT / "params.yaml"))
