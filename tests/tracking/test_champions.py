"""Who becomes champion, by the gate and by people, and what the ledger says of it."""

import dataclasses

import pytest

from maskmill.system.errors import MaskmillError
from maskmill.tracking import champions, interventions, ledger, registry, stores
from maskmill.tracking.ledger import Ledger
from tests.tracking.versions import champion, gate, put, weights_of


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(champions, "_LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr(champions, "_PATIENCE_S", 0.0)


def actions(store: stores.Store) -> list[tuple[str, int, int | None]]:
    entries = Ledger(store).read().entries
    return [(entry.action, entry.version, entry.after) for entry in entries]


def test_each_verdict_is_one_entry_however_often_it_is_said(store: stores.Store):
    good, bad = put(store, 0.8), put(store, 0.6)
    for number in (good, good, bad, bad):
        gate(store, number)
    assert actions(store) == [("promoted", good, good), ("refused", bad, good)]
    entry = Ledger(store).read().entries[1]
    assert entry.who == f"gate, {champions.this_person()}"
    assert [check["passed"] for check in entry.verdict["checks"]] == [True, False]
    assert (entry.test_digest, len(entry.weights_sha256)) == ("test-1", 64)


def test_a_person_may_promote_what_the_gate_refused(store: stores.Store):
    good, bad = put(store, 0.8), put(store, 0.6)
    gate(store, good)
    gate(store, bad)
    entry = interventions.promote(store, bad, "the test set has errors")
    assert champion(store) == bad
    assert (entry.action, entry.before, entry.after) == ("chosen", good, bad)
    assert (entry.why, entry.verdict["outcome"]) == ("the test set has errors", "refused")
    with pytest.raises(MaskmillError, match=f"version {bad} is the champion already"):
        interventions.promote(store, bad, "again")


def test_rollback_goes_back_one_champion_after_the_other(store: stores.Store):
    versions = [put(store, score) for score in (0.7, 0.8, 0.9)]
    for number in versions:
        gate(store, number)
    assert interventions.roll_back(store, None, "streaks").after == versions[1]
    assert interventions.roll_back(store, None, "streaks").after == versions[0]
    with pytest.raises(MaskmillError, match=r"no champion from before version 1 is left"):
        interventions.roll_back(store, None, "streaks")
    assert champion(store) == versions[0]


def test_rollback_takes_a_champion_by_its_number_and_no_other_version(store: stores.Store):
    first, second, third, never = (put(store, score) for score in (0.7, 0.8, 0.9, 0.4))
    for number in (first, second, third, never):
        gate(store, number)
    with pytest.raises(MaskmillError, match=r"rollback --to 4: allowed are .*\[2, 1\]"):
        interventions.roll_back(store, never, "x")
    assert interventions.roll_back(store, first, "x").after == first
    assert champion(store) == first


def test_what_was_rolled_back_from_is_not_promoted_by_the_gate_again(store: stores.Store):
    first, second = put(store, 0.7), put(store, 0.9)
    gate(store, first)
    gate(store, second)
    interventions.roll_back(store, None, "it paints the sky")
    verdict = gate(store, second)
    assert verdict.outcome == "refused"
    assert "went back to version 1: it paints the sky; `maskmill promote 2" in verdict.reason
    interventions.promote(store, second, "the sky was ours")
    interventions.promote(store, first, "no, it was not")
    assert gate(store, second).outcome == "promoted"  # left by a promotion, not rolled back from


def test_a_challenger_by_hand_gets_the_alias_and_the_champion_stays(store: stores.Store):
    first, second = put(store, 0.7), put(store, 0.9)
    gate(store, first)
    interventions.challenge(store, second, "for the new camera")
    assert registry.find_version(store, store.model, alias="challenger").version == second
    assert champion(store) == first
    assert actions(store)[-1] == ("challenged", second, first)


def test_with_approval_what_passes_waits_and_a_person_says_yes(store: stores.Store):
    first, second = put(store, 0.7), put(store, 0.9)
    verdict = gate(store, first, approval=True)
    assert (verdict.outcome, champion(store)) == ("waiting", None)
    assert verdict.reason.endswith("it waits for `maskmill approve 1 --why ..`")
    interventions.approve(store, None, "looked at the pictures")
    assert champion(store) == first
    gate(store, second, approval=True)
    with pytest.raises(MaskmillError, match=r"version 1 does not wait for approval; version 2"):
        interventions.approve(store, first, "x")
    entry = interventions.approve(store, second, "looked again")
    assert (champion(store), entry.action, entry.why) == (second, "approved", "looked again")
    assert entry.verdict["outcome"] == "waiting"
    with pytest.raises(MaskmillError, match=r"no version waits for approval; with gate.approval"):
        interventions.approve(store, None, "x")


def test_what_passed_against_a_champion_of_before_is_not_approved(store: stores.Store):
    first, second, third = (put(store, score) for score in (0.7, 0.75, 0.9))
    gate(store, first)
    gate(store, second, approval=True)
    gate(store, third)
    with pytest.raises(MaskmillError, match=r"version 2 does not wait for approval; .* pass anew"):
        interventions.approve(store, second, "x")
    assert champion(store) == third


def test_a_deleted_champion_is_noticed_and_nothing_is_promoted_in_its_place(store: stores.Store):
    first, second, third = (put(store, score) for score in (0.7, 0.8, 0.6))
    gate(store, first)
    gate(store, second)
    store.client.delete_model_version(store.model, str(second))
    verdict = gate(store, third)
    assert verdict.outcome == "refused"
    assert verdict.reason.startswith("the champion, version 2, was deleted from the registry")
    assert champion(store) is None
    standing = champions.look(store, Ledger(store))
    assert "version 2 was champion and was deleted" in champions.in_words(store, standing)[1]
    assert interventions.roll_back(store, None, "it is gone").after == first
    assert gate(store, third).outcome == "refused"  # compared with the first one again
    assert champion(store) == first


def test_a_setting_lets_the_minimum_scores_decide_where_the_champion_is_gone(store: stores.Store):
    first, second = put(store, 0.8), put(store, 0.6)
    gate(store, first)
    store.client.delete_model_version(store.model, str(first))
    assert gate(store, second, deleted_champion="ignore").outcome == "promoted"
    assert champion(store) == second


def test_an_alias_that_was_moved_by_hand_is_entered_and_counts(store: stores.Store):
    first, second, third = (put(store, score) for score in (0.7, 0.9, 0.8))
    gate(store, first)
    store.client.set_registered_model_alias(store.model, "champion", str(second))
    standing = champions.look(store, Ledger(store))
    assert "the ledger says version 1: the alias was moved" in standing_lines(store, standing)
    assert gate(store, third).outcome == "refused"  # it is worse than the one that serves
    assert actions(store)[1] == ("found", second, second)
    store.client.delete_registered_model_alias(store.model, "champion")
    assert gate(store, third).outcome == "promoted"
    assert actions(store)[3:] == [("found", second, None), ("promoted", third, third)]


def standing_lines(store: stores.Store, standing: champions.Standing) -> str:
    return "\n".join(champions.in_words(store, standing))


def test_the_champion_of_a_registry_without_a_ledger_is_its_first_entry(store: stores.Store):
    first, second = put(store, 0.8), put(store, 0.9)
    store.client.set_registered_model_alias(store.model, "champion", str(first))
    assert gate(store, second).outcome == "promoted"
    assert actions(store) == [("found", first, first), ("promoted", second, second)]
    assert interventions.roll_back(store, None, "x").after == first


def test_a_version_whose_files_are_gone_or_exchanged_never_becomes_champion(store: stores.Store):
    first, second = put(store, 0.7), put(store, 0.9)
    gate(store, first)
    gate(store, second)
    weights_of(store, first).write_bytes(b"other weights")
    with pytest.raises(MaskmillError, match=r"its tag weights_sha256 says"):
        interventions.roll_back(store, None, "x")
    weights_of(store, first).unlink()
    with pytest.raises(MaskmillError, match=r"models:/icbm152/1: its (weights|files)"):
        interventions.promote(store, first, "x")
    assert champion(store) == second


def test_nothing_moves_inside_an_experiment(store: stores.Store, monkeypatch: pytest.MonkeyPatch):
    first, second = put(store, 0.7), put(store, 0.9)
    gate(store, first)
    gate(store, second, approval=True)
    before = actions(store)
    monkeypatch.setenv("DVC_EXP_NAME", "tried-it")
    for move in (
        lambda: interventions.promote(store, second, "x"),
        lambda: interventions.approve(store, second, "x"),
        lambda: interventions.roll_back(store, None, "x"),
        lambda: interventions.challenge(store, second, "x"),
        lambda: gate(store, second),
    ):
        with pytest.raises(MaskmillError, match=r"inside an experiment \(dvc exp run\)"):
            move()
    assert (actions(store), champion(store)) == (before, first)


def test_two_that_roll_back_at_once_go_back_one_step(
    store: stores.Store, monkeypatch: pytest.MonkeyPatch
):
    for score in (0.7, 0.8, 0.9):
        gate(store, put(store, score))
    look = champions.look

    def meanwhile(*given):
        seen = look(*given)
        monkeypatch.setattr(champions, "look", look)
        interventions.roll_back(store, None, "I was first")
        return seen

    monkeypatch.setattr(champions, "look", meanwhile)
    with pytest.raises(MaskmillError, match="version 2 has become champion meanwhile"):
        interventions.roll_back(store, None, "so was I")
    assert champion(store) == 2


def test_who_is_champion_is_decided_by_the_ledger_and_not_by_who_is_slow(store: stores.Store):
    """A process that was let through and slept sets the alias too late, and mends it itself."""
    first, second = put(store, 0.7), put(store, 0.8)

    class Slow:
        """The other promotion comes between the entry of this one and its alias."""

        def __init__(self):
            self.slept = False

        def __getattr__(self, name):
            if name == "set_registered_model_alias" and not self.slept:
                self.slept = True
                interventions.promote(others, second, "meanwhile")
            return getattr(store.client, name)

    others = dataclasses.replace(store, state=store.state / "elsewhere", uri="http://a-server")
    slow = dataclasses.replace(others, client=Slow(), state=store.state / "here")
    interventions.promote(slow, first, "slow")
    assert champion(store) == Ledger(store).read().champion == second
    assert [action for action, *_ in actions(store)] == ["chosen", "chosen"]


def test_the_history_is_a_line_for_each_entry(store: stores.Store):
    gate(store, put(store, 0.8))
    gate(store, put(store, 0.6))
    lines = [ledger.in_words(entry) for entry in Ledger(store).read().entries]
    assert "version 1 promoted, champion none -> 1; gate, " in lines[0]
    assert "version 2 refused, champion stays 1; gate, " in lines[1]
    assert lines[1].endswith("-0.2000 is below -0.0100; version 1 stays champion")
