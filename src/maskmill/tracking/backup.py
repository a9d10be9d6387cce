"""The registry as one folder to keep elsewhere: runs, versions, ledger, and all files of them.

BACKUP/mlflow.db, BACKUP/artifacts/, and BACKUP/backup.json with the sha256 of each file.
"""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from maskmill.system import files
from maskmill.system.errors import MaskmillError, few_of
from maskmill.tracking import locations, stores
from maskmill.tracking.stores import Store

DATABASE, ARTIFACTS, LIST = "mlflow.db", "artifacts", "backup.json"


def back_up(store: Store, to: Path) -> int:
    """Write database and files of the store to the new folder `to`. Gives the number of files.

    Runs may be recorded meanwhile: the database is copied as of one moment, its files after it.
    Raises: MaskmillError for a store on a server, a folder that is there, or files kept elsewhere.
    """
    database, artifacts = _own_files(store)
    if to.exists():
        raise MaskmillError(f"registry backup: {to} is there already; name a new folder")
    if to.resolve().is_relative_to(artifacts.resolve()):
        raise MaskmillError(f"registry backup: {to} lies in what is backed up; name another folder")
    part = to.with_name(f".{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of one that was killed
    part.mkdir(parents=True)
    with store.lock():
        _copy_database(database, part / DATABASE)
        kept_elsewhere = _runs_elsewhere(part / DATABASE, artifacts.as_uri())
        if kept_elsewhere:
            shutil.rmtree(part)
            raise MaskmillError(
                "registry backup: runs keep files outside of the registry's folder "
                f"{artifacts}: {few_of(kept_elsewhere, 3)}; delete them on MLflow's page, or have "
                "their server's owner back them up"
            )
        if artifacts.exists():
            shutil.copytree(artifacts, part / ARTIFACTS)
    (part / ARTIFACTS).mkdir(exist_ok=True)
    listed = _digests(part)
    content = {"made": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "artifacts": artifacts.as_uri()}
    files.write_json(part / LIST, {**content, "files": listed})
    part.replace(to)
    return len(listed)


def restore(backup: Path, database: Path, artifacts: Path, *, replace: bool) -> Path | None:
    """Put a backup in the place of the store at `database`, its files at `artifacts`.

    With `replace`, what stands there is put aside; gives the folder in which it is then.
    Raises: MaskmillError for a damaged or incomplete backup, or where a store is there already.
    """
    content = _checked(backup)
    there = [path for path in (database, artifacts) if path.exists()]
    if there and not replace:
        raise MaskmillError(
            f"registry restore: there is a registry at {database.parent}; --replace puts it aside"
        )
    part = database.parent / ".restore.part"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(backup, part)
    locations.rewrite(part / DATABASE, content["artifacts"], artifacts.as_uri())
    aside = None
    if there:
        aside = database.parent / f"before-{time.strftime('%Y%m%d-%H%M%S')}"
        aside.mkdir()
        for path in (*there, *database.parent.glob(f"{database.name}-*")):  # sqlite's journal
            path.rename(aside / path.name)
    (part / ARTIFACTS).rename(artifacts)
    (part / DATABASE).rename(database)  # last: without it there is no store
    shutil.rmtree(part)
    return aside


def _own_files(store: Store) -> tuple[Path, Path]:
    """The database and the folder of files of a store in sqlite."""
    database = stores.database_of(store.uri)
    if database is None:
        raise MaskmillError(
            f"registry backup: the registry is at {store.uri}, whose owner backs it up: its "
            "database, and the folder or bucket of its artifacts"
        )
    return database, store.state / locations.FOLDER


def _copy_database(database: Path, to: Path) -> None:
    """As of one moment, whoever writes meanwhile."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _runs_elsewhere(database: Path, folder: str) -> list[str]:
    """The places of runs and versions that are not below `folder`."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT artifact_uri FROM runs UNION SELECT storage_location FROM model_versions "
            "WHERE current_stage != 'Deleted_Internal'"
        ).fetchall()
    return [place for (place,) in rows if place and not place.startswith(f"{folder}/")]


def _digests(folder: Path) -> dict[str, str]:
    """Path in the folder -> sha256."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): files.sha256(path) for path in found}


def _checked(backup: Path) -> dict[str, Any]:
    """What backup.json says, once each file was held against it."""
    if not (backup / LIST).exists():
        raise MaskmillError(
            f"registry restore: {backup} holds no {LIST}; name a folder that `maskmill registry "
            "backup` wrote"
        )
    content: dict[str, Any] = files.read_json(backup / LIST)
    found = _digests(backup)
    found.pop(LIST)
    wrong = sorted({*content["files"].items()} ^ {*found.items()})
    if wrong:
        names = few_of(sorted({name for name, _ in wrong}), 5)
        raise MaskmillError(
            f"registry restore: {backup} is not as it was written: {names}; take another backup"
        )
    return content
