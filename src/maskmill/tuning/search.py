"""The search as Optuna keeps it, in one sqlite file; optuna is imported here alone.

A trial that was cut off by a kill is still unfinished in the file, and comes next. What is tried
next depends on the seed, the trial's number and the trials before it alone, so that a search that
was killed is the search that was not.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskmill.settings.config import Tune
from maskmill.settings.space import SearchAxis, SearchChoice

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.trial import FrozenTrial

DONE, CUT_SHORT, FAILED = "done", "cut short", "failed"
_VARIANT = "variant"
_STATES = {"COMPLETE": DONE, "PRUNED": CUT_SHORT, "FAIL": FAILED}


@dataclass(frozen=True)
class Tried:
    """A trial that has ended."""

    number: int
    choice: SearchChoice
    ending: str  # DONE, CUT_SHORT, FAILED
    score: float | None  # where it is done
    seconds: float
    scores: Mapping[int, float]  # step -> score


class Attempt:
    """A trial that is to be run."""

    def __init__(
        self, search: "TuningSearch", trial: "Trial", choice: SearchChoice, reported: set[int]
    ) -> None:
        self._search, self._trial, self._reported = search, trial, reported
        self.number, self.choice = int(trial.number), choice

    def report(self, step: int, score: float) -> bool:
        """Note a score on the validation split; whether to cut the trial short."""
        if step not in self._reported:  # before a kill
            self._trial.report(score, step)
        return bool(self._trial.should_prune())

    def end(self, ending: str, score: float | None = None) -> None:
        """Note how it ended: the file holds it before this returns."""
        from optuna.trial import TrialState

        state = next(name for name, value in _STATES.items() if value == ending)
        self._search.study.tell(self._trial, score, TrialState[state])


class TuningSearch:
    """Trials over `axes` and `variants`, kept in `folder`."""

    def __init__(
        self, folder: Path, tune: Tune, axes: Sequence[SearchAxis], variants: Sequence[str]
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self._tune, self._axes, self._variants = tune, axes, variants
        pruners = {
            "none": optuna.pruners.NopPruner(),
            "median": optuna.pruners.MedianPruner(n_startup_trials=tune.startup),
        }
        self.study = optuna.create_study(
            storage=optuna.storages.RDBStorage(f"sqlite:///{(folder / 'search.db').absolute()}"),
            study_name="maskmill", direction="maximize", pruner=pruners[tune.pruner],
            load_if_exists=True,
        )  # fmt: skip

    def next(self) -> Attempt | None:
        """The trial that was cut off, else a new one; None once `tune.trials` did not fail."""
        from optuna import Trial

        trials = self.study.get_trials(deepcopy=False)
        unfinished = [trial for trial in trials if not trial.state.is_finished()]
        failed = sum(trial.state.name == "FAIL" for trial in trials)
        if not unfinished and len(trials) - failed >= self._tune.trials:
            return None
        self.study.sampler = self._sampler(unfinished[0].number if unfinished else len(trials))
        trial = Trial(self.study, unfinished[0]._trial_id) if unfinished else self.study.ask()
        reported = set(unfinished[0].intermediate_values) if unfinished else set()
        return Attempt(self, trial, self._choose(trial), reported)

    def tried(self) -> list[Tried]:
        """Every trial that has ended, in order."""
        return [
            _as_tried(trial)
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state.is_finished()
        ]

    def same(self, choice: SearchChoice) -> Tried | None:
        """A finished trial of the same choice.

        Training is deterministic, so this one would end alike.
        """
        return next(
            (tried for tried in self.tried() if tried.ending == DONE and tried.choice == choice),
            None,
        )

    def _sampler(self, number: int) -> Any:
        import optuna

        seed = np.random.SeedSequence((self._tune.seed, number)).generate_state(1)[0]
        return optuna.samplers.TPESampler(seed=int(seed), n_startup_trials=self._tune.startup)

    def _choose(self, trial: "Trial") -> SearchChoice:
        """Optuna takes numbers and text as values: others stand for themselves as JSON."""
        variant = trial.suggest_categorical(_VARIANT, list(self._variants))
        settings: dict[str, Any] = {}
        for axis in self._axes:
            if not axis.belongs_to(variant):
                continue
            if axis.values:
                texts = [json.dumps(value) for value in axis.values]
                settings[axis.path] = json.loads(trial.suggest_categorical(axis.path, texts))
            elif isinstance(axis.low, int) and isinstance(axis.high, int):
                settings[axis.path] = trial.suggest_int(
                    axis.path, axis.low, axis.high, log=axis.log
                )
            else:
                settings[axis.path] = trial.suggest_float(
                    axis.path, axis.low, axis.high, log=axis.log
                )
        return SearchChoice(variant, settings)


def best_trial(tried: Sequence[Tried]) -> Tried | None:
    """The best of those that are done, the earlier of equals."""
    done = [one for one in tried if one.ending == DONE]
    return max(done, key=lambda one: (one.score, -one.number)) if done else None


def count_endings(tried: Sequence[Tried]) -> str:
    """How many ended how: 3 done, 1 failed."""
    counts = Counter(one.ending for one in tried)
    return (
        ", ".join(f"{counts[one]} {one}" for one in _STATES.values() if counts[one])
        or "no trial yet"
    )


def _as_tried(trial: "FrozenTrial") -> Tried:
    given = {
        path: json.loads(value) if isinstance(value, str) else value
        for path, value in trial.params.items()
        if path != _VARIANT
    }
    choice = SearchChoice(trial.params.get(_VARIANT, ""), given)
    score = (
        float(trial.value) if trial.state.name == "COMPLETE" and trial.value is not None else None
    )
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return Tried(
        trial.number,
        choice,
        _STATES[trial.state.name],
        score,
        seconds,
        dict(trial.intermediate_values),
    )
