import math

import numpy as np
import pandas as pd
import pytest
import torch

from maskmill.metrics import Labels, Sample, create
from maskmill.settings.config import Intervals, Slices
from maskmill.statistics import slices
from maskmill.statistics.scores import Score
from maskmill.statistics.slices import CHANCE, WORSE, by_quantile, by_value
from maskmill.system.errors import MaskmillError

LABELS = Labels(("background", "cell"), (1,), 255)
METRICS = create({}, LABELS)
INTERVALS = Intervals(confidence=0.95, resamples=200, unit="image", block=5, seed=0)
FACTS = ("brightness", "contrast", "sharpness", "object_px", "foreground")


def settings(columns=(), bins=2, minimum=1):
    return Slices(columns=columns, bins=bins, minimum=minimum)


def split(rights, **columns):
    """Images of 10 cell px, of which `rights` are found: their statistics, facts and manifest."""
    rows = []
    for right in rights:
        truth, predicted = (
            torch.ones(1, 10, dtype=torch.uint8),
            torch.zeros(1, 10, dtype=torch.uint8),
        )
        predicted[0, :right] = 1
        rows.append(
            METRICS.statistic(
                Sample(predicted=predicted, truth=truth, probabilities=torch.zeros(2, 1, 10))
            )
        )
    ids = [f"i{place}" for place in range(len(rights))]
    evaluated = pd.DataFrame(torch.stack(rows).numpy(), columns=list(METRICS.fields)).assign(id=ids)
    images = pd.DataFrame({"id": ids, **{fact: columns.pop(fact, 1.0) for fact in FACTS}})
    return evaluated, images, pd.DataFrame({"id": ids, "group": "g", **columns})


def table(parts, chosen=None, primary="recall/cell"):
    units = parts[0]["id"].to_numpy(str)
    return slices.slice_scores(*parts, METRICS, primary, units, chosen or settings(), INTERVALS)


def named(found):
    return {f"{one.column} {one.value}": one for one in found}


def test_scores_are_from_summed_statistics_of_the_slice():
    found = named(
        table(split([10, 5, 2, 1], brightness=[12, 48, 50, 90]), primary="dice_foreground")
    )
    assert set(found) == {"brightness 12 to 48", "brightness 50 to 90"}
    assert found["brightness 12 to 48"].score.value == pytest.approx(2 * 15 / (20 + 15))
    assert found["brightness 50 to 90"].images == 2


def test_the_worst_slice_comes_first_and_one_without_a_score_last():
    parts = split([1, 9, 5, 0], group=["a", "b", "c", "d"])
    parts[0].loc[3, list(METRICS.fields)] = 0.0  # nothing to score
    found = table(parts)
    assert [one.value for one in found] == ["a", "c", "b", "d"]
    assert math.isnan(found[3].score.value)
    assert found[3].verdict == ""


def test_small_slices_are_left_out_and_counted():
    found = table(split([1, 2, 3, 4, 5], group=["a", "a", "a", "b", "c"]), settings(minimum=3))
    assert [one.value for one in found] == ["a"]
    assert found.left_out == 2


def test_a_column_in_which_all_images_are_alike_gives_no_slice():
    found = table(split([1, 2]))
    assert len(found) == 0
    assert found.caution == "No slice has images enough."


def test_rows_are_matched_by_id_not_by_place():
    evaluated, images, manifest = split(
        [10, 10, 0, 0], group=["a", "a", "b", "b"], contrast=[1, 1, 9, 9]
    )
    found = named(table((evaluated, images[::-1], manifest.sample(frac=1, random_state=1))))
    assert found["group a"].score.value == found["contrast 1"].score.value == 1
    assert found["group b"].score.value == found["contrast 9"].score.value == 0


def test_classes_are_present_or_absent():
    found = named(table(split([10, 0], px_cell=[5, 0], px_background=[1, 1])))
    assert found["class cell present"].score.value == 1
    assert found["class cell absent"].score.value == 0
    assert not any("background" in name for name in found)


def test_images_without_objects_are_a_slice_of_their_own():
    found = named(table(split([1, 2, 3], object_px=[20.0, math.nan, 30.0])))
    assert {"object_px 20", "object_px 30", "object_px no foreground"} <= set(found)


def test_columns_of_the_manifest_are_sliced_by_value_or_by_quantile():
    parts = split(
        [1, 2, 3, 4], weather=["rain", "sun", None, "sun"], height=[10, 20, 30, 40],
        night=[True, False, False, True], fold=[0, 0, 1, 1],
    )  # fmt: skip
    found = named(table(parts, settings(columns=("weather", "height", "night", "fold"))))
    assert {"weather rain", "weather sun", "weather unknown"} <= set(found)
    assert {
        "height 10 to 20",
        "height 30 to 40",
        "night True",
        "night False",
        "fold 0",
        "fold 1",
    } <= set(found)


def test_an_unknown_column_is_named_with_those_there_are():
    with pytest.raises(MaskmillError) as error:
        table(split([1, 2], weather=["rain", "sun"]), settings(columns=("wether",)))
    assert (
        str(error.value)
        == "params.yaml: slices.columns: 'wether' is not a column of the manifest; did you mean"
        " 'weather'?; there are id, group, weather; change slices.columns"
    )


def test_a_slice_gets_the_units_of_its_own_images(monkeypatch):
    seen = []

    def of(metrics, statistics, units, settings, *, only):
        seen.append((len(statistics), set(units)))
        return {"recall/cell": Score(0.5)}

    monkeypatch.setattr(slices, "scores_with_intervals", of)
    table(split([1, 2, 3], group=["a", "a", "b"]))
    assert seen == [(3, {"i0", "i1", "i2"}), (2, {"i0", "i1"}), (1, {"i2"})]


@pytest.mark.parametrize(
    ("own", "verdict"),
    [
        (Score(0.5, 0.4, 0.6, 20), WORSE),
        (Score(0.5, 0.4, 0.6, 19), CHANCE),
        (Score(0.5, 0.4, 0.7, 50), CHANCE),
        (Score(0.5, n=50), CHANCE),
        (Score(0.8, 0.75, 0.85, 50), ""),
    ],
    ids=["wholly below", "too few units", "reaches the whole", "no interval", "better"],
)
def test_worse_needs_an_interval_wholly_below_over_twenty_units(monkeypatch, own, verdict):
    whole = Score(0.7, 0.6, 0.8, 90)

    def of(metrics, statistics, units, settings, *, only):
        return {"recall/cell": whole if len(units) == 3 else own}

    monkeypatch.setattr(slices, "scores_with_intervals", of)
    found = table(split([1, 2, 3], group=["a", "b", "c"], brightness=[10, 10, 90]))
    assert {one.verdict for one in found} == {verdict}
    assert found.whole == whole


def test_nothing_is_worse_for_sure_over_parts_of_groups(monkeypatch):
    whole, own = Score(0.7, 0.6, 0.8, 90), Score(0.5, 0.4, 0.6, 50)
    monkeypatch.setattr(
        slices,
        "scores_with_intervals",
        lambda metrics, statistics, units, *_, only: {
            "recall/cell": whole if len(units) == 3 else own
        },
    )
    found = table(split([1, 2, 3], group=["a", "a", "b"]))
    assert {one.verdict for one in found} == {CHANCE}


def test_the_chance_of_many_comparisons_is_said_in_numbers():
    found = table(split(list(range(10)), group=[f"g{i}" for i in range(10)]))
    assert found.caution.startswith("10 slices were compared.")
    assert "about 0.3 would lie wholly below" in found.caution


@pytest.mark.parametrize("bins", [2, 3, 4, 7])
def test_bins_hold_equally_many_images(bins):
    drawn = np.random.default_rng(0).permutation(84).astype(float)
    values, counts = np.unique(by_quantile(pd.Series(drawn), bins, "none"), return_counts=True)
    assert len(values) == bins
    assert set(counts) == {84 // bins}


def test_equal_values_are_never_parted():
    made = by_quantile(pd.Series([5.0] * 6 + [7.0, 9.0]), 4, "none")
    assert set(made[:6]) == {"5"}
    assert set(by_quantile(pd.Series([3.0, 3.0]), 4, "none")) == {"3"}
    assert set(by_quantile(pd.Series([math.nan]), 4, "none")) == {"none"}


def test_labels_have_as_many_digits_as_keep_bins_apart():
    assert by_quantile(pd.Series([0.1234, 0.5]), 2, "none").tolist() == ["0.12", "0.5"]
    assert by_quantile(pd.Series([0.10001, 0.10002, 0.10003, 0.2]), 2, "none").tolist() == [
        "0.10001 to 0.10002", "0.10001 to 0.10002", "0.10003 to 0.2", "0.10003 to 0.2",
    ]  # fmt: skip
    assert by_quantile(pd.Series([12345.6, 1e6]), 2, "none").tolist() == ["12346", "1000000"]


def test_values_are_their_own_text():
    assert by_value(pd.Series(["a", None, "b"])).tolist() == ["a", "unknown", "b"]
    assert by_value(pd.Series([1.0, math.nan, 2.5])).tolist() == ["1", "unknown", "2.5"]


def test_one_image_has_no_slices():
    assert list(table(split([3], object_px=[math.nan]))) == []
