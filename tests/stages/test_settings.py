"""The settings and the code of each stage as noted, and edits while the pipeline runs."""

import json
import os
from pathlib import Path

import pytest

from maskmill.settings import config, configure
from maskmill.stages.settings import (
    check_code_unchanged,
    check_settings_unchanged,
    settings,
    settings_file,
)
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Params:
    """The settings of a fresh repository, the working folder, in which the stage has run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("params.yaml", "data/source.yaml"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    params = config.load()
    (tmp_path / params.paths.prepared / "settings").mkdir(parents=True)
    (tmp_path / params.paths.prepared / "settings/train-gone.json").write_text(
        "of a variant that was"
    )
    settings(params.paths)
    return params


def noted(params: config.Params, stage: str, variant: str = "") -> dict[str, object]:
    return json.loads(settings_file(params.paths, stage, variant).read_text())


def test_each_stage_has_a_file_for_each_of_its_variants(params: config.Params):
    names = {path.stem for path in (Path(params.paths.prepared) / "settings").iterdir()}
    assert {
        "ingest",
        "report",
        *(f"{stage}-{v}" for stage in ("train", "evaluate") for v in params.variants),
    } <= names
    assert "train-gone" not in names
    code = [
        noted(params, "train", v)["code"] for v in ("unet", "resnet18_unet", "se_resnet18_unet")
    ]
    assert code[0] != code[1] == code[2]  # the last two are options of one network


def test_a_stage_has_the_sections_that_it_takes_and_of_the_variants_its_own(params: config.Params):
    assert noted(params, "ingest").keys() == {"data", "code"}
    train = noted(params, "train", "unet")
    assert train.keys() == {"data", "models", "train", "evaluation", "code"}
    assert train["models"] == {"unet": {"network": "unet", "weights": None, "feature_scale": 4}}


def test_a_setting_that_is_left_out_stands_there_with_its_default(params: config.Params):
    before = {
        path: path.read_text() for path in (Path(params.paths.prepared) / "settings").iterdir()
    }
    values = config.read_yaml(config.PARAMS)
    del values["report"], values["train"]["ema"]
    config.PARAMS.write_text(json.dumps(values))
    settings(params.paths)
    assert {path: path.read_text() for path in before} == before


def test_what_has_changed_is_told(params: config.Params, capsys: pytest.CaptureFixture[str]):
    configure.change({"train.seed": 7, "models.unet.feature_scale": 8})
    file = settings_file(params.paths, "select", "")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"code": "of before"}))
    capsys.readouterr()
    settings(params.paths)
    assert (
        capsys.readouterr().out.splitlines()[0]
        == "settings: changed: models.unet.feature_scale 4 -> 8, train.seed 0 -> 7, code of select"
    )


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_variant_of_a_name_of_its_own_reaches_its_network(params: config.Params, stage: str):
    configure.change(
        {
            "variants": ["unet", "small"],
            "models": {"unet": {}, "small": {"network": "se_resnet18_unet"}},
        }
    )
    settings(params.paths)
    before = noted(params, stage, "small")["code"]
    configure.change({"models": {"unet": {}, "small": {"network": "resnet_unet", "gate": "se"}}})
    settings(params.paths)
    assert noted(params, stage, "small")["code"] == before != noted(params, stage, "unet")["code"]


def test_settings_that_were_edited_meanwhile_are_refused_where_the_stage_takes_them(
    params: config.Params,
):
    edited = configure.change({"train.seed": 7})
    check_settings_unchanged("select", "", edited)
    with pytest.raises(MaskmillError) as raised:
        check_settings_unchanged("train", "unet", edited)
    assert (
        str(raised.value)
        == "train: params.yaml was edited while the pipeline ran (train.seed 0 -> 7); start the"
        " same command again"
    )


def test_code_that_was_edited_meanwhile_is_refused_where_the_stage_reaches_it(
    params: config.Params,
):
    file = settings_file(params.paths, "select", "")
    check_code_unchanged("select", "", params)
    os.utime(file, ns=(0, 0))  # older than the code
    check_code_unchanged("select", "", params)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"code": "of before"}))
    os.utime(file, ns=(0, 0))
    with pytest.raises(
        MaskmillError,
        match=r"select: its code was edited while the pipeline ran, .* the same command",
    ):
        check_code_unchanged("select", "", params)
