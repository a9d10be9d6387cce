"""The digests of code, and a stage whose code is edited while the pipeline runs."""

import os
from pathlib import Path

import pytest

from maskmill import config
from maskmill.errors import MaskmillError
from maskmill.stages.code import check_unchanged, code, digest_file
from tests.conftest import REPOSITORY


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Params:
    """The settings of a fresh repository, which is the working folder, in which the stage has run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("params.yaml", "data/source.yaml"):
        (tmp_path / name).write_text((REPOSITORY / name).read_text())
    params = config.load()
    (tmp_path / params.paths.prepared / "code").mkdir(parents=True)
    (tmp_path / params.paths.prepared / "code/train-gone").write_text("of a variant that was")
    code(params.paths)
    return params


def test_each_stage_has_a_digest_for_each_of_its_variants(params: config.Params):
    names = {path.name for path in (Path(params.paths.prepared) / "code").iterdir()}
    assert {"ingest", "report", *(f"{stage}-{v}" for stage in ("train", "evaluate") for v in params.variants)} <= names
    assert "train-gone" not in names
    digests = {digest_file(params.paths, "train", variant).read_text() for variant in params.variants}
    assert len(digests) == len(params.variants)


def test_code_that_was_edited_meanwhile_is_refused_where_the_stage_reaches_it(params: config.Params):
    file = digest_file(params.paths, "select", "")
    check_unchanged("select", "", params)
    os.utime(file, ns=(0, 0))  # older than the code
    check_unchanged("select", "", params)
    file.write_text("of what the code was")
    os.utime(file, ns=(0, 0))
    with pytest.raises(MaskmillError, match=r"select: its code was edited while the pipeline ran, .* the same command"):
        check_unchanged("select", "", params)
