"""Import data, list networks, predict, compare runs, check params.yaml and run the servers.

The champion predicts unless another model is named.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskmill.cli import champion, models, predict, registry
from maskmill.settings import config, configure
from maskmill.system import files, processes, repository
from maskmill.system.errors import MaskmillError, few_of
from maskmill.system.logs import log_to_stdout

if TYPE_CHECKING:
    from maskmill.inference.predict import Predictor

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
remotes = typer.Typer(
    no_args_is_help=True, help="Where data, models and the cache of runs are kept."
)
app.add_typer(remotes, name="remote")
data = typer.Typer(no_args_is_help=True, help="Your own images and masks.")
app.add_typer(data, name="data")
app.add_typer(models.app, name="models")
app.add_typer(registry.app, name="registry")
champion.add_to(app)
_STRICT_REFUSED = 3
_NOT_ALL_UP = 3


@app.command()
def check() -> None:
    """Hold params.yaml against the code, without running anything."""
    from maskmill.checks.params import check as check_params

    params = config.load()
    check_params(params)
    print(f"{config.PARAMS}: fine; variants: {', '.join(params.variants)}")
    if left_out := config.left_out(config.read_yaml(config.PARAMS)):
        print(
            f"{config.PARAMS} does not name {len(left_out)} settings, which have their defaults"
            " (docs/settings.md):"
        )
        print("\n".join(f"  {key}: {configure.in_yaml(value)}" for key, value in left_out.items()))


predict.add_to(app)


@app.command()
def serve(
    model: Annotated[
        str,
        typer.Option(help="models:/NAME@ALIAS or models:/NAME/NUMBER; the champion if not given."),
    ] = "",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="services.model_port if not given; 0 takes a free one."
        ),
    ] = None,
) -> None:
    """Serve a registered version over HTTP: base64 images in, base64 masks out."""
    from maskmill.serving import server
    from maskmill.tracking import registry

    params = config.load()

    def load() -> tuple[str, "Predictor"]:
        version = registry.resolve(model or f"models:/{params.tracking.model}@champion")
        made = registry.predictor(version).with_settings(params.inference)
        return f"{version.name} version {version.version}", made

    server.serve(params, load, params.services.model_port if port is None else port)


@app.command()
def gate(
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 where the gate refused.")
    ] = False,
) -> None:
    """Say what the gate decided in the last run."""
    path = Path(config.load().paths.metrics) / "registration.json"
    if not path.exists():
        raise MaskmillError(
            f"{path}: no such file; nothing has been gated yet: run `make pipeline`"
        )
    verdict = files.read_json(path)
    print(
        f"{verdict['model']} version {verdict['version'] or 'none'} {verdict['outcome']}:"
        f" {verdict['reason']}"
    )
    if strict and verdict["outcome"] == "refused":
        raise typer.Exit(_STRICT_REFUSED)


@app.command()
def report(
    revisions: Annotated[
        list[str] | None,
        typer.Argument(metavar="REV..", help="git revisions, DVC experiments, or workspace."),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Put the runs of these revisions side by side.")
    ] = False,
) -> None:
    """Say where the page is; or compare runs: maskmill report --compare REV_A REV_B."""
    params, named = config.load(), revisions or []
    if not compare and named:
        raise MaskmillError(
            f"report: got {few_of(named, 4)};"
            " to compare runs: maskmill report --compare REV_A REV_B"
        )
    if not compare:
        path = Path(params.paths.reports) / "index.html"
        if not path.exists():
            raise MaskmillError(f"{path}: no such file; `make pipeline` draws it")
        print(f"look at {path}")
        return
    from maskmill.report.compare import write_comparison

    print(f"look at {write_comparison(named, params)}")


@app.command()
def tune() -> None:
    """Search for settings by many trainings (section tune in params.yaml).

    A search that was killed goes on when it is started again.
    """
    from maskmill.tuning import command

    processes.exit_on_sigterm()
    try:
        command.run_search(config.load())
    except KeyboardInterrupt:
        raise typer.Exit(processes.report_interrupt()) from None


@data.command("verify")
def data_verify() -> None:
    """Read every file and shard again and hold it against what the models were made from."""
    from maskmill.curation.verify import verify

    verify(Path(config.load().paths.prepared))


@remotes.command("set")
def remote_set(
    url: Annotated[
        str, typer.Argument(help="A folder, or s3://BUCKET/PATH, gs://.., azure://.., ssh://..")
    ],
    endpoint: Annotated[
        str | None, typer.Option(help="Of an S3 server other than AWS: http://HOST:PORT.")
    ] = None,
) -> None:
    """Keep data, models and the cache of runs there.

    Flows pull from it first and push to it last.
    """
    from maskmill.cli import remote

    remote.configure(url, endpoint)
    print(
        f"remote: {url}, in .dvc/config (commit it); flows pull first and push last;"
        " by hand: dvc push --run-cache"
    )


@data.command("import")
def data_import(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Images and masks; data/source if they are there.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say and draw what would be; write nothing else.")
    ] = False,
    kind: Annotated[str, typer.Option(help="The source, where several could read DIR.")] = "",
    images: Annotated[
        str, typer.Option(help="The folder of the images, or paths: scans/{name}_t1.")
    ] = "",
    masks: Annotated[str, typer.Option(help="The folder of the masks, or their paths.")] = "",
    classes: Annotated[
        str, typer.Option(help="Names in the order of the values in the masks: sky,road,tree.")
    ] = "",
    values: Annotated[
        str, typer.Option(help="What each value or colour is: 0=sky,7=road or #ff0000=tumour.")
    ] = "",
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Other colours count as the nearest of --values.")
    ] = False,
    threshold: Annotated[
        int | None,
        typer.Option(min=1, help="Two classes: values from here on are the second. 1: not 0."),
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="The class that no score counts, or none.")
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Value or #rrggbb in the masks that takes part in nothing.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help="What stays in one split: a regular expression on the names,"
            " '(?P<group>.+)_(?P<order>\\d+)', a column of the list, folder or none."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="given: that of the source; new: maskmill's own.")
    ] = "",
    bands: Annotated[str, typer.Option(help="Bands of TIFFs, from 1: 4,3,2.")] = "",
    value_range: Annotated[
        str, typer.Option("--range", help="LOW,HIGH of 16-bit and float images.")
    ] = "",
    keep_unlabelled: Annotated[
        bool,
        typer.Option("--keep-unlabelled", help="An image without a mask is background alone."),
    ] = False,
    title: Annotated[str | None, typer.Option(help="Name of the data in the report.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model in the registry.")] = None,
    link: Annotated[bool, typer.Option("--link", help="Hard links instead of copies.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put other files in data/source aside.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Add new files, and corrected ones, to those there.")
    ] = False,
) -> None:
    """Recognise images and masks, guess what they mean, and put them under DVC.

    Their meaning is written to params.yaml and data/source.yaml; reports/import.html shows it.
    """
    from maskmill.cli import options
    from maskmill.importing import command
    from maskmill.importing.plan import Wishes
    from maskmill.report import import_page

    repository.check_git()  # before anything is written
    wishes = Wishes(
        classes=tuple(part.strip() for part in classes.split(",")) if classes else (),
        background=background,
        ignore=options.stored_value(ignore) if ignore is not None else None,
        groups=groups,
        title=title,
        name=name,
        kind=kind,
        images=images,
        masks=masks,
        values=options.table_of_values(values),
        threshold=threshold,
        nearest=nearest,
        split=options.one_of("--split", split, ("given", "new")),
        bands=options.whole_numbers("--bands", bands),
        value_range=options.value_range(value_range),
        keep_unlabelled=keep_unlabelled,
    )
    command.import_folder(
        folder,
        wishes,
        link=link,
        replace=replace,
        update=update,
        dry_run=dry_run,
        draw=import_page.write,
        command=command.repeated_command(sys.argv[3:]),
    )


@app.command()
def up() -> None:
    """Start MLflow, Prefect and its worker where they do not run yet."""
    from maskmill.services.status import describe_addresses
    from maskmill.services.up import start_services as start

    params, root = config.load(), Path.cwd()
    start(params, root)
    print(describe_addresses(params, root))
    print("see how they are: maskmill status; stop them: maskmill down")


@app.command()
def down() -> None:
    """Stop the servers and the worker, and what the worker runs."""
    from maskmill.services import status as services

    services.stop_services(config.load(), Path.cwd())


@app.command()
def status() -> None:
    """Say which services run; exit with 3 where not all do."""
    from maskmill.services import status as services

    if not services.print_status(config.load(), Path.cwd()):
        raise typer.Exit(_NOT_ALL_UP)


@app.command()
def ui() -> None:
    """Print the addresses of the servers' pages."""
    from maskmill.services.status import describe_addresses

    print(describe_addresses(config.load(), Path.cwd()))


def main() -> None:
    """Run the command of the command line. Raises: SystemExit with its status."""
    log_to_stdout()
    try:
        with files.full_disk_in_words():
            app()
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
