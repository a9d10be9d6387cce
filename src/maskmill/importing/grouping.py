"""Which images belong together, guessed from their names and from how alike neighbours are."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from maskmill.settings.config import SPLITS
from maskmill.system.errors import few_of

BLOCKS = 5
_LEAST_STACK = 10
_COMPARED = 60
_NUMBERED = re.compile(r"(\D*)\d+")
_SEPARATOR = re.compile(r"[/_\-. ]+")
_SPLIT_WORD = re.compile(r"(train(ing)?|val(id|idation)?|test(ing)?)[A-Z]?", re.IGNORECASE)
_YEAR = re.compile(r"(19|20)\d\d")
_MANY_WORDS = 10  # so many words without digits are patients or places, fewer are kinds
_FIELDS = (  # in the order of trying: what all names may have at one place
    (r"\d+", re.compile(r"\d+")),
    (r"[A-Za-z]+\d+", re.compile(r"[A-Za-z]+\d+")),
    (r"[A-Za-z]+", re.compile(r"[A-Za-z]+")),
)
_ANY = r"[^/_\-. ]+"


@dataclass(frozen=True)
class GroupGuess:
    """A pattern for `groups` of data/source.yaml, or none, and what was doubtful."""

    pattern: str | None
    note: str = ""


def guess_groups(names: Sequence[str]) -> GroupGuess:
    """The group is the first part of the names that differs, where images share it.

    Patient before side before slice, scene before row before column. A few words without digits
    are kinds, and a year is a date: no groups.
    """
    fields, separators = _fields(names)
    varying = [place for place, column in enumerate(fields) if len({*column}) > 1]
    if len(varying) < 2:
        return _guess_without_separator(names)
    first = varying[0]
    column = fields[first]
    prefixes = Counter(zip(*fields[: first + 1], strict=True))
    shared = sum(size > 1 for size in prefixes.values())
    if shared * 2 <= len(prefixes) or all(map(_YEAR.fullmatch, column)):
        return GroupGuess(None)
    pattern = _pattern(fields, separators, first, varying)
    words = sorted({*column})
    if all(map(_SPLIT_WORD.fullmatch, words)):
        return GroupGuess(None)
    if len(prefixes) < len(SPLITS) or (
        len(prefixes) < _MANY_WORDS and not any(map(str.isdigit, "".join(words)))
    ):
        return GroupGuess(
            None,
            f"names begin with {few_of(words, 5)}: taken for kinds, so every image stands alone; "
            f"where they are patients or places, --groups '{pattern}' keeps each in one split",
        )
    return GroupGuess(pattern)


def _fields(names: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """The columns of what stands between separators, as far as all names have them, and those."""
    split = [_SEPARATOR.split(name) for name in names]
    marks = [_SEPARATOR.findall(name) for name in names]
    depth = 0
    for place in range(min(map(len, split), default=0)):
        depth = place + 1
        if len({tuple(found[place : place + 1]) for found in marks}) > 1:
            break
    columns = [[row[place] for row in split] for place in range(depth)]
    return columns, list(marks[0][:depth]) if marks else []


def _pattern(
    fields: Sequence[Sequence[str]], separators: Sequence[str], first: int, varying: Sequence[int]
) -> str:
    """The beginning of the names up to the group, and the order where one number follows."""
    parts = [_field_pattern(column) for column in fields]
    head = "".join(
        part + re.escape(mark) for part, mark in zip(parts[:first], separators[:first], strict=True)
    )
    made = f"(?P<group>{head}{parts[first]})"
    rest = [place for place in varying if place > first]
    if first < len(separators):
        made += re.escape(separators[first])
    if len(rest) != 1 or not all(re.fullmatch(r"[A-Za-z]*\d+", each) for each in fields[rest[0]]):
        return made
    between = "".join(
        parts[place] + re.escape(separators[place]) for place in range(first + 1, rest[0])
    )
    return f"{made}{between}[A-Za-z]*(?P<order>\\d+)"


def _field_pattern(column: Sequence[str]) -> str:
    if len({*column}) == 1:
        return re.escape(column[0])
    return next((text for text, regex in _FIELDS if all(map(regex.fullmatch, column))), _ANY)


def _guess_without_separator(names: Sequence[str]) -> GroupGuess:
    """p01s003: two numbers with letters before each."""
    matches = [re.fullmatch(r"([A-Za-z]+)(\d+)([A-Za-z]+)(\d+)", name) for name in names]
    if not names or not all(matches):
        return GroupGuess(None)
    found = [match.groups() for match in matches if match]
    heads = {(first, between) for first, _, between, _ in found}
    groups = Counter(number for _, number, _, _ in found)
    if len(heads) > 1 or len(groups) < len(SPLITS) or min(groups.values()) < 2:
        return GroupGuess(None)
    ((first, between),) = heads
    return GroupGuess(rf"(?P<group>{first}\d+){between}(?P<order>\d+)")


def is_stack(names: Sequence[str], thumbnail: Callable[[int], np.ndarray]) -> bool:
    """Whether the sorted names are numbered slices of one stack, with alike neighbours.

    Nine of ten neighbours are more alike than nine of ten random pairs. `thumbnail` gives the
    image at a place as (16, 16) grey levels.
    """
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    prefixes = {match and match[1] for match in numbered}
    if len(names) < _LEAST_STACK or len(prefixes) != 1 or not all(numbered):
        return False
    rng = np.random.default_rng(0)
    starts = rng.permutation(len(names) - 1)[:_COMPARED]
    least = max(3, len(names) // 10)
    drawn = rng.integers(0, len(names), (4 * _COMPARED, 2))
    far = [(a, b) for a, b in drawn if abs(a - b) > least]
    made: dict[int, np.ndarray] = {}

    def distance(a: int, b: int) -> float:
        for place in (a, b):
            if place not in made:
                grey = thumbnail(place).astype(np.float64)
                made[place] = (grey - grey.mean()) / (grey.std() or 1)
        return float(np.abs(made[a] - made[b]).mean())

    near = [distance(int(a), int(a) + 1) for a in starts]
    others = [distance(int(a), int(b)) for a, b in far[:_COMPARED]]
    return bool(np.quantile(near, 0.9) < np.quantile(others, 0.1))
