"""What the repository promises: documents that are true, imports that keep to their rooms."""

import re
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from docs import draw_rooms
from maskmill import models
from maskmill.images import decode

ROOT = Path(__file__).parents[2]


def test_importing_any_module_touches_no_disk_and_no_network(tmp_path: Path):
    modules = [
        ".".join(p.relative_to(ROOT / "src").with_suffix("").parts)
        for p in sorted((ROOT / "src").rglob("*.py"))
        if p.name not in ("__main__.py", "__init__.py", "model.py")
    ]
    code = (
        "import socket, importlib, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "heavy = {'mlflow', 'great_expectations', 'dvc', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, f'imported eagerly: {heavy}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_setting_is_explained():
    page = (ROOT / "docs/settings.md").read_text()
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    sections = [s for s in params if s not in ("variants", "models", "metrics")]
    missing = [f"{s}.{key}" for s in sections for key in params[s] if f"`{s}.{key}`" not in page]
    assert missing == []


def test_the_picture_of_the_rooms_is_that_of_the_code():
    assert draw_rooms.picture() == draw_rooms.PICTURE.read_text(), (
        "draw it again: python docs/draw_rooms.py"
    )


def test_what_pyproject_and_all_speak_of_is_there():
    for path in re.findall(r"\b([a-z_]+/[a-z_/]+\.py)\b", (ROOT / "pyproject.toml").read_text()):
        assert (ROOT / "src/maskmill" / path).exists() or (ROOT / path).exists(), path
    for module in (models, decode):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_links_between_documents_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_continuous_integration_runs_the_readmes_test_command():
    assert "make test" in (ROOT / "README.md").read_text()
    commands = (ROOT / ".ci/run").read_text().splitlines()
    assert {"make lint", "make test"} <= set(commands)


def test_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE).group(1).split()
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, text=True, capture_output=True, check=False
    ).stdout
    assert [t for t in targets if f"make {t}" not in shown] == []


def test_every_dependency_is_pinned():
    pinned = {
        re.split("[=<>~]", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.+?)^\]", project, re.MULTILINE | re.DOTALL).group(1)
    needed = {
        name.lower().replace("_", "-")
        for name in re.findall(r'^  "([A-Za-z0-9_.-]+)', block, re.MULTILINE)
    }
    assert needed - pinned == set()


def test_every_fault_in_the_docs_has_the_test_that_it_names():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/faults.md").read_text())
    assert len(named) > 20
    for file, test in named:
        assert f"\ndef {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
