"""A list of a user's own files: a CSV with the columns image, mask, and perhaps id, group, .."""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from maskmill.settings.config import SPLITS, Data
from maskmill.sources import Pair, Recognised, _files, _names
from maskmill.system import components
from maskmill.system.errors import MaskmillError, few_of

COLUMNS = ("image", "mask", "id", "group", "sequence", "order", "split")
_SEPARATORS = (",", ";", "\t")
_NAMED = {  # what such columns are called by others
    "image": ("image", "image_path", "img", "img_path", "image_file", "image_filename"),
    "mask": ("mask", "mask_path", "mask_file", "mask_filename", "label_path", "segmentation_path"),
}
_GROUPS = (
    "patient",
    "patient_id",
    "subject",
    "subject_id",
    "case_id",
    "scene",
    "video",
    "group_id",
)
_WHERE = "data/source.yaml: kind"
Renamed = dict[Literal["image", "mask", "id", "group", "sequence", "order", "split"], str]
BYTE_ORDERS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def table(
    *,
    folder: Path,
    data: Data,
    file: str = "pairs.csv",
    files: dict[str, str] | None = None,
    columns: Renamed | None = None,
    image_folder: str = "",
    mask_folder: str = "",
    groups: str | None = None,
    blocks: int | None = None,
) -> Iterator[Pair]:
    """The pairs of the list, whose paths are relative to data/source, or to the two folders.

    `files` names a list for each split instead of one `file`; `columns` says what the columns are
    called: {mask: label_path}. The id is the image's path where there is no such column; `groups`
    and `blocks`, on that path without its ending, stand for a column `group`.
    Raises: MaskmillError for a bad list, naming the line.
    """
    if unknown := [split for split in files or {} if split not in SPLITS]:
        raise MaskmillError(
            f"{_WHERE}.files: {unknown[0]!r} is no split; allowed are {', '.join(SPLITS)}"
        )
    found = []
    for split, name in (files or {"": file}).items():
        path = _files.file_inside(folder, name, f"{_WHERE}.{'files' if files else 'file'}")
        rows = read(path, columns)
        if "group" in rows and (groups is not None or blocks is not None):
            raise MaskmillError(
                f"{path}: has a column `group`; delete it, or `groups` and `blocks` in "
                "data/source.yaml"
            )
        sides = {"image": folder / image_folder, "mask": folder / mask_folder}
        for line, row in enumerate(rows.to_dict("records"), start=2):
            made = _row(sides, path, line, row)
            found.append(made | {"split": made["split"] or split})
    found.sort(key=lambda row: _names.natural_sort_key(row["name"]))
    names = [row["name"] for row in found]
    places = _names.group_names(names, groups, blocks, _WHERE)
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


def read(path: Path, renamed: Mapping[Any, str] | None = None) -> pd.DataFrame:
    """The list as text; columns that are not known are of no effect.

    Raises: MaskmillError when it is no such list.
    """
    try:
        text = _text(path)
        first = text.partition("\n")[0]
        found = pd.read_csv(
            io.StringIO(text),
            sep=max(_SEPARATORS, key=first.count),
            dtype=str,
            keep_default_na=False,
            index_col=False,
        )
    except UnicodeError as error:
        raise MaskmillError(f"{path}: not UTF-8: {error}; save it as UTF-8") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise MaskmillError(f"{path}: not a table with the columns image,mask: {error}") from None
    found.columns = [str(name).strip().lower() for name in found.columns]
    asked = {name.lower(): column for column, name in (renamed or {}).items()}
    found = found.drop(columns=[name for name in asked.values() if name in found.columns
                                and name not in asked]).rename(columns=asked)  # fmt: skip
    if missing := {"image", "mask"} - set(found.columns):
        raise MaskmillError(
            f"{path}: no column {', '.join(sorted(missing))}, got {', '.join(found.columns)}; "
            f"needed are these, allowed besides {', '.join(COLUMNS[2:])}; `columns` in "
            "data/source.yaml says what they are called: {mask: label_path}"
        )
    for name in found.columns:
        if name not in COLUMNS and (near := components.suggest(name, COLUMNS)) and not renamed:
            raise MaskmillError(
                f"{path}: column {name!r} is not known{near}; known are {', '.join(COLUMNS)}"
            )
    return found


def recognise(top: Path, files: Sequence[Path]) -> Recognised | None:
    """Whether `top` holds a list of images and masks, or one for each split.

    Raises: MaskmillError for several lists, and for a file that no folder holds.
    """
    lists = {path: renamed for path in files if (renamed := _list_columns(path)) is not None}
    if not lists:
        return None
    named = {path: path.relative_to(top).as_posix() for path in lists}
    config: dict[str, Any] = {"kind": "table"}
    splits = {path.stem.lower(): name for path, name in named.items()}
    if len(lists) > 1 and not (len(splits) == len(lists) and {*splits} <= {*SPLITS}):
        raise MaskmillError(
            f"{top}: several lists of images and masks: {few_of(list(named.values()), 6)}; "
            "keep one, or one for each split: train.csv, val.csv, test.csv"
        )
    config |= {"files": splits} if len(lists) > 1 else {"file": next(iter(named.values()))}
    path, renamed = next(iter(lists.items()))
    rows = read(path, renamed)
    notes = []
    if "group" not in rows and (group := _group_column(rows)):
        renamed = {**renamed, "group": group}
        notes.append(f"the column {group} is taken for the group; `columns` says otherwise")
    if any(column != name for column, name in renamed.items()):
        config["columns"] = {column: name for column, name in renamed.items() if column != name}
    for side in ("image", "mask"):
        if inside := _folder_of(top, files, rows[side], path):
            config[f"{side}_folder"] = inside
            notes.append(f"files of the column {renamed[side]} are found in {inside}/")
    used = {*renamed.values(), *COLUMNS}
    rest = [name for name in read(path, renamed).columns if name not in used]
    told = f"a list, {few_of(list(named.values()), 4)}"
    told += f", with the columns {', '.join(renamed.values())}"
    told += f"; not used: {', '.join(rest)}" if rest else ""
    return Recognised(config, told, list(lists), None, notes, {})


def _list_columns(path: Path) -> dict[str, str] | None:
    """Column -> what it is called, where the file is a list of images and masks."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return None
    with path.open("rb") as file:
        start = file.read(4096)
    try:
        first = start.decode(BYTE_ORDERS.get(start[:2], "utf-8-sig"), errors="ignore").splitlines()
    except UnicodeError:
        return None
    line = first[0] if first else ""
    header = next(csv.reader([line], delimiter=max(_SEPARATORS, key=line.count)), [])
    names = [cell.strip().lower() for cell in header]
    found = {
        column: next((name for name in others if name in names), "")
        for column, others in _NAMED.items()
    }
    if not all(found.values()):
        return None
    return found | {name: name for name in COLUMNS[2:] if name in names}


def _group_column(rows: pd.DataFrame) -> str:
    """The column that says who or what an image is of, where it can divide the images."""
    for name in _GROUPS:
        if name in rows and len(SPLITS) <= rows[name].nunique() < len(rows):
            return name
    return ""


def _folder_of(top: Path, files: Sequence[Path], column: "pd.Series[str]", table: Path) -> str:
    """The folder that holds the files that the column names alone; "" where paths are whole.

    Raises: MaskmillError for a file that is nowhere, or in several folders.
    """
    names = [name.strip().replace("\\", "/") for name in column if name.strip()]
    if not names or (top / names[0]).is_file():
        return ""
    places = [
        path.parents[len(Path(names[0]).parts) - 1]
        for path in files
        if path.as_posix().endswith(f"/{names[0]}")
    ]
    whole = [place for place in places if all((place / name).is_file() for name in names)]
    if len(whole) == 1:
        return whole[0].relative_to(top).as_posix()
    if whole:
        raise MaskmillError(
            f"{table}: {names[0]} is in {few_of([str(place) for place in whole], 4)}; write the "
            "paths relative to the folder, with the folders in them"
        )
    lost = next((n for n in names if not any((place / n).is_file() for place in places)), names[0])
    raise MaskmillError(
        f"{table}: {lost} is nowhere in {top}; write paths relative to that folder, or put it there"
    )


def _text(path: Path) -> str:
    content = path.read_bytes()
    return content.decode(BYTE_ORDERS.get(content[:2], "utf-8-sig"))


def _row(sides: Mapping[str, Path], path: Path, line: int, row: dict[str, Any]) -> dict[str, Any]:
    where = f"{path}, line {line}"
    made: dict[str, Any] = {name: row.get(name, "").strip() for name in COLUMNS}
    found: dict[str, Path | None] = {}
    for side, top in sides.items():
        name = made[side] if (top / made[side]).is_file() else made[side].replace("\\", "/")
        made[side] = name
        found[side] = _files.file_inside(top, name, f"{where}, {side}") if name else None
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
    return made | found | {"split": _names.split_of(split), "name": name}
