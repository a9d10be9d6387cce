import json
import math

import numpy as np
import pytest

from maskmill.decisions.select import Candidate, choose_variant
from maskmill.evaluation.cost import Cost
from maskmill.settings.config import Selection
from maskmill.statistics.scores import Score

FREE = {"max_ms_per_image": None, "max_parameters": None, "max_memory_mb": None}


def selection(minimum=0.5, tie=0.01, **limits):
    return Selection(minimum=minimum, tie=tie, **FREE | limits)


def chosen(
    asked=None, *, half=0.001, n=30, caveat="", costs=None, independent=True, corrected=None,
    **variants,
):  # fmt: skip
    """The choice between variants of (score, parameters).

    The intervals of all differences have this half width.
    """
    given = [
        Candidate(
            name,
            Score(score, score - 0.1, score + 0.1, n),
            (costs or {}).get(name, Cost(parameters, 10.0, 50.0)),
        )
        for name, (score, parameters) in variants.items()
    ]

    def compare(a, b):
        lead = variants[a][0] - variants[b][0]
        return Score(lead, lead - half, lead + half, n, independent)

    return choose_variant(
        given, compare, asked or selection(), "dice_foreground", caveat,
        lambda rivals: math.nan if corrected is None else corrected,
    )  # fmt: skip


def test_the_best_score_leads():
    choice = chosen(small=(0.8, 1), large=(0.9, 100))
    assert choice.challenger == "large"
    assert choice.reason == "leads with dice_foreground 0.9000 on val"
    assert [c.variant for c in choice.candidates] == ["large", "small"]


def test_a_tie_goes_to_the_fewest_parameters():
    choice = chosen(large=(0.9, 100), middle=(0.895, 50), small=(0.8, 1))
    assert choice.challenger == "middle"
    assert choice.reason == (
        "dice_foreground 0.8950 on val ties with large 0.9000 (0.0050 more, at most 0.0060 by its "
        "interval) at the fewest parameters"
    )


def test_the_best_may_be_the_cheapest_of_a_tie():
    choice = chosen(best=(0.9, 1), other=(0.895, 50))
    assert choice.challenger == "best"
    assert choice.reason == (
        "dice_foreground 0.9000 on val ties with other 0.8950 (0.0050 more, at most 0.0060 by its "
        "interval) at the fewest parameters"
    )


@pytest.mark.parametrize("lead", [0.003, 0.02])
def test_an_interval_that_holds_0_and_more_than_a_tie_is_no_tie(lead):
    """It may hold a lead of points too: the wider it is, the less it says."""
    choice = chosen(half=0.06, large=(0.9, 100), small=(0.9 - lead, 1))
    assert (choice.challenger, choice.caveat) == ("large", "")


def test_a_lead_that_is_sure_and_still_within_the_tie_is_a_tie():
    assert chosen(half=0.001, large=(0.9, 100), small=(0.895, 1)).challenger == "small"
    assert chosen(half=0.006, large=(0.9, 100), small=(0.895, 1)).challenger == "large"


def test_the_loss_by_ties_does_not_grow_with_the_units():
    """Intervals over 20 units are wide; what is given away for few parameters stays below a tie."""
    rng, lost = np.random.default_rng(0), {}
    for n in (20, 200):
        error = 0.2 / math.sqrt(n)
        leads = 0.02 + error * rng.standard_normal(200)  # of a network that is 2 points better
        picks = [
            chosen(half=2 * error, n=n, large=(0.8 + lead, 100), small=(0.8, 1)).challenger
            for lead in leads
        ]
        lost[n] = np.mean(
            [lead > 0 and pick == "small" for lead, pick in zip(leads, picks, strict=True)]
        )
    assert lost == {20: 0, 200: 0}


@pytest.mark.parametrize(
    "few", [{"n": 19}, {"independent": False}, {"half": math.nan}], ids=["few", "blocks", "none"]
)
def test_where_no_interval_decides_the_best_score_leads_and_that_is_said(few):
    choice = chosen(
        **{"half": 0.0001} | few, caveat="19 groups", large=(0.9, 100), small=(0.8999, 1)
    )
    assert (choice.challenger, choice.reason) == (
        "large",
        "leads with dice_foreground 0.9000 on val",
    )
    assert choice.caveat == "19 groups; so no interval decides here, and the best score leads"


def test_the_embedded_data_put_the_better_network_forward():
    """Two blocks of one slab: unet 0.8495 on val, 0.8450 on test; resnet18_unet 0.8477, 0.8012."""
    choice = chosen(
        selection(tie=0.002), n=2, independent=False, unet=(0.8495, 488_000),
        resnet18_unet=(0.8477, 259_000),
    )  # fmt: skip
    assert choice.challenger == "unet"


def test_equal_scores_tie_whatever_the_units():
    choice = chosen(n=2, independent=False, large=(0.9, 100), small=(0.9, 1))
    assert choice.challenger == "small"
    assert "ties with large 0.9000 (equal)" in choice.reason


def test_a_metric_that_few_of_many_units_tell_is_said_too():
    assert (
        chosen(n=7, a=(0.9, 100), b=(0.8, 1)).caveat
        == "fewer than 20 independent units tell dice_foreground; so no interval decides here, and"
        " the best score leads"
    )


def test_a_tie_does_not_chain():
    """c is within the tie of b but not of the best."""
    assert chosen(a=(0.9, 100), b=(0.892, 50), c=(0.884, 1)).challenger == "b"


def test_equal_in_all_goes_by_name_so_that_the_order_does_not_matter():
    assert (
        chosen(b=(0.9, 5), a=(0.9, 5)).challenger
        == chosen(a=(0.9, 5), b=(0.9, 5)).challenger
        == "a"
    )


def test_when_none_is_good_enough_none_is_put_forward():
    choice = chosen(a=(0.4, 1), b=(0.3, 1))
    assert choice.challenger is None
    assert (
        choice.reason
        == "none is good enough: a leads with dice_foreground 0.4000, at least 0.5 is asked for"
        " (selection.minimum)"
    )


def test_the_minimum_itself_is_good_enough():
    assert chosen(a=(0.5, 1)).challenger == "a"


def test_a_tie_does_not_put_forward_what_is_below_the_minimum():
    assert chosen(a=(0.505, 100), b=(0.496, 1)).challenger == "a"


@pytest.mark.parametrize("minimum", [0.0, 0.5])
def test_a_score_that_is_no_number_never_wins(minimum):
    asked = selection(minimum)
    assert chosen(asked, broken=(math.nan, 1), good=(0.6, 100)).challenger == "good"
    assert chosen(asked, broken=(math.nan, 1)).challenger is None


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            {"max_parameters": 1000},
            "2,000 parameters, at most 1,000 are allowed (selection.max_parameters)",
        ),
        (
            {"max_ms_per_image": 10.0},
            "12.5 ms per image, at most 10.0 are allowed (selection.max_ms_per_image)",
        ),
        (
            {"max_memory_mb": 64.0},
            "80.0 MB of memory, at most 64.0 are allowed (selection.max_memory_mb)",
        ),
    ],
    ids=str,
)
def test_a_variant_over_a_limit_is_out_and_its_figure_is_said(limit, words):
    costs = {"large": Cost(2000, 12.5, 80.0)}
    choice = chosen(selection(**limit), costs=costs, large=(0.9, 0), small=(0.8, 1000))
    assert choice.challenger == "small"
    assert choice.reason == f"leads with dice_foreground 0.8000 on val; large is out: {words}"
    rows = {
        row["variant"]: row
        for row in choice.as_json("dice_foreground", selection(**limit))["variants"]
    }
    assert (rows["large"]["over"], rows["small"]["over"]) == (words, None)


def test_a_variant_at_a_limit_is_within_it():
    limits = {"max_parameters": 100, "max_ms_per_image": 10.0, "max_memory_mb": 50.0}
    assert chosen(selection(**limits), a=(0.9, 100)).challenger == "a"


def test_a_variant_over_two_limits_names_both():
    asked = selection(max_parameters=1, max_memory_mb=1.0)
    assert chosen(asked, a=(0.9, 5)).over["a"].count("are allowed") == 2


def test_when_all_are_over_the_limits_none_is_put_forward():
    choice = chosen(selection(max_parameters=10), a=(0.9, 100), b=(0.8, 50))
    assert choice.challenger is None
    assert (
        choice.reason
        == "none is within the limits: a is out: 100 parameters, at most 10 are allowed"
        " (selection.max_parameters); b is out: 50 parameters, at most 10 are allowed"
        " (selection.max_parameters)"
    )


def test_a_variant_that_is_out_ties_with_nobody():
    choice = chosen(
        selection(max_parameters=99), large=(0.9, 100), middle=(0.895, 50), small=(0.88, 1)
    )
    assert choice.challenger == "middle"


def test_the_winners_score_comes_with_its_correction_or_its_warning():
    two = {"a": (0.9, 5), "b": (0.8, 1)}
    winner = chosen(corrected=0.88, **two).winner
    assert winner.as_json() == {
        "value": 0.9,
        "corrected": 0.88,
        "text": "0.9000 is the best of 2 on the images that chose it; corrected for that, 0.8800",
    }
    few = chosen(corrected=0.88, n=19, **two).winner
    assert few.in_words() == (
        "0.9000 is the best of 2 on the images that chose it, which flatters; too few independent "
        "units tell by how much"
    )
    assert chosen(corrected=0.95, **two).winner.corrected == 0.9, "a correction flatters nobody"
    assert chosen(a=(0.9, 5)).winner.in_words() == "", "nothing was chosen"


def test_every_pair_is_in_the_file_the_better_one_first():
    content = chosen(c=(0.7, 5), a=(0.9, 5), b=(0.8, 1)).as_json("dice_foreground", selection())
    assert [(d["a"], d["b"]) for d in content["differences"]] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    first = content["differences"][0]
    assert [first[k] for k in ("value", "low", "high", "n")] == pytest.approx(
        [0.1, 0.099, 0.101, 30]
    )


def test_the_file_is_plain_json_with_null_for_nan():
    content = chosen(a=(0.9, 5), b=(math.nan, 1)).as_json("dice_foreground", selection())
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert [(row["variant"], row["score"], row["parameters"]) for row in content["variants"]] == [
        ("a", 0.9, 5),
        ("b", None, 1),
    ]
    assert content["differences"] == [
        {"a": "a", "b": "b", "value": None, "low": None, "high": None, "n": 30, "decides": False}
    ]
    assert (content["challenger"], content["metric"], content["split"]) == (
        "a",
        "dice_foreground",
        "val",
    )


def test_the_file_holds_no_timing_unless_a_limit_asks_for_it():
    """Two runs of the same training give the same file."""
    row = chosen(a=(0.9, 5)).as_json("dice_foreground", selection())["variants"][0]
    assert not {"ms_per_image", "memory_mb"} & row.keys()
    asked = selection(max_ms_per_image=20.0)
    row = chosen(asked, a=(0.9, 5)).as_json("dice_foreground", asked)["variants"][0]
    assert row["ms_per_image"] == 10.0
    assert "memory_mb" not in row
