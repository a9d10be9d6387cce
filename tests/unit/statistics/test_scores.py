import math

from maskmill.statistics import scores
from maskmill.statistics.scores import Score


def test_scores_and_their_intervals_come_back(tmp_path):
    written = {"dice": Score(0.5, 0.4, 0.6, 12), "iou": Score(math.nan, n=3)}
    scores.write_scores(tmp_path / "m.json", written)
    back = scores.read_scores(tmp_path / "m.json")
    assert back["dice"] == written["dice"]
    assert math.isnan(back["iou"].value)
    assert back["iou"].n == 3


def test_numbers_can_be_read_alone(tmp_path):
    scores.write_scores(tmp_path / "m.json", {"dice": Score(0.5, 0.4, 0.6, 12)})
    scores.write_values(tmp_path / "v.json", {"rule": 0.25, "none": math.nan})
    assert scores.read_values(tmp_path / "m.json") == {"dice": 0.5}
    assert scores.read_values(tmp_path / "v.json")["rule"] == 0.25
    assert math.isnan(scores.read_values(tmp_path / "v.json")["none"])


def test_bounds_are_rounded_outwards_so_that_the_score_stays_inside():
    assert scores.score_in_words(Score(0.99972, 0.99951, 0.99991, 9)) == "0.9997 [0.999, 1.000]"
    assert scores.score_in_words(Score(-0.0101, -0.0302, 0.0102, 9)) == "-0.0101 [-0.031, 0.011]"
    assert scores.score_in_words(Score(1.0, 1.0, 1.0, 9)) == "1.0000 [1.000, 1.000]"
    assert scores.score_in_words(Score(0.85, 0.845, 0.881, 9)) == "0.8500 [0.845, 0.881]"
    assert scores.score_in_words(Score(0.5)) == "0.5000"


def test_nan_is_never_the_best():
    assert scores.best_score({"a": math.nan, "b": 0.1}) == ("b", 0.1)
