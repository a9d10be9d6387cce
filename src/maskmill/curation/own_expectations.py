"""Create the user's own expectations from params.yaml.

They have their name and their options in Great Expectations.
"""

import os
from typing import Any

import pandas as pd

from maskmill.settings.config import Validation
from maskmill.system.components import suggest
from maskmill.system.errors import MaskmillError

_WHERE = "params.yaml: validation.expectations"
# options that decide nothing about the data, or that the program sets
_HIDDEN = {
    "id", "meta", "notes", "description", "result_format", "catch_exceptions",
    "rendered_content", "windows", "batch_id", "condition_parser",
}  # fmt: skip
_COLUMNS = ("column", "column_A", "column_B", "column_list")


def create(validation: Validation) -> list[tuple[str, Any]]:
    """The expectations, each with the place where it is set; checked before any work.

    Raises: MaskmillError for a name that Great Expectations does not know, or an option or value
        that it refuses.
    """
    entries = [
        (name, options or {})
        for entry in validation.expectations
        for name, options in entry.items()
    ]
    if not entries:
        return []
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations.expectations as gxe

    known = [name for name in vars(gxe) if name.startswith("Expect") and name != "Expectation"]
    made = []
    for name, options in entries:
        if name not in known:
            raise MaskmillError(
                f"{_WHERE}: {name!r} is no expectation of Great Expectations{suggest(name, known)};"
                f" allowed are {', '.join(known)}"
            )
        made.append((f"{_WHERE}.{name}", _create(getattr(gxe, name), options, f"{_WHERE}.{name}")))
    return made


def check_columns(where: str, expectation: Any, table: pd.DataFrame) -> None:
    """Raises: MaskmillError when the manifest has no such column."""
    for option in _COLUMNS:
        asked = getattr(expectation, option, None)
        for column in [asked] if isinstance(asked, str) else asked or []:
            if column not in table.columns and type(expectation).__name__ != "ExpectColumnToExist":
                raise MaskmillError(
                    f"{where}.{option}: {column!r} is no column of the manifest"
                    f"{suggest(column, table.columns)}; there are {', '.join(table.columns)}"
                )


def describe_expectation(expectation: Any) -> str:
    """The expectation in a line, as it is set."""
    options = {
        key: value for key, value in expectation.configuration.kwargs.items() if key not in _HIDDEN
    }
    said = ", ".join(f"{key}: {value}" for key, value in options.items() if value is not None)
    return f"{type(expectation).__name__} ({said})"


def _create(kind: Any, options: dict[str, Any], where: str) -> Any:
    allowed = [option for option in kind.__fields__ if option not in _HIDDEN]
    for option in options:
        if option not in allowed:
            raise MaskmillError(
                f"{where}.{option} is not an option{suggest(option, allowed)}; allowed are"
                f" {', '.join(allowed)}"
            )
    try:
        return kind(**options)
    except ValueError as error:  # pydantic's of its first version, which Great Expectations carries
        details: list[dict[str, Any]] = error.errors() if hasattr(error, "errors") else []
        reasons = [
            f"{'.'.join(map(str, d['loc']))}: got {_options_in_words(options, d)}: {d['msg']}"
            for d in details
        ]
        said = "; ".join(dict.fromkeys(reasons)) or str(error)
        raise MaskmillError(f"{where}: {said}; options are {', '.join(allowed)}") from None


def _options_in_words(options: dict[str, Any], detail: dict[str, Any]) -> str:
    name = detail["loc"][0]
    return repr(options[name]) if name in options else "nothing"
