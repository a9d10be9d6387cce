"""What `maskmill models` prints, inside a repository and outside."""

import re

import pytest
from typer.testing import CliRunner

from maskmill import models
from maskmill.cli.app import app
from maskmill.settings import configure
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY


def run(*arguments):
    done = CliRunner().invoke(app, ["models", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


@pytest.fixture
def few(monkeypatch):
    """Only networks that take little time to make."""
    monkeypatch.setattr(models, "names", lambda: ["resnet18_unet", "unet"])


@pytest.mark.usefixtures("few")
def test_outside_a_repository_every_network_is_listed_with_the_papers_options(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    text = run("--size", "128x64")
    assert [line.split()[0] for line in text.splitlines()[1:-1]] == models.names()
    assert re.search(r"^unet +28,948,738 +\S+ G +arXiv:1505\.04597$", text, re.MULTILINE)
    assert "one image of 128 x 64 px; channels 3, classes 2, options of the papers" in text


@pytest.mark.usefixtures("few")
def test_inside_a_repository_its_own_options_count(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert "feature_scale: 4" in run("--size", "64")
    assert "feature_scale" not in run("--size", "64", "--defaults")


def test_a_network_is_shown_level_by_level(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = run("show", "unet", "--size", "256x512")
    assert re.search(
        r"^levels.max_pool2d +64 +128 x 256 +0 +0 +ceil\(\(\[256, 512\] .*/2\) \+ 1$",
        text,
        re.MULTILINE,
    )
    assert re.search(r"^decoder\.ups\.0 +64 +256 x 512 .*", text, re.MULTILINE)
    assert "unet (arXiv:1505.04597): 28,948,738 parameters" in text


@pytest.mark.parametrize("size", ["0x4", "256*512", "wide", "99999999"])
def test_a_size_of_another_form_is_named(size):
    with pytest.raises(
        MaskmillError, match="needed is HEIGHTxWIDTH in px, 256x512 say, up to 99999x99999"
    ):
        run("show", "unet", "--size", size)


def test_options_before_the_command_that_they_are_for_are_refused():
    with pytest.raises(
        MaskmillError, match="--size and --defaults come after show, which they are for"
    ):
        run("--size", "64", "show", "unet")


def test_an_unknown_network_names_the_nearest():
    with pytest.raises(MaskmillError, match="did you mean 'unet'"):
        run("show", "unett")


def test_only_what_was_trained_can_be_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(
        MaskmillError, match=r"export: got 'nope'; allowed are unet, .* and models:/NAME@ALIAS"
    ):
        run("export", "nope", "--out", str(tmp_path / "a.onnx"))


def test_a_variant_is_shown_by_its_own_name_and_so_are_its_mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    configure.change({"models": {"small": {"network": "resnet_unet", "width": 8},
                                 "unet": {"feature_scal": 8}, "resnet18_unet": {},
                                 "se_resnet18_unet": {}}})  # fmt: skip
    shown = run("show", "small", "--size", "64").splitlines()
    assert shown[-3].startswith("small (arXiv:1512.03385, network resnet_unet, width 8): ")
    assert shown[-2].startswith("options: encoder, gate, reduction, width")
    with pytest.raises(
        MaskmillError,
        match=r"params\.yaml: models\.unet\.feature_scal is not an option; did you mean",
    ):
        run("show", "unet")
    with pytest.raises(
        MaskmillError,
        match=r"maskmill models: 'smal' is no network or variant; did you mean 'small'",
    ):
        run("show", "smal")
