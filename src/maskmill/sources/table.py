"""A list of a user's own files: a CSV with one pair a row.

The columns are image, mask, and perhaps id, group, sequence, order, split.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from maskmill.settings.config import SPLITS, Data
from maskmill.sources import Pair, _files, _names
from maskmill.system import components
from maskmill.system.errors import MaskmillError

COLUMNS = ("image", "mask", "id", "group", "sequence", "order", "split")
_SEPARATORS = (",", ";", "\t")


def table(
    *,
    folder: Path,
    data: Data,
    file: str = "pairs.csv",
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The pairs of the list, whose paths are relative to data/source.

    The id is the image's path where there is no such column; `groups` and `blocks`, on that path
    without its ending, stand for a column `group`.
    Raises: MaskmillError for a bad list, naming the line.
    """
    path = _files.file_inside(folder, file, "data/source.yaml: kind.file")
    rows = read(path)
    if "group" in rows and (groups is not None or blocks is not None):
        raise MaskmillError(
            f"{path}: has a column `group`; delete it, or `groups` and `blocks` in data/source.yaml"
        )
    found = [
        _row(folder, path, line, row) for line, row in enumerate(rows.to_dict("records"), start=2)
    ]
    found.sort(key=lambda row: _names.natural_sort_key(row["name"]))
    names = [row["name"] for row in found]
    places = _names.group_names(names, groups, blocks, "data/source.yaml: kind")
    for row, (group, sequence, order) in zip(found, places, strict=True):
        identity = _names.pair_id(row["id"] or row["name"])
        own = identity if groups is None and blocks is None else group
        yield Pair(
            identity,
            row["image"],
            row["mask"],
            row["group"] or own,
            order if row["order"] is None else row["order"],
            row["sequence"] or sequence,
            row["split"],
        )


def read(path: Path) -> pd.DataFrame:
    """The list as text; unknown columns have no effect.

    Raises: MaskmillError when it is no such list.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        found = pd.read_csv(
            io.StringIO(text),
            sep=max(_SEPARATORS, key=first.count),
            dtype=str,
            keep_default_na=False,
            index_col=False,
        )
    except UnicodeDecodeError as error:
        raise MaskmillError(f"{path}: not UTF-8: {error}; save it as UTF-8") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise MaskmillError(f"{path}: not a table with the columns image,mask: {error}") from None
    found.columns = [str(name).strip().lower() for name in found.columns]
    if missing := {"image", "mask"} - set(found.columns):
        raise MaskmillError(
            f"{path}: no column {', '.join(sorted(missing))}, got {', '.join(found.columns)}; "
            f"needed are these, allowed besides {', '.join(COLUMNS[2:])}"
        )
    for name in found.columns:
        if name not in COLUMNS and (near := components.suggest(name, COLUMNS)):
            raise MaskmillError(
                f"{path}: column {name!r} is not known{near}; known are {', '.join(COLUMNS)}"
            )
    return found


def columns(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of the list that are used, and those that are not."""
    there = read(path).columns
    return tuple(n for n in there if n in COLUMNS), tuple(n for n in there if n not in COLUMNS)


def _row(folder: Path, path: Path, line: int, row: dict[str, Any]) -> dict[str, Any]:
    where = f"{path}, line {line}"
    made: dict[str, Any] = {name: row.get(name, "").strip() for name in COLUMNS}
    image, mask = (
        _files.file_inside(folder, made[name], f"{where}, {name}") if made[name] else None
        for name in ("image", "mask")
    )
    if not made["image"] and not made["mask"]:
        raise MaskmillError(f"{where}: names no image and no mask; delete the line")
    split, order = made["split"], made["order"]
    if split and not _names.is_split(split):
        raise MaskmillError(
            f"{where}: split {split!r}; allowed are {', '.join(SPLITS)} and nothing"
        )
    try:
        made["order"] = int(order) if order else None
    except ValueError:
        raise MaskmillError(
            f"{where}: order {order!r}; needed is a whole number, the place in the sequence"
        ) from None
    name = Path(made["image"] or made["mask"]).with_suffix("").as_posix()
    return made | {"image": image, "mask": mask, "split": _names.split_of(split), "name": name}
