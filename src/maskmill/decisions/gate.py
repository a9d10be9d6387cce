"""The gate: whether a challenger may take the champion's place, by the same test images.

It refuses on evidence of harm and promotes on evidence of a gain; where there are too few
independent units for evidence it says so, and point estimates decide. No MLflow: a verdict follows
from tables.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from scipy import special

from maskmill.decisions.verdict import PROMOTED, REFUSED, Basis, Check, Verdict
from maskmill.evaluation.cost import Cost
from maskmill.metrics import Metrics
from maskmill.settings.config import Gate, Intervals
from maskmill.statistics.intervals import paired_differences
from maskmill.statistics.paired import LEAST, Gain, holm, paired_gains
from maskmill.statistics.scores import Score
from maskmill.statistics.support import labels_of, true_pixels
from maskmill.statistics.units import ENOUGH
from maskmill.system.errors import few_of

_POWER = 0.8
_WORST = 3  # images that are shown
_SEEN, _LEAKY = "seen in training", "not clean"
_BUDGETS = (  # setting, field of Cost, what it counts
    ("max_ms_per_image", "ms_per_image", "ms per image"),
    ("max_parameters", "parameters", "parameters"),
    ("max_memory_mb", "memory_mb", "MB of memory"),
)


@dataclass(frozen=True)
class Contender:
    """A model, by what it did on the test images."""

    name: str
    statistics: pd.DataFrame  # id, and a column per number of the headline's statistic
    seen: (
        frozenset[str] | None
    )  # digests of the pixels it was trained and validated on; None: not known


@dataclass(frozen=True)
class TestImages:
    """What is known of the test images, all in one order."""

    ids: Sequence[str]
    pixels: Sequence[str]  # digest of the pixels of each
    clean: np.ndarray  # (N,) bool
    units: np.ndarray  # (N,) int
    independent: bool  # whether no unit is a part of a group
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)  # column -> (N,) its value


@dataclass(frozen=True)
class Rules:
    """What decides."""

    gate: Gate
    primary: str
    headline: Metrics  # makes `primary` of the statistics
    intervals: Intervals
    clean: bool = True  # only images count that do not leak
    looks: int = 1  # verdicts on these test images, this one among them

    @property
    def tail(self) -> float:
        """The share of cases in which the gain's lower bound may lie above the true gain."""
        alpha = (1 - self.intervals.confidence) / 2
        if self.gate.alpha_spending:  # over all looks together no more than alpha
            alpha *= 6 / (math.pi * self.looks) ** 2
        return alpha

    @property
    def class_scores(self) -> dict[str, str]:
        """Class -> the score of it that is of the primary metric's kind."""
        kind = next((k for k in ("iou", "precision", "recall") if k in self.primary), "dice")
        labels = labels_of(self.headline)
        return {labels.classes[i]: f"{kind}/{labels.classes[i]}" for i in labels.foreground}


def judge(
    challenger: Contender, champion: Contender | None, test: TestImages, rules: Rules,
    scores: Mapping[str, float], cost: Cost | None,
) -> Verdict:  # fmt: skip
    """Hold a challenger against minimum scores, budgets and, where there is one, the champion.

    `scores`: of the challenger on all test images, and `clean/..` where some leak.
    """
    checks = [*_scores_checks(scores, rules), *_budget_checks(cost, rules.gate)]
    basis = Basis("first", looks=rules.looks)
    problem = _none_is_clean(test, rules)
    if champion is not None and not problem:
        kept, left_out = _comparable(challenger, champion, test, rules)
        basis = replace(basis, left_out=left_out, images=int(kept.sum()))
        problem = _too_few_left(kept, left_out, test)
        if not problem:
            pair = _Pair(challenger, champion, test, kept, rules)
            compared, basis = pair.compare(basis)
            checks += compared
        if champion.seen is None:
            basis = replace(basis, caveats=[*basis.caveats, _unknown_training(champion)])
    basis = replace(basis, caveats=[*basis.caveats, *_looks_in_words(rules)])
    reasons = [*([problem] if problem else []), *(c.in_words() for c in checks if not c.passed)]
    if reasons:
        return Verdict(REFUSED, "; ".join(reasons), reasons, checks, basis)
    return Verdict(PROMOTED, _passed_in_words(checks, basis), [], checks, basis)


def _none_is_clean(test: TestImages, rules: Rules) -> str:
    """That no test image may decide, in words; "" where one may."""
    if not rules.clean or test.clean.any():
        return ""
    return (
        f"all {len(test.ids)} test images leak (splits.allow_leaks), so that no score of them "
        "tells how the model does on others; bring test images that nothing ties to training, or "
        "let all decide: evaluation.clean: false in params.yaml"
    )


def _scores_checks(scores: Mapping[str, float], rules: Rules) -> Iterator[Check]:
    """Minimum and maximum of the challenger's own scores, of the clean part where some leak."""
    leaks = rules.clean and any(name.startswith("clean/") for name in scores)
    for name, least in ({rules.primary: 0.0} | rules.gate.minimum).items():
        used = f"clean/{name}" if leaks else name
        yield Check.at_least(f"minimum {used}", scores.get(used, math.nan), least)
    for name, most in rules.gate.maximum.items():
        used = f"clean/{name}" if leaks else name
        yield Check.at_most(f"maximum {used}", scores.get(used, math.nan), most)


def _budget_checks(cost: Cost | None, gate: Gate) -> Iterator[Check]:
    known = {} if cost is None else asdict(cost)
    for setting, name, counted in _BUDGETS:
        most = getattr(gate, setting)
        if most is not None:
            yield Check.at_most(f"{counted} (gate.{setting})", known.get(name, math.nan), most)


def _comparable(
    challenger: Contender, champion: Contender, test: TestImages, rules: Rules
) -> tuple[np.ndarray, dict[str, int]]:
    """(N,) bool: the images that neither was trained or validated on, and how many are left out."""
    seen = (challenger.seen or frozenset()) | (champion.seen or frozenset())
    known = np.array([digest in seen for digest in test.pixels], dtype=bool)
    leaky = ~test.clean & ~known if rules.clean else np.zeros(len(known), dtype=bool)
    counted = {_SEEN: int(known.sum()), _LEAKY: int(leaky.sum())}
    return ~known & ~leaky, {why: n for why, n in counted.items() if n}


def _too_few_left(kept: np.ndarray, left_out: Mapping[str, int], test: TestImages) -> str:
    """Why no comparison can be made, where so much was left out; "" where one can."""
    units = len(np.unique(test.units[kept]))
    if units >= LEAST or not left_out:
        return ""
    why = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
    return (
        f"{kept.sum()} of {len(kept)} test images are left to compare by ({why}), in {units} "
        "units; "
        f"at least {LEAST} units are needed: bring test images that neither model has seen"
    )


class _Pair:
    """Two models on the images that both may be judged by."""

    def __init__(
        self, challenger: Contender, champion: Contender, test: TestImages, kept: np.ndarray,
        rules: Rules,
    ) -> None:  # fmt: skip
        ids = [name for name, used in zip(test.ids, kept, strict=True) if used]
        fields = list(rules.headline.fields)
        self._a, self._b = (
            of.statistics.set_index("id").loc[ids, fields].to_numpy(float)
            for of in (challenger, champion)
        )
        self._ids, self._units, self._rules = ids, test.units[kept], rules
        self._slices = {column: values[kept] for column, values in test.slices.items()}
        self._independent = test.independent
        self._classes = rules.class_scores
        self._gains = self._gains_of(np.ones(len(ids), dtype=bool), self._classes.values())

    def compare(self, basis: Basis) -> tuple[list[Check], Basis]:
        """The checks against the champion, and what they stand on."""
        rules, gain = self._rules, self._gains[self._rules.primary]
        labelled = true_pixels(rules.headline, self._a).sum(axis=1) > 0
        units = len(np.unique(self._units[labelled]))
        decides = self._independent and units >= ENOUGH
        score = self._interval()
        basis = replace(
            basis, rule=rules.gate.rule if decides else "few_units", units=units, gain=gain.value,
            low=score.low, high=score.high, worse=self._worse(),
        )  # fmt: skip
        if decides:
            checks = [*self._gain_checks(score), *self._class_checks(), *self._slice_checks()]
            finds, mistakes = what_it_tells(gain, rules)
            basis = replace(basis, finds=finds, mistakes=mistakes, caveats=self._unsupported())
        else:
            checks = self._point_checks()
            basis = replace(basis, mistakes=_mistakes_of_points(gain, rules.gate.max_drop))
            basis = replace(basis, caveats=[self._few_in_words(units)])
        return checks, basis

    def _gains_of(self, rows: np.ndarray, classes: Iterable[str]) -> dict[str, Gain]:
        names = [self._rules.primary, *classes]
        return paired_gains(
            self._rules.headline, self._a[rows], self._b[rows], self._units[rows], names
        )

    def _interval(self) -> Score:
        """Of the primary metric's gain; by the jackknife where alpha is spent over the looks."""
        rules, gain = self._rules, self._gains[self._rules.primary]
        if rules.gate.alpha_spending:
            half = gain.value - gain.lower_bound(rules.tail)
            return Score(gain.value, gain.value - half, gain.value + half, gain.n)
        return paired_differences(
            rules.headline, self._a, self._b, self._units, rules.intervals, only=rules.primary
        )[rules.primary]

    def _gain_checks(self, score: Score) -> Iterator[Check]:
        gate, name = self._rules.gate, f"gain in {self._rules.primary}"
        sign = 1 if gate.rule == "superior" else -1
        yield Check.above(f"{name}, lower bound", score.low, sign * gate.margin, score.n)
        if gate.rule == "not_inferior":
            yield Check.above(f"{name}", score.value, 0.0, score.n)

    def _class_checks(self) -> Iterator[Check]:
        margin = self._rules.gate.class_margin
        gains = {name: self._gains[name] for name in self._classes.values()}
        yield from self._harm_checks(gains, margin)

    def _slice_checks(self) -> Iterator[Check]:
        """One check of all slices, and one for each that is worse for sure."""
        gains = {}
        for column, values in self._slices.items():
            for value in sorted(set(values)) if len(set(values)) > 1 else ():
                rows = values == value
                if len(np.unique(self._units[rows])) >= ENOUGH:
                    found = self._gains_of(rows, ())[self._rules.primary]
                    gains[f"{self._rules.primary} of slice {column} {value}"] = found
        checks = list(self._harm_checks(gains, self._rules.gate.slice_margin))
        worst = min(checks, key=lambda check: (check.p, check.value), default=None)
        if worst is not None and worst.passed:
            yield replace(worst, name=f"worst of {len(checks)} slices: {worst.name}")
        yield from (check for check in checks if not check.passed)

    def _harm_checks(self, gains: Mapping[str, Gain], margin: float) -> Iterator[Check]:
        """Each is a member of one family, which Holm's method corrects for."""
        told = {name: gain for name, gain in gains.items() if gain.n >= LEAST}
        alpha = 1 - self._rules.intervals.confidence
        corrected = holm([gain.loss_by_chance(margin) for gain in told.values()])
        for (name, gain), p in zip(told.items(), corrected, strict=True):
            yield Check.no_harm(name, gain.value, margin, p, alpha, gain.n)

    def _point_checks(self) -> list[Check]:
        gate, primary = self._rules.gate, self._rules.primary
        gain = self._gains[primary]
        checks = [Check.at_least(f"gain in {primary}", gain.value, -gate.max_drop)]
        for name in self._classes.values():
            of_class = self._gains[name]
            if of_class.n:
                checks.append(
                    Check.at_least(f"gain in {name}", of_class.value, -gate.max_class_drop)
                )
        return [replace(check, n=self._gains[primary].n) for check in checks]

    def _unsupported(self) -> list[str]:
        few = [
            f"{name} (n = {self._gains[score].n})"
            for name, score in self._classes.items()
            if self._gains[score].n < LEAST
        ]
        return [
            f"nothing is said of classes that fewer than {LEAST} units hold: {few_of(few, 8)}"
        ] * bool(few)

    def _few_in_words(self, units: int) -> str:
        gate = self._rules.gate
        many = (
            f"{units} units, which are parts of groups and not independent,"
            if units >= ENOUGH
            else f"{units} units"
        )
        return (
            f"{many} are too few for evidence (at least {ENOUGH} independent ones are needed): "
            f"minimum scores decide, and that the point estimate loses at most {gate.max_drop:g} "
            f"over all and {gate.max_class_drop:g} in a class (gate.max_drop, gate.max_class_drop)"
        )

    def _worse(self) -> list[dict[str, object]]:
        """The images whose own score falls most, worst first."""
        ours, theirs = (
            self._rules.headline.scores(torch.from_numpy(rows.copy()))[self._rules.primary].numpy()
            for rows in (self._a, self._b)
        )
        lost = [(float(a - b), name, float(b), float(a))
                for name, a, b in zip(self._ids, ours, theirs, strict=True) if a < b]  # fmt: skip
        return [
            {"id": name, "champion": before, "challenger": after}
            for _, name, before, after in sorted(lost)[:_WORST]
        ]


def what_it_tells(gain: Gain, rules: Rules) -> tuple[float, float]:
    """The true gain that the rule promotes in 80 % of cases, and how often it promotes none.

    From the error of the gain on these images; that nothing else stands against it is taken for
    granted.
    """
    error, tail, margin = gain.error, rules.tail, rules.gate.margin
    if not error > 0:
        return math.nan, math.nan
    t = -float(special.stdtrit(gain.freedom, tail))
    bar = t * error + (margin if rules.gate.rule == "superior" else -margin)
    if rules.gate.rule == "not_inferior":
        bar = max(bar, 0.0)
    power = float(special.stdtrit(gain.freedom, _POWER))
    return bar + power * error, float(special.stdtr(gain.freedom, -bar / error))


def _mistakes_of_points(gain: Gain, max_drop: float) -> float:
    """How often a point estimate is no worse than so much where nothing changed; half or more."""
    if not gain.error > 0 or gain.n < LEAST:
        return math.nan
    return float(special.stdtr(gain.freedom, max_drop / gain.error))


def _looks_in_words(rules: Rules) -> list[str]:
    looks, budget = rules.looks, rules.gate.looks
    if looks <= budget:
        return []
    return [
        f"these test images have given {looks} verdicts, more than gate.looks allows ({budget}): "
        "their score has become a selection score, which flatters; add fresh test groups to "
        "data/splits.csv"
    ]


def _unknown_training(champion: Contender) -> str:
    return (
        f"{champion.name} was registered without a list of its training images, so nobody knows "
        "whether it has seen test images"
    )


def _passed_in_words(checks: Sequence[Check], basis: Basis) -> str:
    passed = f"{len(checks)} of {len(checks)} checks passed"
    if math.isnan(basis.gain):
        return passed
    interval = "" if math.isnan(basis.low) else f" [{basis.low:.4f}, {basis.high:.4f}]"
    return f"{passed}, gain {basis.gain:+.4f}{interval} on {basis.images} test images"
