"""What people do to the champion: choose another, go back, say yes where the gate waits.

Each says in the ledger who did it and why. None of them reads the data or scores anything.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from maskmill.system.errors import MaskmillError
from maskmill.tracking import champions, ledger, package, registry
from maskmill.tracking.champions import Standing
from maskmill.tracking.ledger import Draft, Entry, Record
from maskmill.tracking.stores import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def promote(store: Store, number: int, why: str) -> Entry:
    """Make a version the champion whatever the gate said of it.

    Raises: MaskmillError for no such version, one whose files are damaged, or the champion itself.
    """
    version, why = _whole_version(store, number), ledger.one_line(why)

    def decide(standing: Standing) -> Draft:
        _check_not_champion(store, standing, number)
        verdict = last_verdict(standing.record, number)
        return _draft(ledger.CHOSEN, version, why, after=number, verdict=verdict)

    return _entered(champions.enter(store, decide))


def roll_back(store: Store, to: int | None, why: str) -> Entry:
    """Make the champion of before the champion again, or an earlier one by its number.

    The version that is left does not become champion again by the gate alone.
    Raises: MaskmillError where no earlier champion is left, or another change came in between.
    """
    seen = champions.look(store, ledger.Ledger(store)).record.champion
    why = ledger.one_line(why)

    def decide(standing: Standing) -> Draft:
        if standing.record.champion != seen:
            raise MaskmillError(
                f"version {standing.record.champion} has become champion meanwhile; look at "
                "`maskmill history`, and say it again if you still want it"
            )
        number = _earlier(store, standing, to)
        version = _whole_version(store, number)
        return _draft(ledger.ROLLED_BACK, version, why, after=number)

    return _entered(champions.enter(store, decide))


def challenge(store: Store, number: int, why: str) -> Entry:
    """Put a version forward: it gets the alias `challenger`. Raises: MaskmillError as `promote`."""
    version, why = _whole_version(store, number), ledger.one_line(why)

    def decide(standing: Standing) -> Draft:
        _check_not_champion(store, standing, number)
        return _draft(ledger.CHALLENGED, version, why, after=standing.record.champion)

    entry = _entered(champions.enter(store, decide))
    registry.point_alias(store, registry.CHALLENGER, number)
    return entry


def approve(store: Store, number: int | None, why: str) -> Entry:
    """Say yes to the version that the gate let pass and that waits (`gate.approval`).

    Raises: MaskmillError where none waits; also where another became champion since it passed.
    """
    why = ledger.one_line(why)

    def decide(standing: Standing) -> Draft:
        asked = waiting_entry(standing.record)
        if asked is None or number not in (None, asked.version):
            raise MaskmillError(_none_waits(store, number, asked))
        if standing.lost:
            raise MaskmillError(
                f"version {asked.version} passed the gate against version {standing.lost}, which "
                f"was deleted since; `maskmill promote {asked.version} --why ..` takes it all the "
                "same"
            )
        version = _whole_version(store, asked.version)
        return _draft(ledger.APPROVED, version, why, after=asked.version, verdict=asked.verdict)

    return _entered(champions.enter(store, decide))


def waiting_entry(record: Record) -> Entry | None:
    """The entry of the version that waits for approval, where nothing followed it."""
    gate = (ledger.WAITING, ledger.REFUSED, ledger.PROMOTED)
    for entry in reversed(record.entries):
        if entry.moves or entry.action == ledger.FOUND:
            return None
        if entry.action in gate:
            return entry if entry.action == ledger.WAITING else None
    return None


def withdrawn(record: Record) -> dict[int, Entry]:
    """The versions that somebody went back from, with the entry that says so, and left there."""
    left: dict[int, Entry] = {}
    for entry in record.entries:
        if entry.action == ledger.ROLLED_BACK and entry.before is not None:
            left[entry.before] = entry
        if entry.before != entry.after and entry.after is not None:
            left.pop(entry.after, None)
    return left


def last_verdict(record: Record, number: int) -> Mapping[str, Any] | None:
    """What the gate last said of a version."""
    said = [entry.verdict for entry in record.entries if entry.version == number and entry.verdict]
    return said[-1] if said else None


def _earlier(store: Store, standing: Standing, to: int | None) -> int:
    """The champion to go back to: the one before, without those that were left or deleted."""
    now, left = standing.record.champion, withdrawn(standing.record)
    moves = [e for e in reversed(standing.record.entries) if e.before != e.after]
    been = dict.fromkeys(n for e in moves for n in (e.after, e.before) if n not in (None, now))
    there = [number for number in been if number and registry.is_registered(store, number)]
    if to is None:
        earlier = [number for number in there if number not in left]
        if earlier:
            return earlier[0]
        raise MaskmillError(
            f"{store.model}: no champion from before {_said(now)} is left to go back to; "
            "`maskmill history` says what there was, `maskmill promote VERSION --why ..` takes any"
        )
    if to in there:
        return to
    raise MaskmillError(
        f"rollback --to {to}: allowed are champions of before, {there or 'of which there is none'};"
        f" `maskmill promote {to} --why ..` takes any version"
    )


def _whole_version(store: Store, number: int) -> "ModelVersion":
    version = registry.find_version(store, store.model, number=str(number))
    package.check_files(version)
    return version


def _check_not_champion(store: Store, standing: Standing, number: int) -> None:
    if standing.record.champion == number and not standing.lost:
        raise MaskmillError(f"{store.model} version {number} is the champion already")


def _draft(
    action: str, version: "ModelVersion", why: str, *, after: int | None,
    verdict: Mapping[str, Any] | None = None,
) -> Draft:  # fmt: skip
    weights, test = (version.tags.get(tag, "") for tag in (registry.SHA256, registry.TEST_DIGEST))
    who = champions.this_person()
    return Draft(action, int(version.version), after, why, who, weights, test, verdict)


def _none_waits(store: Store, number: int | None, asked: Entry | None) -> str:
    if asked is not None:
        return f"version {number} does not wait for approval; version {asked.version} does"
    which = "no version waits" if number is None else f"version {number} does not wait"
    return (
        f"{store.model}: {which} for approval; with gate.approval: true in params.yaml a version "
        "that passes the gate does, until another becomes champion: then it has to pass anew "
        "(`dvc repro --force register`)"
    )


def _said(number: int | None) -> str:
    return "no champion" if number is None else f"version {number}"


def _entered(entry: Entry | None) -> Entry:
    assert entry is not None
    return entry
