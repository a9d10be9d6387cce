"""Who is champion: the ledger decides, and the alias `champion` follows it.

A move of the champion is an entry of the ledger first, and the alias second. Killed in between, the
next command does what is left. What MLflow cannot promise: it moves an alias without looking where
it was. So a process that the ledger let through, and that then slept for longer than others wait
for it, may set the alias to a version that has been replaced since. It looks at the ledger once
more after each move, and mends that itself.
"""

import getpass
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maskmill.system.errors import MaskmillError
from maskmill.tracking import ledger, registry
from maskmill.tracking.ledger import Draft, Entry, Ledger, Record, TakenError
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

_PATIENCE_S = 20.0  # for a process, perhaps on another machine, to move the alias as its entry says
_LOOK_AGAIN_S = 1.0  # before an alias that is not where the ledger says is taken for moved by hand
_POLL_S = 0.2
_TRIES = 100  # entries of others that come in between


@dataclass(frozen=True)
class Standing:
    """Who is champion by ledger and registry; `lost` is a champion that the registry lacks."""

    record: Record
    champion: "ModelVersion | None"
    lost: int | None = None


def read_standing(store: Store, book: Ledger) -> Standing:
    """Who is champion, once ledger and registry agree.

    What a crash left undone is done; an alias that was moved by other means is entered.
    """
    for _ in range(_TRIES):
        record = book.read()
        if not record.settled:
            _settle(store, book, record)
            continue
        standing = _agreed(store, record)
        if standing is None:
            time.sleep(_LOOK_AGAIN_S)
            if book.read() == record and (standing := _agreed(store, record)) is None:
                with suppress(TakenError):
                    book.append(record, _found(store, record))
                continue
        if standing is not None:
            return standing
    raise MaskmillError(f"the champion of {store.model} does not come to rest; try again")


def look(store: Store, book: Ledger) -> Standing:
    """Who is champion, without a change to ledger or registry."""
    record = book.read()
    return _agreed(store, record) or Standing(record, registry.champion(store))


def in_words(store: Store, standing: Standing) -> list[str]:
    """Who is champion now, and what is amiss with ledger or registry."""
    record, champion = standing.record, standing.champion
    lines = [f"{store.model}: champion is {_version(champion and int(champion.version))}"]
    if standing.lost:
        lines.append(
            f"warning: version {standing.lost} was champion and was deleted from the registry; "
            "`maskmill rollback` goes back to the one before it"
        )
    elif not record.settled:
        lines.append(
            f"entry {record.entries[-1].number} is not carried out: the alias moves to version "
            f"{record.champion} now, or with the next command that changes something"
        )
    elif (champion and int(champion.version)) != record.champion:
        lines.append(
            f"the ledger says {_version(record.champion)}: the alias was moved by other means, "
            "which the next change enters"
        )
    if record.broken:
        lines.append(
            f"warning: entries {list(record.broken)} do not follow from the ones before them: "
            "somebody changed the database by hand; compare with a backup"
        )
    return lines


def enter(store: Store, decide: Callable[[Standing], Draft | None]) -> Entry | None:
    """Enter what `decide` drafts from the standing, and move the alias where it says so.

    `decide` is asked again where another entry came in between; None: there is nothing to enter.
    Raises: MaskmillError inside an experiment of DVC, whose results are not those of the line.
    """
    check_no_experiment()
    book = Ledger(store)
    with store.lock():
        for _ in range(_TRIES):
            standing = read_standing(store, book)
            draft = decide(standing)
            if draft is None:
                return None
            with suppress(TakenError):
                entry = book.append(standing.record, draft)
                if entry.moves:
                    _align(store, book)
                return entry
    raise MaskmillError(f"others keep writing to the ledger of {store.model}; try again")


def check_no_experiment() -> None:
    """Raises: MaskmillError inside `dvc exp run`."""
    if in_experiment():
        raise MaskmillError(
            "inside an experiment (dvc exp run) no champion changes; take it over first "
            "(`dvc exp apply NAME`), and promote from the workspace"
        )


def in_experiment() -> bool:
    """Whether this is a stage of `dvc exp run`."""
    return "DVC_EXP_NAME" in os.environ


def this_person() -> str:
    """Who runs this process: user@machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        user = f"user {os.getuid()}"
    return f"{user}@{platform.node()}"


def _version(number: int | None) -> str:
    return "none yet" if number is None else f"version {number}"


def _agreed(store: Store, record: Record) -> Standing | None:
    """The standing where the alias is where the ledger says, or its version was deleted."""
    champion = registry.champion(store)
    if (int(champion.version) if champion else None) == record.champion:
        return Standing(record, champion)
    lost = record.champion
    if champion is None and lost is not None and not registry.is_registered(store, lost):
        return Standing(record, None, lost)
    return None


def _found(store: Store, record: Record) -> Draft:
    champion = registry.champion(store)
    now = int(champion.version) if champion else None
    why = "the alias was moved" if record.entries else "it was champion before the ledger began"
    if now is None:
        why = "the alias was taken off"
    version = record.champion if now is None else now
    assert version is not None
    weights = champion.tags.get(registry.SHA256, "") if champion else ""
    return Draft(ledger.FOUND, version, now, f"{why}; not by maskmill", "unknown", weights)


def _settle(store: Store, book: Ledger, record: Record) -> None:
    """Wait for the process that is to move the alias; where it is gone, or too slow, move it."""
    deadline = time.monotonic() + _PATIENCE_S
    while not record.entries[-1].owner.gone and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        if (now := book.read()).settled or len(now.entries) > len(record.entries):
            return
    _align(store, book)


def _align(store: Store, book: Ledger) -> None:
    """Move the alias to where the newest entry says; again, where a newer one came meanwhile."""
    while True:
        entry = book.read().entries[-1]
        if entry.after is None:  # somebody took the alias off by hand
            return
        registry.point_alias(store, registry.CHAMPION, entry.after)
        newest = book.read().entries[-1]
        if newest.after == entry.after:
            book.settle(newest.number)
            return
