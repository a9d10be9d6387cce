"""Write into params.yaml: the named settings change; comments, order and all else stay."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from maskmill.settings import config
from maskmill.settings.config import PARAMS, Params
from maskmill.system import files
from maskmill.system.errors import MaskmillError

_WIDE = 120


def text_with_changes(values: Mapping[str, Any], path: Path = PARAMS) -> tuple[str, Params]:
    """The text of params.yaml with `values` ("data.title" -> "cells") in it, and what it means.

    Nothing is written.

    Raises: MaskmillError for a key that is no setting, or settings that are wrong together.
    """
    yaml = _yaml()
    document = _load(yaml, path)
    for key, value in values.items():
        section, last = _place(document, key, path)
        if last not in section or _plain(section[last]) != value:
            section[last] = _node(value)
    buffer = io.StringIO()
    yaml.dump(document, buffer)
    return buffer.getvalue(), config.parse(
        YAML(typ="safe", pure=True).load(buffer.getvalue()), path
    )


def change(values: Mapping[str, Any], path: Path = PARAMS) -> Params:
    """Write `values` into params.yaml in one step, if they make valid settings."""
    text, params = text_with_changes(values, path)
    files.write_text(path, text)
    return params


def describe_changes(values: Mapping[str, Any], path: Path = PARAMS) -> list[str]:
    """The settings that `values` change, a line each: "data.title: cells -> walls"."""
    document = _load(_yaml(), path)
    defaults = config.left_out(document)
    told = []
    for key, value in values.items():
        section, last = _place(document, key, path)
        if (before := _plain(section.get(last, defaults.get(key)))) != value:
            told.append(f"{key}: {in_yaml(before)} -> {in_yaml(value)}")
    return told


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10 * _WIDE
    yaml.representer.add_representer(
        type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def _load(yaml: YAML, path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, YAMLError):
        config.read_yaml(path)  # says it
        raise


def _place(document: Any, key: str, path: Path) -> tuple[CommentedMap, str]:
    """The table that a setting stands in, and its name there.

    A table that the file leaves out is added.
    """
    *sections, last = key.split(".")
    section = document
    for name in sections:
        section = (
            section.setdefault(name, CommentedMap()) if isinstance(section, CommentedMap) else None
        )
    if not isinstance(section, CommentedMap):
        raise MaskmillError(
            f"{path}: {key} has no place there; get the file back with `git checkout {path}`"
        )
    return section, last


def in_yaml(value: Any) -> str:
    """The value as params.yaml would have it, in one line."""
    yaml, buffer = _yaml(), io.StringIO()
    yaml.width = 1_000_000
    yaml.dump({"value": _node(value)}, buffer)
    return buffer.getvalue().removeprefix("value:").strip()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _node(value: Any) -> Any:
    """The value as it is written in this file: lists and tables on one line."""
    if isinstance(value, Mapping):
        made: Any = CommentedMap({key: _node(inner) for key, inner in value.items()})
    elif isinstance(value, list | tuple):
        made = CommentedSeq([_node(inner) for inner in value])
    else:
        return value
    made.fa.set_flow_style()
    return made
