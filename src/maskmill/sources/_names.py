"""Names that every system keeps, and what a name says: which pair, which group, which place."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from maskmill.system.errors import MaskmillError, few_of

_UNFIT = {
    "Cc": "a control character",
    "Cs": "bytes that are not UTF-8",
    "Zl": "a line separator",
    "Zp": "a separator",
}
_MAX_BYTES = 200  # of an id: a file system's 255 less what endings and temporary names add
_SHOWN = 5
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_of(name: str) -> str:
    """The split that the name of a folder or file says; empty where it says none.

    Examples of such names: `valid`, `instances_train2017`.
    """
    words = re.split(r"[^a-z]+", name.lower())
    found = {_SPLITS[word] for word in words if word in _SPLITS}
    return found.pop() if len(found) == 1 else ""


def split_of_path(path: PurePath) -> str:
    """The split that the file's name, or else the nearest of its folders, says; empty for none."""
    named = (PurePath(part).stem for part in reversed(path.parts))
    return next(filter(None, map(split_of, named)), "")


def class_name(label: str) -> str:
    """A label as a class name: what MLflow takes in the name of a metric."""
    kept = "".join(c if c.isalnum() or c in "_ .:-" else "_" for c in label.strip())
    return kept if kept[:1].isalnum() or kept[:1] == "_" else f"_{kept}"


def is_split(folder: str) -> bool:
    """Whether a folder's whole name is that of a split."""
    return folder.lower() in _SPLITS


def natural_sort_key(name: str) -> list[tuple[int, str]]:
    """A key that sorts `slice9` before `slice10`."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def pair_id(name: str) -> str:
    """The id of a name: NFC, subfolders joined by `__`, cut where too long for a file name."""
    joined = unicodedata.normalize("NFC", name).replace("/", "__")
    encoded = joined.encode(errors="surrogateescape")
    if len(encoded) <= _MAX_BYTES:
        return joined
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return encoded[: _MAX_BYTES - len(digest) - 1].decode(errors="ignore") + "-" + digest


def pair_in_words(identity: str, *sides: Any) -> str:
    """How a pair is named in an error: its files, else its id."""
    return " and ".join(str(side) for side in sides if isinstance(side, Path)) or identity


def check_names(named: Iterable[tuple[str, str]]) -> None:
    """Hold (id, how to name it) pairs against what every system keeps.

    Raises: MaskmillError for a control character in a name, for two names that are one on other
        systems.
    """
    seen: dict[str, tuple[str, str]] = {}
    for name, label in named:
        for character in f"{name}{label}":
            if kind := _UNFIT.get(unicodedata.category(character)):
                raise MaskmillError(f"{label!a}: the name holds {kind}; rename the file")
        key = unicodedata.normalize("NFC", name).lower()
        if key in seen:
            other, other_label = seen[key]
            same = "one id" if other == name else "names that differ in case alone"
            raise MaskmillError(
                f"{other_label} and {label} ({other_label!a}, {label!a}) have {same}; "
                "a checkout on another system keeps one of them: rename one"
            )
        seen[key] = (name, label)


def group_names(
    names: Sequence[str], groups: str | None, blocks: int | None, where: str
) -> list[tuple[str, str, int]]:
    """Group, sequence and order of each of the names, which are sorted.

    `groups` is a regular expression for the beginning of a name, with the named group `group` and
    perhaps `order`; `blocks` cuts all into so many contiguous groups of one sequence. Without
    either each name is a group.
    Raises: MaskmillError for a bad expression, names that do not match, or fewer names than blocks.
    """
    if groups is not None and blocks is not None:
        raise MaskmillError(f"{where}: `groups` and `blocks` exclude each other; delete one")
    if blocks is not None:
        if not 3 <= blocks <= len(names):
            raise MaskmillError(
                f"{where}: blocks: got {blocks}; allowed are 3 to {len(names)}, the number of "
                "images"
            )
        return [
            (f"block{place * blocks // len(names) + 1}", "stack", place)
            for place in range(len(names))
        ]
    if groups is None:
        return [(name, "", place) for place, name in enumerate(names)]
    pattern = compile_pattern(groups, where)
    matches = [pattern.match(name) for name in names]
    if wrong := [
        name for name, match in zip(names, matches, strict=True) if not match or not match["group"]
    ]:
        raise MaskmillError(
            f"{where}: groups: {groups!r} does not match "
            f"{few_of([repr(name) for name in wrong], _SHOWN)}; widen the expression, or rename "
            "the files"
        )
    return [
        (
            match["group"],
            "",
            _order(match, place, where) if "order" in pattern.groupindex else place,
        )
        for place, match in enumerate(matches)
        if match
    ]


def compile_pattern(groups: str, where: str) -> re.Pattern[str]:
    """The expression.

    Raises: MaskmillError where it is none, or has other named groups.
    """
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise MaskmillError(
            f"{where}: groups: {groups!r} is no regular expression: {error}"
        ) from None
    named = set(pattern.groupindex)
    if "group" not in named or named - {"group", "order"}:
        raise MaskmillError(
            f"{where}: groups: {groups!r} names {sorted(named)}; needed is (?P<group>..), allowed "
            "besides (?P<order>..)"
        )
    return pattern


def _order(match: re.Match[str], place: int, where: str) -> int:
    text = match["order"]
    if text is None:
        return place
    if not text.isdecimal():
        raise MaskmillError(
            f"{where}: groups: order of {match.string!r} is {text!r}; "
            "needed are digits: (?P<order>\\d+)"
        )
    return int(text)
