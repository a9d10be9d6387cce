"""Finding a user's files without following what leads out of the folder, or hangs."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from maskmill.images import decode
from maskmill.system.errors import MaskmillError

SUFFIXES = (*decode.SUFFIXES, ".npy")


def regular_files(folder: Path, without: Path | None = None) -> Iterator[Path]:
    """Every file below `folder` in order of name, but hidden ones and the subfolder `without`.

    Raises: MaskmillError for what is no file: a pipe, a socket, a link to nowhere or in a circle, a
        link to a folder.
    """
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = folder / entry.name
        if entry.name.startswith(".") or path == without:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from regular_files(path, without)
        elif _is_regular(path):
            yield path
        else:
            what = "no regular file"
            if entry.is_symlink():
                kind = "a folder" if path.is_dir() else "no file"
                what = f"a link that leads to {kind}"
            raise MaskmillError(
                f"{str(path)!a}: {what}; replace it by the file or folder itself, or delete it"
            )


def by_name(folder: Path, suffix: str = "", without: Path | None = None) -> dict[str, Path]:
    """Name below `folder` without ending (NFC, `/` between folders) -> image file.

    `suffix` is cut off the names.

    Raises: MaskmillError when two files share a name.
    """
    found: dict[str, Path] = {}
    for path in regular_files(folder, without) if folder.is_dir() else ():
        if path.suffix.lower() not in SUFFIXES or not path.stem.endswith(suffix):
            continue
        relative = path.relative_to(folder).with_suffix("").as_posix()
        name = unicodedata.normalize("NFC", relative.removesuffix(suffix))
        if name in found:
            raise MaskmillError(
                f"{found[name]} and {path} have one name ({found[name].name!a}, {path.name!a}); "
                "a pair is found by it: rename one"
            )
        found[name] = path
    return found


def file_inside(folder: Path, name: str, where: str) -> Path:
    """The file `name` below `folder`.

    Raises: MaskmillError when it leads out of it, or is not there.
    """
    path = folder / name
    if not is_below(name):
        raise MaskmillError(
            f"{where}: {name!a} is not a path below {folder}; write it relative to that folder"
        )
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise MaskmillError(
            f"{where}: {name!a} leads out of {folder} through a link; put the file itself there"
        )
    if not _is_regular(path):
        raise MaskmillError(
            f"{where}: {path} is not there, or no regular file; put it there, or delete its line"
        )
    return path


def is_below(name: str) -> bool:
    """Whether a path is relative and leads nowhere but down."""
    path = Path(name)
    return bool(name) and "\0" not in name and not path.is_absolute() and ".." not in path.parts


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # nowhere, a circle, a name that is too long, no permission
        return False
