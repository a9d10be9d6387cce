"""What `maskmill data import` hands on, before anything is read."""

import sys
from pathlib import Path

import pytest

from maskmill.cli import app
from maskmill.importing import command
from maskmill.importing.plan import Wishes


@pytest.fixture
def brought(monkeypatch):
    """A function: options -> (folder, wishes, how to import)."""
    monkeypatch.setattr("maskmill.system.repository.check_git", lambda: None)

    def bring(*arguments):
        calls = []
        monkeypatch.setattr(
            command, "import_folder", lambda *args, **how: calls.append((*args, how))
        )
        monkeypatch.setattr(sys, "argv", ["maskmill", "data", "import", *arguments])
        with pytest.raises(SystemExit) as ended:
            app.main()
        return calls[0] if calls else ended.value.code

    return bring


def test_nothing_is_wished_where_nothing_is_said(brought):
    folder, wishes, how = brought("cells")
    assert (folder, wishes) == (Path("cells"), Wishes())
    assert not how["dry_run"]
    assert not how["update"]
    assert how["command"] == "maskmill data import cells"


def test_every_option_reaches_the_import(brought):
    _, wishes, how = brought(
        "my cells", "--dry-run", "--kind", "folder", "--images", "a/{name}", "--masks", "b/{name}",
        "--classes", "sky, road", "--values", "0=sky,255=road", "--nearest", "--threshold", "9",
        "--background", "none", "--ignore", "#FF0000", "--groups", "folder", "--split", "new",
        "--bands", "4,3", "--range", "0,99", "--keep-unlabelled", "--title", "T", "--name", "n",
        "--link", "--replace", "--update",
    )  # fmt: skip
    assert wishes == Wishes(
        classes=("sky", "road"), background="none", ignore="#ff0000", groups="folder", title="T",
        name="n", kind="folder", images="a/{name}", masks="b/{name}",
        values={0: "sky", 255: "road"}, threshold=9, nearest=True, split="new", bands=(4, 3),
        value_range=(0.0, 99.0), keep_unlabelled=True,
    )  # fmt: skip
    assert all(how[name] for name in ("link", "replace", "update", "dry_run"))
    assert how["command"].startswith("maskmill data import 'my cells' --dry-run")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--values", "sky"), "error: --values: got 'sky'; needed is VALUE=NAME"),
        (("--split", "old"), "error: --split: got 'old'; allowed are given, new"),
        (("--bands", "red"), "error: --bands: got 'red'"),
        (("--range", "9,1"), "error: --range: got '9,1'"),
        (("--threshold", "0"), "--threshold"),
    ],
)
def test_a_text_that_is_no_value_ends_before_anything_is_read(brought, capsys, options, said):
    assert brought("cells", *options) == 2
    assert said in capsys.readouterr().err
