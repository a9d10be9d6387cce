"""The commands of docs/promotion.md, in their order, in a workspace with three versions."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maskmill.cli.app import app
from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.tracking import stores
from maskmill.tracking.ledger import Ledger
from tests.tracking.conftest import ROOT
from tests.tracking.versions import champion, gate, put, weights_of


@pytest.fixture
def workspace(store: stores.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stores.Store:
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    for score in (0.7, 0.9, 0.6):
        gate(store, put(store, score))
    return store


def run(line: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, shlex.split(line)[1:])
    if isinstance(done.exception, MaskmillError):
        raise done.exception
    assert done.exit_code == status, done.output
    return done.stdout


def page_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/promotion.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_each_command_of_the_page_does_what_the_page_says(
    workspace: stores.Store, params: config.Params, tmp_path: Path
):
    history, rollback, promote, challenge, trace, backup, restore = page_commands()
    said = run(history)
    assert "version 2 promoted, champion 1 -> 2; gate, " in said
    assert "version 3 refused, champion stays 2; gate, " in said
    assert said.endswith("icbm152: champion is version 2\n")
    assert "champion is version 1, before: version 2; it paints the skull" in run(rollback)
    assert "champion is version 3, before: version 1; version 2 fails" in run(promote)
    assert "challenger is version 2; champion: version 3" in run(challenge)
    said = run(trace)
    assert "version 3 (champion)" in said
    assert "version 3 chosen, champion 1 -> 3" in said
    assert "files in kept; back: maskmill registry restore kept" in run(backup)
    weights = weights_of(workspace, 3)
    weights.unlink()
    assert "kept is back; what was there is in" in run(restore)
    assert weights.exists()


def test_history_and_trace_are_there_for_programs(workspace: stores.Store):
    entries = json.loads(run("maskmill history --json"))
    assert [(row["action"], row["after"]) for row in entries] == [
        ("promoted", 1), ("promoted", 2), ("refused", 2),
    ]  # fmt: skip
    found = json.loads(run(f"maskmill trace {entries[1]['weights_sha256']} --json"))
    assert (found["version"], len(found["ledger"])) == (2, 1)


def test_a_promotion_and_an_approval_need_a_reason(workspace: stores.Store):
    for line in ("maskmill promote 1", "maskmill approve"):
        run(line, status=2)
    with pytest.raises(MaskmillError, match="--why: got 0 characters; say in a few words why"):
        run("maskmill promote 1 --why ' '")
    assert champion(workspace) == 2


def test_approval_is_one_command(workspace: stores.Store):
    gate(workspace, put(workspace, 0.95), approval=True)
    assert "champion is version 4, before: version 2; seen" in run("maskmill approve --why seen")
    assert Ledger(workspace).read().entries[-1].action == "approved"


def test_an_empty_registry_has_no_history(
    store: stores.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run("maskmill history") == "nothing happened yet\nicbm152: champion is none yet\n"
