"""Which image file annotations mean by a name."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from maskmill.sources import _files, _names
from maskmill.system.errors import MaskmillError, few_of

_SHOWN = 5
_SAMPLED = 100  # names by which a folder of images is found


class ImageFiles:
    """The image files of a folder, found by the path or the name that annotations give."""

    def __init__(self, folder: Path, files: Iterable[Path]) -> None:
        """`files` are all regular files below `folder`; those that are no images are passed by."""
        self.folder = folder
        self.paths = [path for path in files if path.suffix.lower() in _files.SUFFIXES]
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            self._by_name[_plain(path.name)].append(path)
            self._by_stem[_plain(path.stem)].append(path)
        self._folders = {part for path in self.paths for part in self._parents(path)}

    def _parents(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self.folder).parts[:-1]

    def named(self, name: str, beside: Path | None = None) -> list[Path]:
        """The image files that a name can mean; several where it does not say which.

        Its own folders tell files of one name apart, then the folder `beside`; the ending may be
        left out.
        """
        asked = PurePosixPath(portable(name))
        found = self._by_name.get(_plain(asked.name)) or self._by_stem.get(_plain(asked.name), [])
        parts = [part for part in asked.parts[:-1] if part not in ("..", ".", "/")]
        if parts and parts[-1] in self._folders:  # and of train/5.jpg val/5.jpg is another
            found = [path for path in found if parts[-1] in self._parents(path)]
        if parts and len(found) > 1:
            found = _sharing_most(found, parts)
        near = [path for path in found if path.parent == beside]
        return near if near and len(found) > 1 else found

    def one(self, name: str, where: str, beside: Path | None = None) -> Path:
        """The image file of that name. Raises: MaskmillError where there is none, or several."""
        found = self.named(name, beside)
        if not found:
            raise MaskmillError(
                f"{where}: image {name!a} is nowhere below {self.folder}; put it there, or delete "
                "what annotates it"
            )
        if len(found) > 1:
            listed = few_of(found, _SHOWN)
            raise MaskmillError(
                f"{where}: image {name!a} could be {listed}; rename all but one, or move them out"
            )
        return found[0]


def _sharing_most(found: list[Path], parts: Sequence[str]) -> list[Path]:
    """Those whose last folders are most like `parts`."""

    def shared(path: Path) -> int:
        count = 0
        for one, other in zip(reversed(path.parts[:-1]), reversed(parts), strict=False):
            if one != other:
                break
            count += 1
        return count

    most = max(map(shared, found))
    return [path for path in found if shared(path) == most]


def images_folder(
    path: Path, names: Sequence[str], folder: Path, files: Iterable[Path], kind: str
) -> Path:
    """The folder below which the images that `path` annotates lie under their names.

    The one that holds most of them: the annotations' own, the nearest, or one of the same split.
    Raises: MaskmillError where none is anywhere, and for the images that are missing there.
    """
    there = {unicodedata.normalize("NFC", file.as_posix()) for file in files}
    parents = {p for file in files for p in file.parents if p.is_relative_to(folder)}
    split = _names.split_of(path.stem)
    sample = names[:: max(1, len(names) // _SAMPLED)]

    def rank(parent: Path) -> tuple[int, bool, int, bool, int, str]:
        near = os.path.commonpath([parent, path.parent])
        held = sum(_below(parent, name) in there for name in sample)
        other_split = not split or _names.split_of(parent.name) != split
        own = parent == path.parent
        return -held, not own, -len(near), other_split, len(parent.parts), str(parent)

    best = min(parents, key=rank)
    missing = [name for name in names if _below(best, name) not in there]
    if len(missing) == len(names):
        listed = few_of(names, 3)
        raise MaskmillError(
            f"{path}: {kind}; its images ({listed}) are nowhere below {folder}; put them there"
        )
    if missing:
        raise MaskmillError(
            f"{path}: {kind}; of its {len(names)} images {len(missing)} not in {best}: "
            f"{few_of(missing, _SHOWN)}; put them there, or delete what annotates them"
        )
    return best


def _below(parent: Path, name: str) -> str:
    return unicodedata.normalize("NFC", (parent / portable(name)).as_posix())


def portable(name: str) -> str:
    """A path as it is written here: those of Windows have backslashes, and perhaps a drive."""
    return re.sub(r"^[A-Za-z]:", "", name.replace("\\", "/")) if "\\" in name else name


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
