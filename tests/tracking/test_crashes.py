"""Whatever a promotion is killed in, the next command finds the old or the new champion."""

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.tracking import champions, interventions, ledger, stores
from maskmill.tracking.ledger import Ledger
from tests.tracking.conftest import ROOT
from tests.tracking.versions import GATE, Killed, champion, dying, gate, put

Change = Callable[[stores.Store], object]


@pytest.fixture(autouse=True, scope="module")
def _no_waiting():
    """The process that was killed in a test is that of the test, and lives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(champions, "_LOOK_AGAIN_S", 0.0)
        patch.setattr(champions, "_PATIENCE_S", 0.0)
        yield


def killed_at_every_step(store: stores.Store, change: Change, undo: Change) -> int:
    """Hold the promise for a change killed before each of its writes; gives how many they are."""
    step = 0
    while True:
        old = champions.read_standing(store, Ledger(store)).record.champion
        try:
            change(dying(store, step))
        except Killed:
            pass
        else:
            return step
        standing = champions.read_standing(store, Ledger(store))
        told = standing.record.champion
        assert champion(store) == told, f"killed before write {step}"
        assert standing.record.settled
        assert standing.record.broken == ()
        if told == old:
            change(store)  # the same command once more
        new = champion(store)
        assert new != old
        undo(store)
        step += 1


def test_a_promotion_by_a_person(store: stores.Store):
    first, second = put(store, 0.8), put(store, 0.9)
    interventions.promote(store, first, "start")
    steps = killed_at_every_step(
        store,
        lambda s: interventions.promote(s, second, "better"),
        lambda s: interventions.promote(s, first, "undo"),
    )
    assert steps == 3  # the entry, the alias, the note that the alias is there


def test_a_promotion_by_the_gate_and_a_rollback(store: stores.Store):
    first = put(store, 0.8)
    gate(store, first)

    def promote(given: stores.Store) -> None:
        assert gate(given, put(store, 0.81)).outcome == "promoted"

    def roll_back(given: stores.Store) -> None:
        interventions.roll_back(given, first, "undo")

    assert killed_at_every_step(store, promote, roll_back) == 4  # the alias challenger, too
    second = champion(store)
    assert second != first

    def again(given: stores.Store) -> None:
        interventions.promote(given, second, "once more")

    assert killed_at_every_step(store, roll_back, again) == 3


def test_an_approval(store: stores.Store):
    first = put(store, 0.8)
    gate(store, first)
    gate(store, put(store, 0.85), approval=True)

    def ask(given: stores.Store) -> None:
        interventions.promote(given, first, "undo")
        gate(given, put(store, 0.85), approval=True)

    def approve(given: stores.Store) -> None:
        interventions.approve(given, None, "yes")

    assert killed_at_every_step(store, approve, ask) == 3


def test_the_very_first_promotion_with_which_the_ledger_begins(store: stores.Store):
    number = put(store, 0.8)
    for step in range(5):  # an experiment with a run, then its name, then the entry
        with pytest.raises(Killed):
            interventions.promote(dying(store, step), number, "start")
        standing = champions.read_standing(store, Ledger(store))
        assert champion(store) == standing.record.champion is None
    interventions.promote(store, number, "start")
    assert champion(store) == number
    named = [e for e in store.client.search_experiments() if e.name == f"{store.model} ledger"]
    assert len(named) == 1


def test_a_version_deleted_between_entry_and_alias_leaves_the_old_champion(store: stores.Store):
    first, second = put(store, 0.8), put(store, 0.9)
    gate(store, first)
    with pytest.raises(Killed):
        interventions.promote(dying(store, 1), second, "better")
    store.client.delete_model_version(store.model, str(second))
    standing = champions.read_standing(store, Ledger(store))
    assert champion(store) == standing.record.champion == first


class Registry(RuleBasedStateMachine):
    """Register, gate, promote, approve, roll back, delete, move by hand, and die in any of it."""

    empty: Path
    root: Path

    @initialize()
    def open_store(self) -> None:
        root = Path(tempfile.mkdtemp(dir=self.root))  # MLflow keeps a database of a path open
        (root / ".maskmill/mlflow").mkdir(parents=True)
        shutil.copy2(self.empty, root / ".maskmill/mlflow/mlflow.db")
        params = config.load(ROOT / "params.yaml")
        self.store = stores.connect_store(params.tracking, params.paths, root)
        self.scores: dict[int, float] = {}
        self.deleted: set[int] = set()
        self.before: tuple[ledger.Entry, ...] = ()

    def change(self, left: int, what: Change) -> None:
        """Do it in a process that dies before write number `left`; a refusal is an answer."""
        with contextlib.suppress(Killed, MaskmillError):
            what(dying(self.store, left))

    def version(self, place: int) -> int:
        return sorted(self.scores)[place % len(self.scores)]

    @rule(score=st.sampled_from([0.4, 0.6, 0.605, 0.7, 0.8]))
    def register(self, score: float) -> None:
        self.scores[put(self.store, score)] = score

    @precondition(lambda self: self.scores)
    @rule(place=st.integers(0, 9), approval=st.booleans(), ignore=st.booleans(),
          left=st.integers(0, 8))  # fmt: skip
    def judge(self, place: int, approval: bool, ignore: bool, left: int) -> None:
        number = self.version(place)
        if number not in self.deleted:
            policy = "ignore" if ignore else "refuse"
            self.change(left, lambda s: gate(s, number, approval=approval, deleted_champion=policy))

    @precondition(lambda self: self.scores)
    @rule(place=st.integers(0, 9), left=st.integers(0, 8))
    def promote(self, place: int, left: int) -> None:
        self.change(left, lambda s: interventions.promote(s, self.version(place), "by hand"))

    @rule(left=st.integers(0, 8))
    def approve(self, left: int) -> None:
        self.change(left, lambda s: interventions.approve(s, None, "yes"))

    @rule(left=st.integers(0, 8))
    def roll_back(self, left: int) -> None:
        self.change(left, lambda s: interventions.roll_back(s, None, "no"))

    @precondition(lambda self: set(self.scores) - self.deleted)
    @rule(place=st.integers(0, 9))
    def delete(self, place: int) -> None:
        there = sorted(set(self.scores) - self.deleted)
        number = there[place % len(there)]
        self.store.client.delete_model_version(self.store.model, str(number))
        self.deleted.add(number)

    @precondition(lambda self: set(self.scores) - self.deleted)
    @rule(place=st.integers(0, 9))
    def move_by_hand(self, place: int) -> None:
        there = sorted(set(self.scores) - self.deleted)
        number = there[place % len(there)]
        self.store.client.set_registered_model_alias(self.store.model, "champion", str(number))

    @invariant()
    def ledger_and_alias_agree(self) -> None:
        if not hasattr(self, "store"):
            return
        standing = champions.read_standing(self.store, Ledger(self.store))
        record, entries = standing.record, standing.record.entries
        assert record.settled
        assert record.broken == ()
        assert entries[: len(self.before)] == self.before, "what is written stays"
        if standing.lost is None:
            assert champion(self.store) == record.champion
            assert record.champion not in self.deleted
        else:
            assert champion(self.store) is None
            assert standing.lost in self.deleted
        for entry in entries[len(self.before) :]:
            self.check_entry(entry)
        self.before = entries

    def check_entry(self, entry: ledger.Entry) -> None:
        """What the gate promoted was good enough, and better than the champion of then."""
        if entry.action not in ("promoted", "waiting"):
            return
        score = self.scores[entry.version]
        assert score >= GATE.minimum["dice_foreground"]
        if entry.before is not None and entry.before not in self.deleted:
            assert score >= self.scores[entry.before] - GATE.max_drop
        left = interventions.withdrawn(
            dataclasses.replace(
                champions.look(self.store, Ledger(self.store)).record,
                entries=tuple(e for e in self.before if e.number < entry.number),
            )
        )
        assert entry.version not in left


@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=pytest.mark.slow)])
def test_any_sequence_of_changes_and_kills(empty_store: Path, tmp_path: Path, examples: int):
    from hypothesis.stateful import run_state_machine_as_test

    Registry.empty, Registry.root = empty_store, tmp_path
    run_state_machine_as_test(
        Registry,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, derandomize=True,
            database=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],  # to make a failure shorter takes minutes
        ),
    )  # fmt: skip
