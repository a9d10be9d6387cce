import math

from maskmill.evaluation import scores


def test_scores_come_back_with_nan(tmp_path):
    written = {"dice_foreground": 0.1 + 0.2, "dice/bar": math.nan, "parameters": 123}
    scores.write(tmp_path / "m.json", written)
    back = scores.read(tmp_path / "m.json")
    assert back["dice_foreground"] == 0.1 + 0.2
    assert back["parameters"] == 123
    assert math.isnan(back["dice/bar"])
    assert '"dice/bar": null' in (tmp_path / "m.json").read_text()


def test_the_best_score_is_a_number_where_there_is_one():
    assert scores.best({"a": math.nan, "b": 0.0, "c": 0.5}) == ("c", 0.5)
    assert scores.best({"a": math.nan, "b": 0.0})[0] == "b"
