"""What is to be predicted: files, folders, patterns and lists as a list of images and pages."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskmill.images import decode
from maskmill.images.rows import count_pages
from maskmill.system.errors import MaskmillError


@dataclass(frozen=True)
class Input:
    """One image: a file, or a page of a stack."""

    path: Path
    page: int | None  # from 0; None for a file of one image
    folder: Path  # below the folder of the results

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{self.path.absolute()}{'' if self.page is None else f'#page={self.page + 1}'}"

    @property
    def stem(self) -> str:
        """What the names of its results begin with, where nothing else has that name."""
        return self.path.stem + ("" if self.page is None else f"_p{self.page + 1:04d}")


def find_inputs(named: Sequence[str], lists: Sequence[Path], out: Path) -> list[Input]:
    """All images of files, folders and patterns, and of lists of such, each once.

    Folders are searched as a whole, for the endings of image files, but for `out` itself and names
    that begin with a dot. The results of a folder's images lie below `out` as the images in it.

    Raises: MaskmillError for what is not there or holds no image.
    """
    found: dict[str, Input] = {}
    for text in [*named, *(line for path in lists for line in _lines(path))]:
        for path, folder in _files(text, out):
            for page in _pages(path):
                image = Input(path, page, folder)
                found.setdefault(f"{path.resolve()}#{page}", image)
    return list(found.values())


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        raise MaskmillError(
            f"--list {path}: {reason}; needed is a text file with a path in each line"
        ) from None
    return [line.strip() for line in lines if line.strip()]


def _files(text: str, out: Path) -> Iterator[tuple[Path, Path]]:
    """Files, and the folder of their results below `out`."""
    path = Path(text)
    if path.is_dir():
        inside = sorted(_below(path, out))
        if not inside:
            raise MaskmillError(
                f"{decode.escape_name(text)}: a folder without images; files are looked for that"
                f" end in {', '.join(decode.SUFFIXES)}"
            )
        yield from ((file, file.parent.relative_to(path)) for file in inside)
    elif path.exists() or not glob.has_magic(text):
        yield path, Path()
    else:
        matches = sorted(Path(match) for match in glob.glob(text, recursive=True))  # noqa: PTH207  Path.glob takes no absolute ones
        if not (names := [match for match in matches if match.is_file()]):
            raise MaskmillError(f"{decode.escape_name(text)}: no file matches this pattern")
        yield from ((match, Path()) for match in names)


def _below(folder: Path, out: Path) -> Iterator[Path]:
    results = out.resolve()
    if folder.resolve() == results:
        raise MaskmillError(
            f"--out {out}: is the folder of the images; results need one of their own"
        )
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name for name in folders
            if not name.startswith(".") and (here / name).resolve() != results
        )  # fmt: skip
        for name in names:
            if not name.startswith(".") and name.lower().endswith(decode.SUFFIXES):
                yield here / name


def _pages(path: Path) -> list[int | None]:
    count = count_pages(path)
    return [None] if count == 1 else list(range(count))
