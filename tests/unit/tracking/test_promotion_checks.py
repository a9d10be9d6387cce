import json
import math

import pytest

from maskmill.settings.config import Gate
from maskmill.tracking import promotion

PRIMARY = "dice_foreground"


def verdicts(scores, champion=None, minimum=None, max_drop=0.01):
    gate = Gate(minimum={PRIMARY: 0.8} if minimum is None else minimum, max_drop=max_drop)
    return {
        check.name: check.passed for check in promotion.gate_checks(scores, champion, gate, PRIMARY)
    }


@pytest.mark.parametrize(
    ("score", "passed"), [(0.9, True), (0.8, True), (0.7999, False), (math.nan, False)]
)
def test_the_minimum_must_be_reached(score, passed):
    assert verdicts({PRIMARY: score}) == {"minimum dice_foreground": passed}


def test_every_named_metric_is_held_against_its_own_minimum():
    assert verdicts({PRIMARY: 0.9, "iou/bar": 0.3}, minimum={PRIMARY: 0.8, "iou/bar": 0.5}) == {
        "minimum dice_foreground": True,
        "minimum iou/bar": False,
    }


def test_a_metric_that_was_not_measured_fails():
    assert verdicts({}, minimum={"miou": 0.0}) == {"minimum miou": False}


@pytest.mark.parametrize(
    ("score", "passed"),
    [(0.95, True), (0.9, True), (0.8951, True), (0.88, False), (math.nan, False)],
)
def test_against_a_champion_only_so_much_may_be_lost(score, passed):
    made = verdicts({PRIMARY: score}, champion={PRIMARY: 0.9}, minimum={}, max_drop=0.005)
    assert made == {"dice_foreground no worse than the champion's": passed}


def test_the_first_champion_is_compared_with_none():
    assert list(verdicts({PRIMARY: 0.9}, champion=None)) == ["minimum dice_foreground"]


def test_a_better_challenger_still_has_to_reach_the_minimum():
    assert verdicts({PRIMARY: 0.7}, champion={PRIMARY: 0.6}) == {
        "minimum dice_foreground": False,
        "dice_foreground no worse than the champion's": True,
    }


def test_a_check_says_what_was_measured_and_what_passes_in_plain_json():
    made = promotion.gate_checks(
        {PRIMARY: 0.9}, {}, Gate(minimum={"miou": 0.5}, max_drop=0.0), PRIMARY
    )
    rows = [check.as_json() for check in made]
    assert json.loads(json.dumps(rows, allow_nan=False)) == [
        {"name": "minimum miou", "value": None, "limit": 0.5, "passed": False},
        {
            "name": "dice_foreground no worse than the champion's",
            "value": 0.9,
            "limit": None,
            "passed": False,
        },
    ]


def test_the_tags_of_a_version_hold_its_scores_without_nan():
    tags = promotion.promotion_tags("abc", {PRIMARY: 0.9, "dice/bar": math.nan})
    assert tags[promotion.TEST_DIGEST] == "abc"
    assert json.loads(tags[promotion.TEST_SCORES]) == {PRIMARY: 0.9}
