"""The body of a scoring request, in the four forms of MLflow's protocol.

MLflow's own parser is not used: it puts `inputs` and `instances` into arrays of fixed width, in
which one string of 1 MB among 400 short ones takes 1.6 GB, and it takes NaN.
"""

import json
from reprlib import repr as shortened  # what was got may be 64 MB
from typing import Any, NoReturn

from maskmill.serving.scoring import image_text
from maskmill.system.errors import MaskmillError

COLUMN = "image"
FORMS = ("dataframe_records", "dataframe_split", "inputs", "instances")
EXAMPLE = '{"dataframe_records": [{"image": "<base64 of an image file>"}]}'


def request_images(body: bytes) -> list[str]:
    """The column `image` of a request, in order.

    Raises: MaskmillError when the body is not JSON, has another form, another column, no rows, or a
        value that is no string.
    """
    content = _json(body)
    if not isinstance(content, dict) or len(content) != 1 or not content.keys() <= set(FORMS):
        got = (
            f"the keys {shortened(list(content))}"
            if isinstance(content, dict)
            else shortened(content)
        )
        raise MaskmillError(
            f"body: got {got}; allowed is an object with one of {', '.join(FORMS)}: {EXAMPLE}"
        )
    ((form, table),) = content.items()
    found = _split(table) if form == "dataframe_split" else _column(table, form)
    if not found:
        raise MaskmillError(f"{form}: got no rows; at least one is needed: {EXAMPLE}")
    return [image_text(value, f"row {row}") for row, value in enumerate(found)]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_not_json)
    except RecursionError:
        raise MaskmillError(f"body: JSON nested too deeply; allowed is {EXAMPLE}") from None
    except ValueError as error:  # of syntax, encoding, NaN, or a number of too many digits
        raise MaskmillError(f"body: not JSON: {error}; allowed is {EXAMPLE}") from None


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _split(table: Any) -> list[Any]:
    """{"columns": ["image"], "data": [["..."], ["..."]]}; an index is taken and not used."""
    example = '{"columns": ["image"], "data": [["<base64>"]]}'
    if not isinstance(table, dict) or not {"columns", "data"} <= table.keys() <= {
        "columns",
        "data",
        "index",
    }:
        got = f"the keys {shortened(list(table))}" if isinstance(table, dict) else shortened(table)
        raise MaskmillError(f"dataframe_split: got {got}; allowed is {example}")
    if table["columns"] != [COLUMN]:
        raise MaskmillError(
            f"dataframe_split: got the columns {shortened(table['columns'])}; allowed is ['image']"
        )
    rows = table["data"]
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == 1 for row in rows
    ):
        raise MaskmillError(
            f"dataframe_split: data: got {shortened(rows)}; allowed are lists of one: {example}"
        )
    return [row[0] for row in rows]


def _column(table: Any, form: str) -> list[Any]:
    """The images in [{"image": "..."}, ..].

    In `inputs` and `instances` also {"image": ["...", ..]} or ["...", ..].
    """
    if form == "dataframe_records" or isinstance(table, list):
        if not isinstance(table, list):
            raise MaskmillError(
                f'{form}: got {shortened(table)}; allowed is a list: [{{"image": "<base64>"}}]'
            )
        return [_value(row, form, f"row {i}") for i, row in enumerate(table)]
    values = _value(table, form, form)
    if not isinstance(values, list):
        raise MaskmillError(f"{form}: got {shortened(table)}; allowed is a list of base64 strings")
    return values


def _value(row: Any, form: str, where: str) -> Any:
    """The value of column `image`; a row of `inputs` or `instances` may be the value itself."""
    if not isinstance(row, dict):
        if form == "dataframe_records":
            raise MaskmillError(
                f'{where}: got {shortened(row)}; allowed is {{"image": "<base64>"}}'
            )
        return row
    if list(row) != [COLUMN]:
        raise MaskmillError(
            f"{where}: got the columns {shortened(list(row))}; allowed is ['image']"
        )
    return row[COLUMN]
