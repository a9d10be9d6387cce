"""The last lines of a run, from files as the stages write them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from maskmill.evaluation import cost
from maskmill.settings import config
from maskmill.statistics import scores
from maskmill.statistics.scores import Score
from pipelines import summary

REPOSITORY = Path(__file__).parents[2]
SCORES = {"unet": Score(0.8639, 0.8451, 0.8812, 5), "resnet18_unet": Score(0.8007, 0.77, 0.82, 5)}


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Params:
    """Two variants on ten images of one sequence; the settings of this repository."""
    monkeypatch.chdir(tmp_path)
    loaded = config.load(REPOSITORY / "params.yaml").model_copy(update={"variants": tuple(SCORES)})
    for place, (variant, score) in enumerate(SCORES.items()):
        for split in ("val", "test"):
            scores.write_scores(
                Path("metrics") / split / f"{variant}.json", {"dice_foreground": score}
            )
        pd.DataFrame({"id": [f"z{i}" for i in range(10)]}).to_parquet(
            f"metrics/test/{variant}.parquet"
        )
        cost.write_cost(
            Path(f"metrics/cost/{variant}.json"), cost.Cost(1_811_780 + place, 30.0, 90.0)
        )
    rows = [
        {"id": f"z{i}", "group": "slab", "sequence": "head", "order": i, "split": "test"}
        for i in range(10)
    ]
    Path("data/prepared").mkdir(parents=True)
    pd.DataFrame(rows).to_parquet("data/prepared/manifest.parquet")
    scores.write_values(
        Path("metrics/baselines.json"), {"intensity_look-up_table": 0.5463, "majority_class": 0.0}
    )
    said = {
        "model": "icbm152",
        "version": 1,
        "outcome": "promoted",
        "reason": "1 of 1 checks passed",
        "champion": None,
    }
    Path("metrics/registration.json").write_text(json.dumps(said))
    return loaded


def test_each_test_score_stands_with_its_interval_and_all_values_align(params: config.Params):
    lines = summary.summary_text(params).splitlines()
    table = lines[1:5]
    assert table[1].split() == ["unet", "0.8639", "0.8639", "[0.845,", "0.882]", "1,811,780"]
    assert {
        line.index(value)
        for line, value in zip(table[1:], ("0.8639 [", "0.8007 [", "0.5463"), strict=True)
    } == {table[0].index("  test") + 2}
    assert all(line == line.rstrip() for line in lines)


def test_what_the_intervals_cannot_be_relied_on_for_is_said_below_the_table(params: config.Params):
    line = next(
        line
        for line in summary.summary_text(params).splitlines()
        if line.startswith("[low, high]:")
    )
    assert line.startswith("[low, high]: 95 % interval, n = 5; ")
    assert "too few independent units (n < 20) for a claim" in line


def test_without_intervals_nothing_is_said_of_them(params: config.Params):
    for variant in SCORES:
        scores.write_scores(Path(f"metrics/test/{variant}.json"), {"dice_foreground": Score(0.5)})
    text = summary.summary_text(params)
    assert "interval" not in text
    # 0.5 against 0.5463
    assert "warning: no variant is better than the best rule without a network" in text
