"""The ledger takes each entry once, from whoever comes first, and nobody changes it unnoticed."""

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.tracking import ledger, stores
from maskmill.tracking.ledger import CHOSEN, REFUSED, Draft, Ledger, TakenError

FORK = multiprocessing.get_context("fork")


def draft(after: int | None, action: str = CHOSEN, version: int = 1, why: str = "it is better"):
    return Draft(action, version, after, why, "ann@mill", "ab" * 32, "test-1")


def test_entries_are_read_as_they_were_written_and_in_their_order(store: stores.Store):
    book = Ledger(store)
    assert book.read() == ledger.Record((), True, "")
    for number in range(1, 13):
        book.append(book.read(), draft(number, version=number))
    entries = Ledger(store).read().entries
    assert [entry.number for entry in entries] == list(range(1, 13))
    assert [(entry.before, entry.after) for entry in entries[:2]] == [(None, 1), (1, 2)]
    assert (entries[0].who, entries[0].why) == ("ann@mill", "it is better")
    assert entries[0].weights_sha256 == "ab" * 32


def test_of_two_that_decide_by_one_standing_the_second_is_refused(store: stores.Store):
    first, second = Ledger(store), Ledger(store)
    seen = first.read()
    first.append(seen, draft(1))
    with pytest.raises(TakenError, match="written meanwhile"):
        second.append(seen, draft(2))
    assert Ledger(store).read().champion == 1


def test_an_entry_that_moves_the_champion_waits_for_the_alias(store: stores.Store):
    book = Ledger(store)
    entry = book.append(book.read(), draft(1))
    assert not book.read().settled
    book.settle(entry.number)
    assert book.read().settled
    book.append(book.read(), draft(1, REFUSED, version=2))
    assert book.read().settled


def begin(params: config.Params, root: Path, number: int) -> None:
    store = stores.connect_store(params.tracking, params.paths, root)
    book = Ledger(store)
    while True:
        try:
            book.append(book.read(), draft(number, version=number))
        except TakenError:
            continue
        return


def test_several_that_begin_it_at_once_write_into_one(
    store: stores.Store, params: config.Params, tmp_path: Path
):
    writers = [FORK.Process(target=begin, args=(params, tmp_path, n)) for n in (1, 2, 3, 4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    record = Ledger(store).read()
    assert sorted(entry.version for entry in record.entries) == [1, 2, 3, 4]
    assert record.broken == ()
    names = [e.name for e in store.client.search_experiments() if "ledger" in e.name]
    assert names == [f"{store.model} ledger"]


def test_an_entry_that_was_changed_in_the_database_is_noticed(store: stores.Store):
    book = Ledger(store)
    for number in (1, 2, 3):
        book.append(book.read(), draft(number, version=number))
    with closing(sqlite3.connect(stores.database_of(store.uri))) as database, database:
        database.execute("UPDATE params SET value = replace(value, 'ann', 'eve') WHERE key='0002'")
    assert Ledger(store).read().broken == (3,)


def test_one_that_was_deleted_on_mlflows_page_comes_back(store: stores.Store):
    book = Ledger(store)
    book.append(book.read(), draft(1))
    experiment = store.client.get_experiment_by_name(f"{store.model} ledger")
    store.client.delete_experiment(experiment.experiment_id)
    assert Ledger(store).read().champion == 1


def test_a_long_verdict_keeps_the_checks_that_failed(store: stores.Store):
    names = [f"no class is worse: {name}" for name in range(200)]
    checks = [{"name": name, "value": 0.5, "passed": name != names[7]} for name in names]
    verdict = {"outcome": "refused", "reason": "worse " * 2000, "checks": checks}
    book = Ledger(store)
    book.append(book.read(), Draft(REFUSED, 1, None, "worse " * 2000, "gate", verdict=verdict))
    kept = Ledger(store).read().entries[0]
    assert kept.verdict["cut"]
    assert len(kept.why) > 100
    short = {"outcome": "refused", "reason": "worse", "checks": checks}
    book.append(book.read(), Draft(REFUSED, 1, None, "worse", "gate", verdict=short))
    assert [c["name"] for c in Ledger(store).read().entries[1].verdict["checks"]] == [names[7]]


@pytest.mark.parametrize("why", ["", " \n ", "x" * 1001])
def test_a_reason_is_some_words(why: str):
    with pytest.raises(MaskmillError, match=r"--why: got \d+ characters; .* 1 to 1,000"):
        ledger.one_line(why)


def test_a_reason_is_one_line_without_control_characters():
    assert ledger.one_line(" better\n on\x1b[31m bars ") == "better on [31m bars"
