"""Where a sqlite store says that its files are, which MLflow notes as whole paths.

A folder that was moved or copied holds the paths of the old one: its models could not be loaded, or
would be those of the original, and new runs would write there.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLDER = "mlflow/artifacts"  # in paths.state
_COLUMNS = (  # that hold the place of files, in MLflow's tables
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_BUSY_S = 30.0  # that another process may hold the database


def relocate(database: Path, root: Path, state: str) -> Path | None:
    """Make the places in a workspace's own database those of the folder in which it lies now.

    `root` is the workspace, and `state` its paths.state, below which MLflow's files are. Gives the
    folder of before, or None where nothing had to change. A database that lies elsewhere is of
    another workspace, and stays as it is.
    """
    if database != root / state / "mlflow" / database.name or not database.exists():
        return None
    here = (root / state / FOLDER).as_uri()
    others = [place for place in places(database) if place.endswith(f"/{state}/{FOLDER}")]
    moved = [place for place in others if place != here and not _same_folder(place, here)]
    for place in moved:
        rewrite(database, place, here)
    return _path(moved[0].removesuffix(f"/{state}/{FOLDER}")) if moved else None


def places(database: Path) -> list[str]:
    """The folders, as file URIs, in which the experiments of a database keep their files."""
    with closing(sqlite3.connect(database, timeout=_BUSY_S)) as connection:
        if not _columns(connection):
            return []
        found = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    return [place for (place,) in found if place and place.startswith("file://")]


def rewrite(database: Path, old: str, new: str) -> None:
    """Make the folder `old` of all paths the folder `new`, in one transaction."""
    with closing(sqlite3.connect(database, timeout=_BUSY_S)) as connection, connection:
        for table, column in _columns(connection):
            connection.execute(
                f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '  # noqa: S608
                f'WHERE "{column}" = ? OR substr("{column}", 1, ?) = ?',
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Those of the tables that this version of MLflow has made."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    return [(table, column) for table, column in _COLUMNS if table in there]


def _same_folder(place: str, other: str) -> bool:
    """Whether two file URIs are one folder: by a link, or mounted twice."""
    one, two = _path(place), _path(other)
    return one.exists() and two.exists() and one.samefile(two)


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))
