"""data/splits.csv: which group is in which split, so that it stays there when others come."""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maskmill.settings.config import SPLITS
from maskmill.system import files
from maskmill.system.errors import MaskmillError, few_of

FOLD = re.compile(r"fold(\d+)")
_COLUMNS = ["group", "split"]
_COMMENT = "#"
_SHOWN = 10


@dataclass(frozen=True)
class Frozen:
    """What data/splits.csv says; nothing where there is no such file."""

    path: Path
    split_of: Mapping[str, str]  # group -> train, val, test or foldN
    content: bytes = b""  # of the file as it was read

    @property
    def has_folds(self) -> bool:
        """Whether folds are frozen, and not train and val alone."""
        return any(FOLD.fullmatch(split) for split in self.split_of.values())


def read_frozen_splits(path: Path) -> Frozen:
    """What data/splits.csv at `path` freezes.

    Raises: MaskmillError for another encoding than UTF-8, other columns, an unknown split, or a
        group that stands there twice.
    """
    content = path.read_bytes() if path.exists() else b""
    rows = _rows(path, content)
    if rows and rows[0] != _COLUMNS:
        raise MaskmillError(f"{path}: columns {rows[0]}; needed are group,split")
    if odd := [row for row in rows if len(row) != len(_COLUMNS)]:
        raise MaskmillError(f"{path}: {','.join(odd[0])} is not a row of two columns, group,split")
    wrong = [group for group, split in rows[1:] if not _is_split(split)]
    if wrong:
        allowed = f"{', '.join(SPLITS)}, or fold0, fold1, .."
        raise MaskmillError(f"{path}: groups {wrong} have no split of {allowed}")
    counts = Counter(group for group, _ in rows[1:])
    if twice := [group for group, count in counts.items() if count > 1]:
        raise MaskmillError(f"{path}: groups {twice} stand there twice; a group has one split")
    return Frozen(path, {row[0]: row[1] for row in rows[1:]}, content)


def freeze_splits(frozen: Frozen, split_of: Mapping[str, str]) -> list[str]:
    """Write the groups that data/splits.csv does not name yet below what stands there.

    What stands there stays byte for byte: comments, order, groups that are away at the moment.
    Returns: the groups that were written; where there are none, the file is not touched.
    Raises: MaskmillError where the file is not as it was read any more.
    """
    new = sorted(split_of.keys() - frozen.split_of.keys())
    if not new:
        return []
    path = frozen.path
    if (path.read_bytes() if path.exists() else b"") != frozen.content:
        raise MaskmillError(
            f"{path} was edited while groups that it does not name ({few_of(new, _SHOWN)}) got"
            " their splits; start the same command again"
        )
    newline = "\r\n" if b"\r\n" in frozen.content else "\n"
    below = io.StringIO()
    if frozen.content and not frozen.content.endswith(b"\n"):
        below.write(newline)
    if not _rows(path, frozen.content):
        below.write(",".join(_COLUMNS) + newline)
    plain, quoted = (
        csv.writer(below, lineterminator=newline, quoting=quoting)
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    for group in new:
        writer = quoted if group.startswith(_COMMENT) else plain
        writer.writerow([group, split_of[group]])
    files.write_bytes(path, frozen.content + below.getvalue().encode())
    return new


def _rows(path: Path, content: bytes) -> list[list[str]]:
    """The header and the rows below it, without comments and empty lines."""
    try:
        text = content.decode("utf-8-sig")  # with or without the mark that a spreadsheet writes
    except UnicodeDecodeError as error:
        raise MaskmillError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    lines = text.splitlines(keepends=True)
    return [row for row in csv.reader(line for line in lines if line[0] != _COMMENT) if row]


def _is_split(name: str) -> bool:
    return name in SPLITS or FOLD.fullmatch(name) is not None
