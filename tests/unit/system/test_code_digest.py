"""What counts as the code of a result: edits of a copy of maskmill, and digests they change."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maskmill.settings.config import read_yaml
from maskmill.system import code_digest, syntax
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY

SETTINGS = {"unet", *code_digest.strings_in(read_yaml(REPOSITORY / "params.yaml")["train"])}
STAGES = {
    name: (f"maskmill.stages.{name}", name)
    for name in ("ingest", "train", "evaluate", "select", "report")
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("code") / "maskmill"
    shutil.copytree(
        REPOSITORY / "src/maskmill", copied, ignore=shutil.ignore_patterns("__pycache__")
    )
    return copied


@pytest.fixture
def changed(original: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., set[str]]]:
    """A function: replaces text in a file of the copy -> the stages whose digest changes."""
    monkeypatch.setattr(syntax, "ROOT", original)
    kept: dict[Path, str] = {}

    def change(file: str, before: str, after: str, words: set[str] = SETTINGS) -> set[str]:
        path = original / file
        first = _digests(words)
        kept[path] = path.read_text()
        assert before in kept[path]
        path.write_text(kept[path].replace(before, after, 1))
        second = _digests(words)
        return {name for name in STAGES if first[name] != second[name]}

    yield change
    for path, text in kept.items():
        path.write_text(text)
    _forget()


def _digests(words: set[str]) -> dict[str, str]:
    _forget()
    return {name: code_digest.digest(symbol, words) for name, symbol in STAGES.items()}


def _forget() -> None:
    for cached in (syntax.find_module, code_digest._references, syntax.symbol_text):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("training/loop.py", "import contextlib\n", "import contextlib  # a remark\n\n\n"),
        ("training/loop.py", '"""The training loop: ', '"""What trains: '),
        ("losses/dice.py", '    """', '    """It is said otherwise. '),
    ],
    ids=["comment", "docstring of a module", "docstring of a function"],
)
def test_what_is_only_read_by_people_does_not_count(
    changed: Callable[..., set[str]], file: str, before: str, after: str
):
    assert changed(file, before, after) == set()


def test_a_statement_of_the_loop_concerns_the_training_alone(changed: Callable[..., set[str]]):
    assert changed("training/loop.py", "sys.exit(0)", "sys.exit(1)") == {"train"}


def test_a_loss_counts_where_the_settings_name_it(changed: Callable[..., set[str]]):
    assert "dice" in SETTINGS
    assert "focal" not in SETTINGS
    assert changed("losses/dice.py", "return ", "return 2 * ") == {"train"}
    assert changed("losses/focal.py", "return ", "return 2 * ") == set()
    assert changed("losses/focal.py", "return ", "return 3 * ", SETTINGS | {"focal"}) == {"train"}


def test_a_family_that_the_code_itself_names_counts(changed: Callable[..., set[str]]):
    assert changed("metrics/confusion.py", "return ", "return 2 and ") >= {"evaluate", "train"}
    assert changed("metrics/confusion.py", "def confusion(", "def confusion(  x,") >= {"evaluate"}


def test_what_a_name_is_imported_from_counts(changed: Callable[..., set[str]]):
    before = "import torch.nn.functional as F"
    assert changed("losses/_pixels.py", before, "import torch.nn as F") == {"train"}
    # nothing names it
    assert changed("evaluation/memory.py", "import ", "import wave\nimport ") == set()


def test_the_classes_of_a_stages_settings_count(changed: Callable[..., set[str]]):
    before = "    def foreground(self"
    assert changed(
        "settings/config.py", before, f"    def ours(self):\n        return 1\n\n{before}"
    ) >= {
        "evaluate",
        "select",
        "train",
    }


def test_any_text_may_stand_in_the_settings():
    assert code_digest.reached_code(STAGES["ingest"], {"x" * 5000, "../../etc", "a b"})


def test_a_network_counts_for_its_own_variant(changed: Callable[..., set[str]]):
    assert changed("models/networks/fcn.py", "def fcn(", "X = 1\n\n\ndef fcn(") == set()
    assert changed("models/networks/fcn.py", "return ", "return 2 and ", {"fcn"}) >= {"train"}
    assert changed("models/decoders.py", "return ", "return 2 and ") >= {"train"}


@pytest.mark.parametrize(
    "imports",
    [
        "from ..blocks import DoubleConv",
        "try:\n    from maskmill.models.blocks import DoubleConv\nexcept ImportError:\n    raise",
    ],
    ids=["relative", "in a try"],
)
def test_an_import_written_in_another_way_is_followed_too(
    changed: Callable[..., set[str]], imports: str
):
    assert changed(
        "models/networks/fcn.py",
        "from maskmill.models.blocks import DoubleConv, ",
        f"{imports}\nfrom maskmill.models.blocks import ",
        {"fcn"},
    ) >= {"train"}
    assert changed(
        "models/blocks.py",
        "class DoubleConv(nn.Sequential):",
        "class DoubleConv(nn.Sequential):\n    x = 1\n",
        {"fcn"},
    ) >= {"train"}


def test_an_import_of_all_names_is_refused(changed: Callable[..., set[str]]):
    with pytest.raises(
        MaskmillError,
        match=r"fcn\.py, line \d+: name what you import of maskmill\.models\.blocks, not \*",
    ):
        changed(
            "models/networks/fcn.py",
            "import torch.nn.functional",
            "from maskmill.models.blocks import *\nimport torch.nn.functional",
            {"fcn"},
        )


def test_a_function_that_nobody_names_does_not_count(changed: Callable[..., set[str]]):
    assert (
        changed(
            "system/files.py", "def sha256(", "def unused() -> None:\n    print(1)\n\n\ndef sha256("
        )
        == set()
    )


def test_what_a_module_runs_when_it_is_imported_counts(changed: Callable[..., set[str]]):
    assert changed("system/files.py", "def sha256(", "print(1)\n\n\ndef sha256(") == set(STAGES)


def test_a_template_counts_with_those_that_it_takes_in(changed: Callable[..., set[str]]):
    assert changed("report/report_macros.html.j2", "{%", "{# #}{%") == {"report"}


def test_an_import_inside_a_function_is_followed(changed: Callable[..., set[str]]):
    code = "def select(\n"
    name = "duration_in_words"
    late = (
        f"def late():\n    from maskmill.training.progress import {name}\n\n    return"
        f" {name}\n\n\nlate()\n\n\n"
    )
    assert changed("stages/select.py", code, f"{late}{code}") == {"select"}
    assert ("maskmill.training.progress", name) in code_digest.reached_code(
        STAGES["select"], set()
    )[0]


def test_every_stage_reaches_its_own_code_and_no_other_stages():
    symbols, _ = code_digest.reached_code(STAGES["select"], set())
    assert STAGES["select"] in symbols
    assert not {module for module, _ in symbols if module.startswith("maskmill.training")}
    assert {module for module, _ in symbols if module.startswith("maskmill.stages.")} == {
        "maskmill.stages.select"
    }
