"""Files of annotations as text and JSON, within limits."""

import json
from pathlib import Path
from typing import Any

from maskmill.system.errors import MaskmillError

MAX_MB = 1000  # of one file; the largest of COCO has 470


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of annotations. Raises: MaskmillError where it is too large."""
    if (size := path.stat().st_size) > MAX_MB * 1_000_000:
        raise MaskmillError(
            f"{path}: {size / 1e6:,.0f} MB; files of annotations are read up to {MAX_MB:,} MB; "
            "divide it into several"
        )
    return path.read_bytes()


def read_text(path: Path) -> str:
    """The text of a file in UTF-8. Raises: MaskmillError where it is another encoding."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MaskmillError(f"{path}: not UTF-8: {error}; save it as UTF-8") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises: MaskmillError where it is none, or is nested too deeply."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, MaskmillError):
            raise
        raise MaskmillError(f"{path}: not readable as JSON: {error}") from None


def json_with_keys(path: Path, *keys: str) -> Any:
    """What a JSON file holds where all of the keys stand in it somewhere, else None.

    Other files are not taken apart, which is what takes the time.
    Raises: MaskmillError where it holds them and is no JSON.
    """
    if path.suffix.lower() != ".json":
        return None
    found = read_bytes(path)
    return read_json(path) if all(f'"{key}"'.encode() in found for key in keys) else None
