import math

import numpy as np
import pytest
import scipy.stats
import torch

from benchmarks import coverage
from maskmill.metrics import Labels, create
from maskmill.settings.config import Intervals
from maskmill.statistics import bootstrap, intervals
from maskmill.statistics.scores import Score

LABELS = Labels(("background", "disc", "bar"), (1, 2), 255)
METRICS = create({}, LABELS)


def settings(resamples=500, seed=0, confidence=0.95):
    return Intervals(confidence=confidence, resamples=resamples, unit="image", block=1, seed=seed)


def pixels(n, seed=0, disc=1.0, bar=1.0):
    """(n, 9) statistics: hits, truth, predicted of each class.

    `disc` and `bar` of the images hold these classes.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(20, 200, (n, 3)) * np.stack(
        [np.ones(n), rng.random(n) < disc, rng.random(n) < bar], axis=1
    )
    hits = np.floor(truth * rng.beta(8, 2, (n, 3)))
    return np.concatenate([hits, truth, hits + np.floor(truth * rng.beta(2, 8, (n, 3)))], axis=1)


def dice(hits, truth, predicted, axis):
    return 2 * hits.sum(axis) / (truth.sum(axis) + predicted.sum(axis))


def bca(sums, scores, name, resamples, seed=0):
    """Our BCa bounds before they are widened."""
    made = bootstrap.resampled_scores(scores, sums, resamples=resamples, seed=seed)[name]
    levels = bootstrap.bca_levels(made, np.array(scipy.stats.norm.ppf(0.025)))
    return [float(bootstrap.row_quantiles(made.resampled, level)) for level in levels]


def same(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal([*vars(a[k]).values()], [*vars(b[k]).values()], True) for k in a
    )


def test_bias_correction_and_acceleration_are_scipys_on_the_same_resamples():
    rows = pixels(30)
    columns = [rows[:, place] for place in (1, 4, 7)]
    theirs = scipy.stats.bootstrap(
        columns, dice, paired=True, vectorized=True, n_resamples=999, rng=np.random.default_rng(7)
    ).confidence_interval
    assert bca(rows, METRICS.scores, "dice/disc", 999, seed=7) == pytest.approx(
        [theirs.low, theirs.high], abs=1e-12
    )


def test_a_difference_of_two_models_is_scipys_on_the_same_resamples():
    a, b = pixels(25, seed=1), pixels(25, seed=2)
    columns = [rows[:, place] for rows in (a, b) for place in (2, 5, 8)]

    def of_columns(*c, axis):
        return dice(*c[:3], axis) - dice(*c[3:], axis)

    theirs = scipy.stats.bootstrap(
        columns,
        of_columns,
        paired=True,
        vectorized=True,
        n_resamples=999,
        rng=np.random.default_rng(3),
    ).confidence_interval

    def difference(sums):
        return {
            "bar": (
                METRICS.scores(sums[..., :9])["dice/bar"]
                - METRICS.scores(sums[..., 9:])["dice/bar"]
            )
        }

    mine = bca(np.concatenate([a, b], axis=1), difference, "bar", 999, seed=3)
    assert mine == pytest.approx([theirs.low, theirs.high], abs=1e-12)


def test_intervals_are_wider_than_bca_for_few_units_and_hardly_for_many():
    def ratio(n):
        rows = pixels(n)
        low, high = bca(rows, METRICS.scores, "dice/disc", 4000)
        ours = intervals.scores_with_intervals(METRICS, rows, np.arange(n), settings(4000))[
            "dice/disc"
        ]
        return (ours.high - ours.low) / (high - low)

    assert ratio(10) > 1.15
    assert 1 <= ratio(400) < 1.05


def test_a_score_lies_in_its_interval_and_the_interval_in_the_range_of_scores():
    for seed in range(5):
        for n in (5, 6, 8, 40):
            for name, score in intervals.scores_with_intervals(
                METRICS, pixels(n, seed), np.arange(n), settings()
            ).items():
                assert 0 <= score.low <= score.value <= score.high <= 1, name


def test_the_value_is_the_score_over_all_images():
    rows = pixels(12)
    made = intervals.scores_with_intervals(METRICS, rows, np.arange(12) // 3, settings())
    expected = METRICS.scores(torch.from_numpy(rows.sum(axis=0)))
    assert {name: score.value for name, score in made.items()} == {
        name: float(v) for name, v in expected.items()
    }


def test_one_score_alone_is_the_same_as_among_all():
    rows, units = pixels(12), np.arange(12)
    alone = intervals.scores_with_intervals(METRICS, rows, units, settings(), only="dice/disc")
    assert alone == {
        "dice/disc": intervals.scores_with_intervals(METRICS, rows, units, settings())["dice/disc"]
    }


def test_the_order_of_the_rows_does_not_matter_to_the_last_bit():
    rows = np.random.default_rng(0).random((30, 9)) + 0.1
    rows[:, 3:] += 1
    units, order = np.arange(30) // 4, np.random.default_rng(1).permutation(30)
    assert same(
        intervals.scores_with_intervals(METRICS, rows, units, settings()),
        intervals.scores_with_intervals(METRICS, rows[order], units[order], settings()),
    )


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    rows, units = pixels(30), np.arange(30)
    made = [
        intervals.scores_with_intervals(METRICS, rows, units, settings(seed=seed))
        for seed in (0, 0, 1)
    ]
    assert same(made[0], made[1])
    assert made[0]["dice/disc"].low != made[2]["dice/disc"].low
    assert made[0]["dice/disc"].low == pytest.approx(made[2]["dice/disc"].low, abs=0.01)


def test_parts_of_the_resamples_give_what_all_at_once_do(monkeypatch):
    rows, units = pixels(30), np.arange(30)
    whole = intervals.scores_with_intervals(METRICS, rows, units, settings())
    monkeypatch.setattr(bootstrap, "_CHUNK", 30 * 7)
    assert same(intervals.scores_with_intervals(METRICS, rows, units, settings()), whole)


def test_memory_is_bounded_however_large_the_statistic():
    parts = [len(part) for part in bootstrap.resample_weights(10, 2000, 0, 40_000)]
    assert sum(parts) == 2000
    assert max(parts) * 40_000 <= 4_000_000


def test_a_resample_draws_as_many_units_as_there_are():
    for part in bootstrap.resample_weights(17, 200, 0, 9):
        assert (part.sum(axis=1) == 17).all()


def test_without_each_unit_what_only_it_holds_is_exactly_nothing():
    sums = np.array([[0.1, 0.0], [0.2, 0.3], [0.7, 0.0]])
    made = bootstrap.without_each(sums)
    assert made == pytest.approx(sums.sum(axis=0) - sums)
    assert made[1, 1] == 0.0


def test_images_of_one_unit_do_not_count_as_many():
    rows = np.repeat(pixels(20), 10, axis=0)
    alone = intervals.scores_with_intervals(METRICS, rows, np.arange(200), settings())["dice/disc"]
    together = intervals.scores_with_intervals(METRICS, rows, np.arange(200) // 10, settings())[
        "dice/disc"
    ]
    assert (alone.n, together.n) == (200, 20)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


@pytest.mark.parametrize(("units", "given"), [(1, False), (2, False), (4, False), (5, True)])
def test_fewer_than_five_units_have_no_interval_and_still_a_count(units, given):
    score = intervals.scores_with_intervals(METRICS, pixels(30), np.arange(30) % units, settings())[
        "dice/disc"
    ]
    assert score.n == units
    assert [math.isfinite(score.low), math.isfinite(score.high)] == [given, given]


def test_units_that_are_all_alike_have_an_interval_without_width():
    rows = (
        np.tile([3.0, 7.0, 11.0, 9.0, 13.0, 17.0, 5.0, 8.0, 19.0], (25, 1))
        * np.arange(1, 26)[:, None]
        / 7
    )
    for score in intervals.scores_with_intervals(METRICS, rows, np.arange(25), settings()).values():
        assert score.n == 25
        assert score.low == pytest.approx(score.value, abs=1e-12)
        assert score.high == pytest.approx(score.value, abs=1e-12)


def test_a_class_that_is_nowhere_has_neither_score_nor_interval():
    rows = pixels(30, bar=0)
    score = intervals.scores_with_intervals(METRICS, rows, np.arange(30), settings())["dice/bar"]
    assert score.n == 0
    assert all(map(math.isnan, (score.value, score.low, score.high)))


def test_a_class_of_one_unit_has_no_interval():
    rows = pixels(30, bar=0)
    rows[4, [2, 5, 8]] = 5, 10, 9
    made = intervals.scores_with_intervals(METRICS, rows, np.arange(30), settings())
    assert (made["dice/bar"].n, made["dice/disc"].n) == (1, 30)
    assert math.isnan(made["dice/bar"].low)
    assert made["dice_foreground"].low < made["dice_foreground"].high


def test_units_without_a_class_do_not_count_for_it_and_resamples_without_it_are_left_out():
    rows = pixels(30, bar=0)
    rows[:5, [2, 5, 8]] = [[5, 10, 9], [9, 10, 12], [2, 4, 3], [30, 40, 35], [6, 9, 9]]
    score = intervals.scores_with_intervals(METRICS, rows, np.arange(30), settings(2000))[
        "dice/bar"
    ]
    assert score.n == 5
    assert 0 < score.low < score.value < score.high < 1


def test_false_alarms_are_no_support_of_a_class():
    """One false pixel in each unit does not make 30 of the 7 that truly hold the class."""
    rows = pixels(30, bar=0)
    rows[:, 8] += 1  # predicted
    rows[:7, [2, 5]] = [[5, 10], [9, 10], [2, 4], [30, 40], [6, 9], [7, 9], [3, 9]]
    made = intervals.scores_with_intervals(METRICS, rows, np.arange(30), settings(2000))
    assert {made[f"{kind}/bar"].n for kind in ("dice", "iou", "recall")} == {7}
    assert made["dice/disc"].n == made["pixel_accuracy"].n == 30


def test_a_class_that_four_units_truly_hold_has_no_interval_whatever_is_predicted():
    rows = pixels(30, bar=0)
    rows[:, 8] += 1
    rows[:4, [2, 5]] = [[5, 10], [9, 10], [2, 4], [30, 40]]
    score = intervals.scores_with_intervals(METRICS, rows, np.arange(30), settings())["dice/bar"]
    assert (score.n, math.isnan(score.low), score.value > 0) == (4, True, True)


def test_a_mean_over_classes_carries_the_least_support_of_them():
    rows = pixels(30, bar=0)
    rows[:7, [2, 5, 8]] = 5, 10, 9
    made = intervals.scores_with_intervals(METRICS, rows, np.arange(30), settings())
    assert {made[name].n for name in ("dice_foreground", "miou", "mean_accuracy")} == {7}
    assert made["dice_foreground"].low < made["dice_foreground"].high
    nowhere = intervals.scores_with_intervals(METRICS, pixels(30, bar=0), np.arange(30), settings())
    assert nowhere["dice_foreground"].n == 30


def test_units_that_are_ignored_throughout_do_not_count():
    rows = pixels(30)
    rows[:10] = 0
    made = intervals.scores_with_intervals(METRICS, rows, np.arange(30), settings())
    assert {made[name].n for name in ("dice_foreground", "pixel_accuracy", "dice/disc")} == {20}


def test_where_most_resamples_have_no_score_there_is_no_interval():
    ten, drawn = np.arange(10.0), np.arange(100.0)
    for missing, given in ((60, False), (40, True)):
        resampled = np.where(np.arange(100) < missing, np.nan, drawn)
        low, high = bootstrap.interval_bounds(
            bootstrap.Spread(np.array(70.0), resampled, 70 + ten, ten), 0.95
        )
        assert np.isfinite([low, high]).tolist() == [given, given]


def test_a_score_that_hangs_on_one_unit_has_no_interval():
    ten = np.arange(10.0)
    hanging = np.where(ten == 4, np.nan, 70 + ten)
    assert np.isnan(
        bootstrap.interval_bounds(
            bootstrap.Spread(np.array(70.0), np.arange(100.0), hanging, ten), 0.95
        )
    ).all()


def test_degrees_of_freedom_fall_where_a_few_units_weigh_most():
    """The excess kurtosis is scipy's, without bias; only heavy tails widen the interval."""
    away = np.random.default_rng(0).standard_t(4, 30)
    away -= away.mean()
    assert bootstrap._excess(away) == pytest.approx(
        scipy.stats.kurtosis(away, bias=False), abs=1e-12
    )

    def width(influence):
        resampled = np.random.default_rng(0).normal(0, np.sqrt((influence**2).sum()), 1000)
        return -bootstrap.student_quantile(
            bootstrap.Spread(np.array(0.0), resampled, influence, influence), 0.025
        )

    even = np.resize([-1.0, 1.0], 30)
    assert width(even) == pytest.approx(scipy.stats.t.ppf(0.975, 29), rel=0.05)
    assert width(np.append(even[:-2], [-20.0, 20.0])) > 1.3 * width(even)


def test_two_models_are_scored_on_the_same_units_so_that_hard_ones_do_not_blur_the_difference():
    a = pixels(30)
    b = a.copy()
    b[:, :3] = np.floor(a[:, :3] * 0.97)
    alone = intervals.scores_with_intervals(METRICS, a, np.arange(30), settings())["dice/disc"]
    pair = intervals.paired_differences(METRICS, a, b, np.arange(30), settings())["dice/disc"]
    assert pair.value == pytest.approx(
        alone.value
        - intervals.scores_with_intervals(METRICS, b, np.arange(30), settings())["dice/disc"].value
    )
    assert pair.high - pair.low < 0.2 * (alone.high - alone.low)
    assert intervals.is_significant(pair)


def test_a_model_does_not_differ_from_itself():
    rows = pixels(30)
    for score in intervals.paired_differences(
        METRICS, rows, rows, np.arange(30), settings()
    ).values():
        assert (score.value, score.low, score.high, score.n) == (0, 0, 0, 30)
        assert not intervals.is_significant(score)


def test_a_difference_turns_its_sign_with_the_models():
    a, b = pixels(30, 1), pixels(30, 2)
    there, back = (
        intervals.paired_differences(METRICS, *pair, np.arange(30), settings(4000))["miou"]
        for pair in ((a, b), (b, a))
    )
    assert (there.value, there.n) == (-back.value, back.n)
    assert there.low == pytest.approx(-back.high, abs=1e-3)


def test_nineteen_units_are_too_few_for_a_claim():
    assert intervals.is_significant(Score(0.1, 0.05, 0.2, 20))
    assert intervals.is_significant(Score(-0.1, -0.2, -0.05, 20))
    assert not intervals.is_significant(Score(0.1, 0.05, 0.2, 19))
    assert not intervals.is_significant(Score(0.1, -0.05, 0.2, 500))
    assert not intervals.is_significant(Score(0.1, math.nan, math.nan, 500))
    assert not intervals.is_significant(Score(0.1, 0.05, 0.2, 500, independent=False))


def test_several_seeds_have_students_interval():
    values = [0.81, 0.84, 0.79, 0.86]
    score = intervals.mean_over_seeds(values)
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(values), scipy.stats.sem(values))
    assert (score.value, score.low, score.high, score.n) == pytest.approx(
        (np.mean(values), low, high, 4)
    )


@pytest.mark.parametrize(
    ("values", "n", "value"), [([0.8], 1, 0.8), ([], 0, math.nan), ([math.nan, 0.8], 1, 0.8)]
)
def test_a_single_seed_has_no_interval(values, n, value):
    score = intervals.mean_over_seeds(values)
    assert score.n == n
    assert score.value == pytest.approx(value, nan_ok=True)
    assert math.isnan(score.low)


def test_intervals_over_units_hold_the_true_score_and_those_over_images_do_not():
    """The simulation of docs/intervals.md, small: 20 groups of 6, correlation 0.5 within each."""
    rng, sets = np.random.default_rng(0), 300
    rows = coverage.predictions(
        rng, coverage.group_truths(rng, sets, 20), coverage.skills(rng, sets, 20, 0.5)
    )
    truth, scorer = coverage.population()["dice_foreground"], create({}, coverage.CONFUSION.labels)

    def held(units):
        made = [
            intervals.scores_with_intervals(
                scorer, of_set.reshape(120, -1), units, settings(300), only="dice_foreground"
            )["dice_foreground"]
            for of_set in rows
        ]
        return np.mean([score.low <= truth <= score.high for score in made])

    assert 0.92 <= held(np.arange(120) // 6) <= 0.98
    assert held(np.arange(120)) < 0.85
