"""`maskmill registry`: keep the registry elsewhere, and bring it back."""

from pathlib import Path
from typing import Annotated

import typer

from maskmill.settings import config
from maskmill.system.errors import MaskmillError

app = typer.Typer(no_args_is_help=True, help="Runs, versions and the ledger: keep, bring back.")


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder to write to.")],
) -> None:
    """Write runs, versions, the ledger and all their files to a folder, as of one moment."""
    from maskmill.tracking import backup as backups
    from maskmill.tracking import stores

    params = config.load()
    count = backups.back_up(stores.connect_store(params.tracking, params.paths), folder)
    print(f"registry: {count} files in {folder}; back: maskmill registry restore {folder}")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the registry that is there aside.")
    ] = False,
) -> None:
    """Bring a backup back, held against its digests first."""
    from maskmill.services.records import running_keepers
    from maskmill.tracking import backup as backups
    from maskmill.tracking import locations, stores

    params, root = config.load(), Path.cwd()
    database = stores.database_of(stores.uri_of(params.tracking, root))
    if database is None:
        raise MaskmillError("registry restore: tracking.uri names a server; ...")
    if "mlflow" in running_keepers(root):
        raise MaskmillError(
            "registry restore: MLflow's server has the registry open; stop it: maskmill down"
        )
    artifacts = root.resolve() / params.paths.state / locations.FOLDER
    aside = backups.restore(folder, database, artifacts, replace=replace)
    print(f"registry: {folder} is back" + (f"; what was there is in {aside}" if aside else ""))
