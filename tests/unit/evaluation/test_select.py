import json
import math

import pytest

from maskmill.config import Selection
from maskmill.evaluation.select import Candidate, choose


def chosen(minimum=0.5, tie=0.01, **candidates):
    given = {name: Candidate(name, score, parameters) for name, (score, parameters) in candidates.items()}
    return choose(given, Selection(minimum=minimum, tie=tie), "dice_foreground")


def test_the_best_score_leads():
    choice = chosen(small=(0.8, 1), large=(0.9, 100))
    assert choice.challenger == "large"
    assert choice.reason == "leads with dice_foreground 0.9000 on val"
    assert [c.variant for c in choice.candidates] == ["large", "small"]


def test_a_tie_goes_to_the_fewest_parameters():
    choice = chosen(large=(0.9, 100), middle=(0.895, 50), small=(0.8, 1))
    assert choice.challenger == "middle"
    assert (
        choice.reason == "dice_foreground 0.8950 on val ties with large 0.9000 (within 0.01) at the fewest parameters"
    )


def test_a_tie_does_not_chain():
    """c is within the tie of b but not of the best."""
    assert chosen(a=(0.9, 100), b=(0.892, 50), c=(0.884, 1)).challenger == "b"


def test_equal_in_all_goes_by_name_so_that_the_order_does_not_matter():
    assert chosen(b=(0.9, 5), a=(0.9, 5)).challenger == chosen(a=(0.9, 5), b=(0.9, 5)).challenger == "a"


def test_when_none_is_good_enough_none_is_put_forward():
    choice = chosen(a=(0.4, 1), b=(0.3, 1))
    assert choice.challenger is None
    assert choice.reason == (
        "none is good enough: a leads with dice_foreground 0.4000, at least 0.5 is asked for (selection.minimum)"
    )


def test_the_minimum_itself_is_good_enough():
    assert chosen(a=(0.5, 1)).challenger == "a"


@pytest.mark.parametrize("minimum", [0.0, 0.5])
def test_a_score_that_is_no_number_never_wins(minimum):
    assert chosen(minimum, broken=(math.nan, 1), good=(0.6, 100)).challenger == "good"
    assert chosen(minimum, broken=(math.nan, 1)).challenger is None


def test_the_file_is_plain_json_with_null_for_nan():
    content = chosen(a=(0.9, 5), b=(math.nan, 1)).as_json("dice_foreground")
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["variants"] == [
        {"variant": "a", "score": 0.9, "parameters": 5},
        {"variant": "b", "score": None, "parameters": 1},
    ]
    assert (content["challenger"], content["metric"], content["split"]) == ("a", "dice_foreground", "val")
