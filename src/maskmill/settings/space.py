"""The space that `maskmill tune` searches: variants, and settings of the training.

`variants` and `tune.space` say what it allows.

A choice is a variant and a value for each setting; those of other variants than the chosen one are
left out.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from maskmill.settings import config
from maskmill.settings.config import Params
from maskmill.system.components import suggest
from maskmill.system.errors import MaskmillError

_WHERE = "params.yaml: tune.space"
_PARTS = ("train", "models")


@dataclass(frozen=True)
class SearchAxis:
    """One setting, and the values it may take: some, or all from `low` to `high`."""

    path: str  # train.learning_rate
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False

    def belongs_to(self, variant: str) -> bool:
        """Whether a training of the variant reads it."""
        part, name, *_ = self.path.split(".")
        return part != "models" or name == variant


@dataclass(frozen=True)
class SearchChoice:
    """One point of the space."""

    variant: str
    settings: Mapping[str, Any]  # path -> value

    def __str__(self) -> str:
        return ", ".join(
            [self.variant, *(f"{path} {_short(value)}" for path, value in self.settings.items())]
        )


def search_axes(params: Params) -> list[SearchAxis]:
    """The axes of `tune.space`.

    Raises: MaskmillError for a path that is no setting, or one that no training would read.
    """
    return [_axis(path, given, params) for path, given in params.tune.space.items()]


def apply_choice(choice: SearchChoice, params: Params) -> Params:
    """The settings with the choice in them.

    Raises: MaskmillError where it makes them wrong.
    """
    values = copy.deepcopy(params.model_dump())
    values["variants"] = [choice.variant]
    for path, value in choice.settings.items():
        *sections, last = path.split(".")
        section = values
        for name in sections:
            section = section[name]
        section[last] = value
    try:
        return config.parse(values)
    except MaskmillError as error:
        raise MaskmillError(f"{_WHERE}: with {choice}: {error}") from None


def candidate_settings(params: Params) -> Iterator[tuple[SearchChoice, Params]]:
    """Every value of a list and both ends of a range, one at a time.

    Between valid ends all is valid.
    """
    for axis in search_axes(params):
        variant = next(name for name in params.variants if axis.belongs_to(name))
        for value in axis.values or (axis.low, axis.high):
            choice = SearchChoice(variant, {axis.path: value})
            yield choice, apply_choice(choice, params)


def experiment_overrides(choice: SearchChoice, values: Mapping[str, Any]) -> list[str]:
    """What makes `dvc exp run -S` run the choice, where params.yaml has `values`.

    A table is changed key by key: a given one would be merged.
    """
    found = [f"variants=[{choice.variant}]"]
    for path, value in choice.settings.items():
        section: Any = values
        for name in path.split("."):
            section = section.get(name, _ABSENT) if isinstance(section, dict) else _ABSENT
        found += _changes(path, section, value)
    return found


_ABSENT: Any = object()


def _changes(path: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() - after.keys():
            yield f"~{path}.{key}"
        for key, value in after.items():
            yield from _changes(f"{path}.{key}", before.get(key, _ABSENT), value)
    elif before is _ABSENT:
        yield f"+{path}={_hydra(after)}"
    elif isinstance(before, dict) or (isinstance(after, dict) and before is not None):
        yield from (f"~{path}", f"+{path}={_hydra(after)}")
    elif before != after:
        yield f"{path}={_hydra(after)}"


def _hydra(value: Any) -> str:
    """A value in the grammar of Hydra's overrides."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_hydra(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_hydra, value)) + "]"
    plain = not isinstance(value, str) or re.fullmatch(r"[A-Za-z_][\w./-]*", value)
    return value if isinstance(value, str) and plain else json.dumps(value)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else _hydra(value)


def _axis(path: str, given: Any, params: Params) -> SearchAxis:
    part, *rest = path.split(".")
    if part not in _PARTS or not rest:
        raise MaskmillError(
            f"{_WHERE}: {path} is no setting of a training; allowed are train.SETTING and "
            "models.NAME.OPTION; delete it, or try it with `dvc exp run -S`"
        )
    if part == "models" and rest[0] not in params.variants:
        raise MaskmillError(
            f"{_WHERE}: {path} has no effect: {rest[0]!r} is not tried"
            f"{suggest(rest[0], params.variants) or ';'} "
            f"variants in params.yaml are {', '.join(params.variants)}; "
            "add it there, or delete the line"
        )
    if part == "train":
        known = list(_paths("train", params.train.model_dump()))
        if path not in known:
            raise MaskmillError(
                f"{_WHERE}: {path} is not a setting{suggest(path, known) or ';'} allowed are "
                f"{', '.join(known)}, and models.NAME.OPTION"
            )
    elif len(rest) != 2:
        raise MaskmillError(
            f"{_WHERE}: {path} is no option of a network; needed is models.{rest[0]}.OPTION"
        )
    if isinstance(given, tuple):
        return SearchAxis(path, given)
    return SearchAxis(path, (), given["low"], given["high"], given.get("log", False))


def _paths(path: str, value: Any) -> Iterator[str]:
    for key, inner in value.items():
        yield f"{path}.{key}"
        if isinstance(inner, dict):
            yield from _paths(f"{path}.{key}", inner)
