"""The commands for the champion: put a version in its place, go back, approve, look what was."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskmill.settings import config
from maskmill.system import files

if TYPE_CHECKING:
    from maskmill.tracking.ledger import Entry
    from maskmill.tracking.stores import Store

Version = Annotated[int, typer.Argument(min=1, help="The number of a registered version.")]
Why = Annotated[str, typer.Option(help="The reason, which the ledger keeps.")]
AsJson = Annotated[bool, typer.Option("--json", help="For other programs.")]


def promote(version: Version, why: Why) -> None:
    """Make a version the champion, whatever the gate said of it."""
    from maskmill.tracking import interventions

    with _connected() as store:
        _print_move(store, interventions.promote(store, version, why))


def rollback(
    to: Annotated[
        int | None, typer.Option(min=1, help="An earlier champion; the one before if not given.")
    ] = None,
    why: Why = "no reason given",
) -> None:
    """Go back to the champion of before; the gate alone does not promote the one that is left."""
    from maskmill.tracking import interventions

    with _connected() as store:
        _print_move(store, interventions.roll_back(store, to, why))


def approve(
    why: Why,
    version: Annotated[
        int | None, typer.Argument(min=1, help="The version that waits, to be sure of it.")
    ] = None,
) -> None:
    """Make the version champion that passed the gate and waits for a yes (gate.approval)."""
    from maskmill.tracking import interventions

    with _connected() as store:
        _print_move(store, interventions.approve(store, version, why))


def challenge(version: Version, why: Why = "no reason given") -> None:
    """Put a version forward: it gets the alias challenger, and the champion stays."""
    from maskmill.tracking import interventions

    with _connected() as store:
        entry = interventions.challenge(store, version, why)
        champion = f"version {entry.after}" if entry.after else "none yet"
        print(f"{store.model}: challenger is version {version}; champion: {champion}")


def history(as_json: AsJson = False) -> None:
    """Say which version was champion when, and who changed that why."""
    from maskmill.tracking import champions, ledger

    with _connected() as store:
        standing = champions.look(store, ledger.Ledger(store))
        entries = standing.record.entries
        if as_json:
            print(json.dumps([ledger.as_json(entry) for entry in entries], indent=2))
            return
        print("\n".join(ledger.in_words(entry) for entry in entries) or "nothing happened yet")
        print("\n".join(champions.in_words(store, standing)))


def trace(
    what: Annotated[
        str, typer.Argument(help="weights_sha256 of an answer, a version's number, models:/NAME@..")
    ],
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="A folder for the params.yaml and dvc.lock of the version.")
    ] = None,
) -> None:
    """Go from served weights or a version back to what made it, and on to what became of it."""
    from maskmill.tracking import ledger, package, tracing

    with _connected() as store:
        found = tracing.trace_version(store, what)
        if out is not None:
            for name, text in package.lineage_files(tracing.find_version(store, what)).items():
                files.write_text(out / name, text)
        if as_json:
            entries = [ledger.as_json(entry) for entry in found["ledger"]]
            print(json.dumps({**found, "ledger": entries}, indent=2))
            return
        print("\n".join(tracing.describe(found)))


def add_to(app: typer.Typer) -> None:
    """Give the app these commands."""
    for command in (promote, rollback, challenge, approve, history, trace):
        app.command()(command)


@contextlib.contextmanager
def _connected() -> "Iterator[Store]":
    """The store of params.yaml, with errors in words where it goes away."""
    from maskmill.tracking import stores

    params = config.load()
    store = stores.connect_store(params.tracking, params.paths)
    with stores.errors_in_words(store.uri):
        yield store


def _print_move(store: "Store", entry: "Entry") -> None:
    before = f"version {entry.before}" if entry.before else "there was none"
    print(f"{store.model}: champion is version {entry.after}, before: {before}; {entry.why}")
    print("a server that runs goes on with the version that it loaded: start it again")
