"""What the gate decides from the statistics of the same test images."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from maskmill.decisions.gate import Contender, Rules, TestImages, judge
from maskmill.evaluation.cost import Cost
from maskmill.metrics import Labels, create
from maskmill.settings.config import Gate, Intervals

CLASSES = ("background", "road", "car")
HEADLINE = create({}, Labels(CLASSES, (1, 2), 255))
PRIMARY = "dice_foreground"
SCORES = {PRIMARY: 0.9, "dice/road": 0.9, "dice/car": 0.9}


def model(
    name: str,
    right: tuple[float, float],
    n: int = 40,
    seed: int = 0,
    seen: frozenset[str] | None = frozenset(),
) -> Contender:
    """A model that finds these shares of road and car in each of n images."""
    rng = np.random.default_rng(seed)
    truth = np.tile([800.0, 150.0, 50.0], (n, 1))
    noise = rng.normal(0, [0.0005, 0.01, 0.01], (n, 3))
    shares = np.clip(np.array([0.99, *right]) + noise, 0, 1)
    hits = truth * shares
    predicted = hits + (truth - hits)[:, [1, 0, 0]]
    table = pd.DataFrame(np.concatenate([hits, truth, predicted], axis=1), columns=HEADLINE.fields)
    return Contender(name, table.assign(id=ids(n)), seen)


def ids(n: int) -> list[str]:
    return [f"i{place}" for place in range(n)]


def images(n: int = 40, **changes: Any) -> TestImages:
    made = TestImages(ids(n), ids(n), np.ones(n, bool), np.arange(n), independent=True)
    return dataclasses.replace(made, **changes)


def rules(looks: int = 1, clean: bool = True, **settings: Any) -> Rules:
    gate = Gate(**{"minimum": {PRIMARY: 0.5}, **settings})
    return Rules(gate, PRIMARY, HEADLINE, Intervals(resamples=500), clean, looks)


def decide(challenger: Contender, champion: Contender | None, test: TestImages | None = None,
           by: Rules | None = None, scores: Any = None, cost: Cost | None = None):  # fmt: skip
    test = images(len(challenger.statistics)) if test is None else test
    return judge(challenger, champion, test, by or rules(), scores or SCORES, cost)


OLD = model("old", (0.8, 0.7))


def test_a_clear_gain_is_promoted_and_the_interval_is_said():
    verdict = decide(model("new", (0.85, 0.75), seed=1), OLD)
    assert verdict.outcome == "promoted"
    assert verdict.basis.low > 0
    assert "checks passed, gain +0.0" in verdict.reason
    assert json.dumps(verdict.as_json(), allow_nan=False)


def test_no_gain_is_refused_by_the_default_rule():
    verdict = decide(model("new", (0.8, 0.7), seed=1), OLD)
    assert verdict.outcome == "refused"
    assert "gain in dice_foreground, lower bound" in verdict.reason
    assert "is not above 0.0000" in verdict.reason


def test_not_inferior_takes_a_small_gain_that_is_not_sure():
    small = model("new", (0.803, 0.703), seed=2)
    assert decide(small, OLD).outcome == "refused"
    loose = rules(rule="not_inferior", margin=0.01)
    assert decide(small, OLD, by=loose).outcome == "promoted"
    assert decide(model("new", (0.78, 0.69), seed=3), OLD, by=loose).outcome == "refused"


def test_a_class_that_surely_loses_is_a_refusal_though_the_mean_gains():
    verdict = decide(model("new", (0.95, 0.65), seed=1), OLD)
    assert verdict.outcome == "refused"
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("dice/car loses 0.0")


def test_all_reasons_are_given():
    verdict = decide(
        model("new", (0.6, 0.5), seed=1), OLD,
        by=rules(minimum={PRIMARY: 0.95}, max_ms_per_image=5.0), cost=Cost(10, 9.0, 1.0),
    )  # fmt: skip
    told = "; ".join(verdict.reasons)
    for part in ("minimum dice_foreground", "ms per image (gate.max_ms_per_image)",
                 "gain in dice_foreground", "dice/road loses", "dice/car loses"):  # fmt: skip
        assert part in told


def test_a_slice_that_surely_loses_is_a_refusal():
    better, worse = (model("new", right, seed=1) for right in ((0.9, 0.8), (0.7, 0.6)))
    mixed = better.statistics.copy()
    fields = list(HEADLINE.fields)
    mixed.loc[:24, fields] = worse.statistics.loc[:24, fields]
    n = len(mixed)
    night = np.where(np.arange(n) < 25, "night", "day")
    test = images(n, slices={"time": night})
    verdict = decide(Contender("new", mixed, frozenset()), OLD, test)
    assert "dice_foreground of slice time night loses" in verdict.reason


def test_images_that_either_has_seen_are_left_out_and_too_few_are_a_refusal():
    seen = frozenset(ids(15))
    verdict = decide(model("new", (0.85, 0.75), seed=1), dataclasses.replace(OLD, seen=seen))
    assert verdict.basis.left_out == {"seen in training": 15}
    assert verdict.basis.images == 25
    verdict = decide(dataclasses.replace(model("new", (0.9, 0.9)), seen=frozenset(ids(38))), OLD)
    assert verdict.outcome == "refused"
    assert "2 of 40 test images are left to compare by (38 seen in training)" in verdict.reason
    assert "bring test images that neither model has seen" in verdict.reason


def test_leaky_images_do_not_decide_unless_they_are_asked_to():
    clean = np.arange(40) >= 10
    verdict = decide(model("new", (0.85, 0.75), seed=1), OLD, images(clean=clean))
    assert verdict.basis.left_out == {"not clean": 10}
    scores = SCORES | {f"clean/{PRIMARY}": 0.4}
    assert "minimum clean/dice_foreground: 0.4000" in decide(OLD, None, scores=scores).reason
    assert decide(OLD, None, scores=scores, by=rules(clean=False)).outcome == "promoted"


def test_where_all_test_images_leak_nothing_is_promoted_unless_they_are_to_decide():
    leaky = images(clean=np.zeros(40, dtype=bool))
    scores = SCORES | {f"clean/{PRIMARY}": math.nan}
    verdict = decide(OLD, None, leaky, scores=scores)
    assert verdict.outcome == "refused"
    assert verdict.reasons[0].startswith("all 40 test images leak")
    assert "evaluation.clean: false" in verdict.reasons[0]
    assert decide(OLD, None, leaky, scores=scores, by=rules(clean=False)).outcome == "promoted"


def test_few_units_and_blocks_decide_by_point_estimates_and_say_so():
    for test in (images(10), images(40, independent=False)):
        n = len(test.ids)
        verdict = decide(model("new", (0.797, 0.697), n, seed=1), model("old", (0.8, 0.7), n), test)
        assert verdict.outcome == "promoted"
        assert verdict.basis.rule == "few_units"
        assert "too few for evidence" in verdict.basis.caveats[0]
        worse = decide(model("new", (0.8, 0.6), n, seed=1), model("old", (0.8, 0.7), n), test)
        assert "gain in dice/car" in worse.reason


def test_a_champion_without_a_list_of_its_training_images_is_told_of():
    verdict = decide(model("new", (0.85, 0.75), seed=1), dataclasses.replace(OLD, seen=None))
    assert "old was registered without a list of its training images" in verdict.basis.caveats[-1]


def test_looks_beyond_the_budget_are_told_and_may_ask_for_more_evidence():
    new = model("new", (0.804, 0.704), seed=5)
    assert "20 verdicts" not in " ".join(decide(new, OLD, by=rules(looks=20)).basis.caveats)
    told = " ".join(decide(new, OLD, by=rules(looks=21)).basis.caveats)
    assert "these test images have given 21 verdicts" in told
    assert "add fresh test groups" in told
    first, tenth = (decide(new, OLD, by=rules(looks=k, alpha_spending=True)) for k in (1, 10))
    assert tenth.basis.low < first.basis.low


def test_scores_that_are_no_numbers_pass_nothing():
    verdict = decide(OLD, None, scores={PRIMARY: float("nan")})
    assert verdict.reasons == ["minimum dice_foreground: no number is below 0.5000"]


@pytest.mark.parametrize("looks", [1, 3])
def test_what_the_rule_can_tell_is_said(looks: int):
    verdict = decide(model("new", (0.85, 0.75), seed=1), OLD, by=rules(looks=looks))
    assert 0 < verdict.basis.finds < 0.05
    assert verdict.basis.mistakes == pytest.approx(0.025, abs=0.01)
