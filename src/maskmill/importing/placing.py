"""Bring files to data/source and under DVC.

Nothing that stood there is lost, and a kill costs only time.
"""

import filecmp
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from maskmill.settings import config
from maskmill.system import repository
from maskmill.system.errors import MaskmillError

_KEEP = ".gitkeep"


def present_files(target: Path) -> list[Path]:
    """The files and links in data/source, the one that keeps the empty folder in git left out."""
    found = target.rglob("*") if target.is_dir() else ()
    return sorted(
        path
        for path in found
        if (path.is_symlink() or not path.is_dir()) and path != target / _KEEP
    )


def check_free(folder: Path, target: Path, files: Sequence[Path], *, replace: bool) -> bool:
    """Whether `files` of `folder` still have to be copied.

    Raises: MaskmillError where other files stand in `target` and may not be replaced, or one folder
        is in the other.
    """
    source, goal = folder.resolve(), target.resolve()
    if source == goal:
        return False
    if source.is_relative_to(goal) or goal.is_relative_to(source):
        raise MaskmillError(
            f"{folder} and {target} lie in one another; give a folder elsewhere, or {target} itself"
        )
    there = present_files(target)
    wanted = {path.relative_to(folder): path for path in files}
    if {path.relative_to(target) for path in there} == wanted.keys() and all(
        filecmp.cmp(wanted[path.relative_to(target)], path, shallow=False) for path in there
    ):
        return False  # of an import before
    if there and not replace:
        raise MaskmillError(
            f"{target} holds {len(there)} other files ({there[0].relative_to(target)}, ..);"
            f" --replace puts them aside and takes those of {folder}"
        )
    return True


def place_files(
    folder: Path, target: Path, files: Iterable[Path], aside: Path, *, link: bool
) -> Path | None:
    """Bring `files` to `target` as they lie in `folder`, all at once.

    What stood there goes to a folder below `aside`.

    Returns: that folder, if there was anything.
    Raises: MaskmillError where hard links are wanted and cannot be.
    """
    partial = target.with_name(f".{target.name}.part")
    if partial.exists():
        shutil.rmtree(partial)  # of an import that was killed
    for path in tqdm(list(files), "copying", unit="file", disable=None):
        place = partial / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(), place) if link else shutil.copy2(path, place)
        except OSError as error:
            if not link:
                raise
            raise MaskmillError(
                f"--link: {path} cannot be linked: {error.strerror}; leave --link out"
            ) from None
    moved = None
    if present_files(target):
        moved = free_path(aside / target.name)
        moved.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(target, moved)
    elif target.is_dir():
        (target / _KEEP).unlink(missing_ok=True)
        shutil.rmtree(target)
    partial.rename(target)
    return moved


def followed_address(target: Path) -> str:
    """Return the address that DVC brings the folder from (`dvc import-url`).

    It is empty where the files are the user's own.
    """
    stage = _stage(target)
    deps = config.read_yaml(stage).get("deps") if stage.exists() else None
    return str(deps[0]["path"]) if deps else ""


def _stage(target: Path) -> Path:
    return target.with_name(f"{target.name}.dvc")


def version_folder(target: Path) -> None:
    """Have DVC keep the folder's present state. Raises: MaskmillError with what DVC said."""
    # `dvc add` would keep the address, and the next `dvc update` bring back the other files
    if followed_address(target):
        stage = _stage(target)
        stage.rename(free_path(stage.with_name(f"{stage.name}.bak")))
    repository.untrack(target / _KEEP)
    (target / _KEEP).unlink(missing_ok=True)
    repository.run_dvc(
        "add", "--quiet", str(target), what="import: the files are in place, but not versioned"
    )


def free_path(path: Path) -> Path:
    """The path, or with the first number behind it that no file has."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}{number}")
    return candidate
