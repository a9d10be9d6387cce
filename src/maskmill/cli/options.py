"""Texts of the command line as values."""

import re

from maskmill.system.errors import MaskmillError

Value = int | str


def stored_value(text: str) -> Value:
    """A value in a mask: a number, or a colour as #rrggbb."""
    return int(text) if text.strip().isdecimal() else text.strip().lower()


def table_of_values(text: str) -> dict[Value, str]:
    """`0=sky,7=road`, or `#ff0000=tumour`. Raises: MaskmillError for another form."""
    table: dict[Value, str] = {}
    for part in filter(None, text.split(",")):
        value, mark, name = part.partition("=")
        if not mark or not name.strip() or not re.fullmatch(r"\d+|#[0-9a-fA-F]{6}", value.strip()):
            raise MaskmillError(
                f"--values: got {part!r}; needed is VALUE=NAME or #rrggbb=NAME, with commas between"
            )
        table[stored_value(value)] = name.strip()
    return table


def one_of(option: str, text: str, allowed: tuple[str, ...]) -> str:
    """The text. Raises: MaskmillError where it is not allowed."""
    if text and text not in allowed:
        raise MaskmillError(f"{option}: got {text!r}; allowed are {', '.join(allowed)}")
    return text


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """`4,3,2`. Raises: MaskmillError for another form."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise MaskmillError(f"{option}: got {text!r}; needed are numbers from 1 on: 4,3,2")
    return tuple(map(int, parts))


def value_range(text: str) -> tuple[float, float] | None:
    """`0,4095`. Raises: MaskmillError for another form."""
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise MaskmillError(
            f"--range: got {text!r}; needed is LOW,HIGH with LOW below HIGH: 0,4095"
        )
    return low, high
