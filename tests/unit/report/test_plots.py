import numpy as np

from maskmill.report import plots
from maskmill.statistics.scores import Score


def test_a_true_class_is_a_hundred_rows_in_the_shares_of_its_pixels():
    counts = np.array([[600, 300, 100], [1, 1, 1], [0, 0, 0]])
    table = plots.confusion_table(counts, ("sky", "road", "tree")).value_counts().to_dict()
    assert [table[("sky", name)] for name in ("sky", "road", "tree")] == [60, 30, 10]
    assert sorted(table[("road", name)] for name in ("sky", "road", "tree")) == [33, 33, 34]
    assert not any(truth == "tree" for truth, _ in table)  # it has no pixels


def test_every_class_of_every_variant_has_its_dice():
    table = plots.class_table(
        {"a": {"dice/sky": Score(0.5)}, "b": {"dice/sky": Score(0.7)}}, ["sky"]
    )
    assert table.to_dict("list") == {"class": ["sky, a", "sky, b"], "dice": [0.5, 0.7]}
