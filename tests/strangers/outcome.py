"""What an import should make of a folder, and how that is held against what it plans."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskmill import sources
from maskmill.cli import options
from maskmill.images import decode, labels
from maskmill.importing import propose
from maskmill.importing.describe import describe_plan
from maskmill.importing.plan import Plan, Wishes
from maskmill.settings import config, configure
from maskmill.system.errors import MaskmillError
from tests.strangers.pictures import Drawn

Build = Callable[[Path], Drawn]
_ALIKE = 0.9  # correlation of an image as it was drawn, and as it is read
_FLAGS = ("--nearest", "--keep-unlabelled")
_OPTION = re.compile(r"--([a-z-]+)(?:[ ](\"[^\"]*\"|'[^']*'|[^\s;:]+))?")
_MAKES: dict[str, tuple[str, str, Callable[[str], Any]]] = {  # option -> wish, values that it has
    "classes": ("classes", r"[a-z_]\w*(,\w+)+", lambda text: tuple(text.split(","))),
    "values": ("values", r".*=.*", options.table_of_values),
    "threshold": ("threshold", r"\d+", int),
    "ignore": ("ignore", r"\d+|#\w{6}", options.stored_value),
    "background": ("background", r"[a-z]\w*", str),
    "groups": ("groups", r".*\(\?P<group>.*|folder|none", str),
    "masks": ("masks", r".+", str),
    "images": ("images", r".+", str),
    "bands": ("bands", r"\d+(,\d+)*", lambda text: options.whole_numbers("--bands", text)),
    "range": ("value_range", r"-?\d.*,.*\d", options.value_range),
    "nearest": ("nearest", "", lambda _: True),
    "keep-unlabelled": ("keep_unlabelled", "", lambda _: True),
}
_WORDS = ("and", "or", "name", "names", "says", "takes", "is", "leave")


@dataclass(frozen=True)
class Outcome:
    """What its owner means by the files; the pixels are in what the builder has drawn."""

    classes: tuple[str, ...] = ("background", "foreground")
    background: str | None = "background"
    values: Mapping[int | str, str] | None = None
    threshold: int | None = None
    groups: int | Mapping[str, str] | None = None  # their number, or pair -> group; None: no group
    splits: Mapping[str, int] = field(default_factory=dict)  # that the source gives -> images
    unused: Mapping[str, int] = field(default_factory=dict)  # what its reason holds -> files
    notes: tuple[str, ...] = ()  # what all that is doubtful says, and nothing else is
    settings: Mapping[str, Any] = field(default_factory=dict)  # key of params.yaml -> value
    wishes: Mapping[str, Any] = field(default_factory=dict)  # with which it is so
    advice_works: bool = True  # else a test of its own waits for it


@dataclass(frozen=True)
class Refusal:
    """What is said instead of an import, and what comes of the options that it names."""

    says: tuple[str, ...]
    advised: Outcome | None = None  # with all options that the message names, and no others
    settings: Mapping[str, Any] = field(default_factory=dict)  # that are set by hand before


def import_plan(folder: Path, **wishes: Any) -> Plan:
    """The plan for the folder, by the settings of this folder's params.yaml."""
    return propose.make_plan(folder, Wishes(**wishes), config.load())


def check_outcome(folder: Path, drawn: Drawn, wanted: Outcome) -> None:
    """Hold the plan against what is wanted, and all that it reads against what was drawn."""
    plan = import_plan(folder, **wanted.wishes)
    meant = plan.meaning
    assert (tuple(meant.classes), meant.background) == (wanted.classes, wanted.background)
    assert (meant.values, meant.threshold) == (wanted.values, wanted.threshold)
    assert {key: plan.settings[key] for key in wanted.settings} == wanted.settings
    _check_groups(plan, wanted)
    assert dict(Counter(pair.split for pair in plan.pairs if pair.split)) == wanted.splits
    assert plan.settings["splits.given"] == (len(wanted.splits) == len(config.SPLITS))
    _check_told(plan, wanted)
    assert [pair.id for pair in plan.pairs if pair.id not in drawn] == []
    assert len(plan.pairs) == len(drawn)
    check_decoding(folder, plan, drawn)
    if wanted.advice_works and not wanted.wishes:
        check_advice(folder, plan)


def check_advice(folder: Path, before: Plan) -> None:
    """Follow each option that is advised with a value: it changes the plan, and all is read."""
    for wishes in advised(told(before)):
        plan = import_plan(folder, **wishes)
        assert plan.settings != before.settings or plan.layout.config != before.layout.config
        assert len(list(decoded(folder, plan))) == len(plan.pairs)


def _check_groups(plan: Plan, wanted: Outcome) -> None:
    groups = {pair.id: pair.group for pair in plan.pairs}
    if wanted.groups is None:
        assert groups == {name: name for name in groups}
    elif isinstance(wanted.groups, int):
        assert len(set(groups.values())) == wanted.groups
    else:
        assert {name: groups[name] for name in wanted.groups} == wanted.groups


def _check_told(plan: Plan, wanted: Outcome) -> None:
    """What is not used, and what is doubtful: as much as is wanted, and nothing else."""
    unused = {why: len(files) for why, files in plan.unused.items()}
    found = {part: count for part in wanted.unused for why, count in unused.items() if part in why}
    assert (found, len(unused)) == (wanted.unused, len(wanted.unused)), unused
    lacking = [part for part in wanted.notes if not any(part in note for note in plan.notes)]
    assert (lacking, len(plan.notes)) == ([], len(wanted.notes)), plan.notes


def check_decoding(folder: Path, plan: Plan, drawn: Drawn) -> None:
    """Read each pair as the line will, and find the image and the classes that were drawn."""
    for name, image, ids in decoded(folder, plan):
        made = drawn[name]
        assert (ids == made.ids).all(), (name, np.unique(ids), np.unique(made.ids))
        grey = [pixels.mean(axis=2).ravel() for pixels in (image, made.image)]
        assert np.corrcoef(*grey)[0, 1] > _ALIKE, name


def decoded(folder: Path, plan: Plan) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Id, image and class ids of each pair, by what data/source.yaml and params.yaml will say."""
    data = plan.data
    pairs = sources.create(plan.layout.config, folder, data, Path("data/source.yaml"))
    assert [(pair.id, pair.group) for pair in pairs] == [
        (pair.id, pair.group) for pair in plan.pairs
    ]
    for pair in pairs:
        assert pair.image is not None
        assert pair.mask is not None
        image = (
            decode.image(pair.image, data.in_channels, data.decoding)
            if isinstance(pair.image, Path)
            else pair.image()
        )
        mask = pair.mask if isinstance(pair.mask, Path) else decode.png_bytes(pair.mask())
        found = labels.class_ids(labels.stored_values(mask, data), data)
        assert found.unknown == {}
        yield pair.id, image, found.pixels


def check_refusal(folder: Path, drawn: Drawn, wanted: Refusal) -> None:
    """Hold the message against what it should say, and follow what it advises."""
    message = refusal(folder)
    assert [part for part in wanted.says if part not in message] == [], message
    configure.change(dict(wanted.settings))
    if wanted.advised is not None:
        given = {} if wanted.settings else all_of(advised(message))
        assert bool(given) != bool(wanted.settings)
        check_outcome(folder, drawn, replace_wishes(wanted.advised, given))


def refusal(folder: Path, **wishes: Any) -> str:
    """Why there is no plan."""
    with pytest.raises(MaskmillError) as raised:
        import_plan(folder, **wishes)
    return str(raised.value)


def replace_wishes(outcome: Outcome, wishes: Mapping[str, Any]) -> Outcome:
    """The same outcome, of other wishes."""
    return Outcome(**{**vars(outcome), "wishes": wishes})


def all_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """All wishes at once."""
    return {key: value for wishes in found for key, value in wishes.items()}


def advised(text: str) -> list[dict[str, Any]]:
    """The options that a text names with a value, as wishes; those side by side belong together."""
    found: list[dict[str, Any]] = []
    end = -1
    for match in _OPTION.finditer(text):
        name = match[1]
        value = match[2] or ""
        value = value[1:-1] if value[:1] in ("'", '"') else value.rstrip(".,)")
        wish, form, make = _MAKES.get(name, ("", "$^", str))
        if f"--{name}" in _FLAGS:
            value = ""
        if value in _WORDS or not re.fullmatch(form, value):
            continue
        made = {wish: make(value)}
        if found and text[end : match.start()].strip() == "":
            found[-1] |= made
        else:
            found.append(made)
        end = match.end() if value else match.end(1)
    return found


def told(plan: Plan) -> str:
    """All that is said of a plan, a line each."""
    lines: list[str] = []
    describe_plan(plan, lines.append)
    return "\n".join(lines)
