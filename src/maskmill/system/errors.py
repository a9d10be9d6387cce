"""The exceptions for mistakes that a user can mend, and how their messages name many things."""

from collections.abc import Sequence


class MaskmillError(ValueError):
    """A user's mistake: what was wrong, what was got, what is allowed, where to change it."""


class OptionError(ValueError):
    """An option that a part refuses: "width: got 3; at least 4".

    Who makes the part by name says where the option stands.
    """


def few_of(names: Sequence[object], most: int, separator: str = ", ") -> str:
    """The first `most` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return separator.join(map(str, names[:most])) + more
