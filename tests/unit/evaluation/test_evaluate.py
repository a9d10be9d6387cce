import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from maskmill.evaluation import evaluate, image_facts
from maskmill.evaluation.evaluate import EvaluationResult, gallery_ids
from maskmill.metrics import Labels, create
from maskmill.stages import evaluate as stage


class Threshold:
    """A predictor whose masks are known: grey value over 64."""

    def predict(self, image):
        return image[..., 0] // 64

    def logits(self, image):
        ids = torch.tensor(self.predict(image)).long()
        return torch.nn.functional.one_hot(ids, 4).movedim(-1, 0).float() * 5


@pytest.fixture
def labels(data):
    return Labels(data.classes, data.foreground, data.ignore_index)


@pytest.fixture
def result(make_shard, draw_shapes, labels):
    shard = make_shard(draw_shapes(5), names=["007", "b", "c", "d", "e"])
    found = evaluate.evaluate_split(
        Threshold(),
        shard,
        metrics=create({}, labels),
        labels=labels,
        primary="dice_foreground",
        gallery=1,
        title="test",
    )
    return found, shard


def scored(uncertainty=0.5, **scores):
    return pd.DataFrame(
        {"id": list(scores), "score": list(scores.values()), "uncertainty": uncertainty}
    )


def made(labels, **changes):
    """An evaluation of one image, to be written."""
    images = pd.DataFrame(
        [{"id": "a", "clean": True, "score": 0.25, **dict.fromkeys(image_facts.FACTS, 0.5)}]
    )
    metrics = create({}, labels)
    k = len(labels.classes)
    given = {
        "confusion": np.eye(k, dtype=int),
        "masks": {},
        "images": images,
        "diagnostics": {},
        "ms_per_image": 1.0,
    }
    return EvaluationResult(metrics, np.ones((1, len(metrics.fields))), **(given | changes))


def test_scores_are_over_the_split_not_a_mean_over_images(result, data):
    found, shard = result
    truth = np.concatenate([mask.ravel() for _, mask in shard])
    predicted = np.concatenate([(image[..., 0] // 64).ravel() for image, _ in shard])
    expected = f1_score(truth, predicted, labels=[1, 2, 3], average="macro")
    assert found.points()["dice_foreground"] == pytest.approx(expected, abs=1e-12)
    assert found.confusion.sum() == truth.size


def test_clean_scores_leave_out_what_leaks(result):
    found, shard = result
    found.images["clean"] = [True, False, False, False, False]
    image, mask = shard[0]
    expected = f1_score(
        mask.ravel(), (image[..., 0] // 64).ravel(), labels=[1, 2, 3], average="macro"
    )
    assert found.points(clean=True)["dice_foreground"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("clean", [0, 2])
def test_a_split_of_which_nothing_is_clean_has_no_clean_scores(result, params, clean):
    found, _ = result
    found.images["clean"] = [i < clean for i in range(5)]
    scores = stage._scores(found, np.arange(5), params.intervals)
    assert scores["clean/images"].value == clean
    assert math.isfinite(scores["dice_foreground"].value)
    assert math.isfinite(scores["clean/dice_foreground"].value) == (clean > 0)


def test_each_image_has_its_own_score(result):
    found, shard = result
    expected = [
        f1_score(mask.ravel(), (image[..., 0] // 64).ravel(), labels=[1, 2, 3], average="macro")
        for image, mask in shard
    ]
    assert found.images["id"].tolist() == shard.ids
    assert found.images["score"].tolist() == pytest.approx(expected, abs=1e-12)


def test_the_masks_that_are_shown_are_kept(result):
    found, shard = result
    shown = {name for names in gallery_ids(found.images, 1).values() for name in names}
    assert set(found.masks) == shown
    assert len(shown) == 3
    for name, mask in found.masks.items():
        assert np.array_equal(mask, shard[shard.ids.index(name)][0][..., 0] // 64)


def test_best_come_best_first_and_worst_worst_first():
    chosen = gallery_ids(scored(a=0.5, b=0.9, c=0.1, d=0.7, e=0.3), 2)
    assert (chosen["best"], chosen["worst"]) == (["b", "d"], ["c", "e"])


def test_no_image_is_shown_twice():
    assert gallery_ids(scored(a=0.5, b=0.9, c=0.1), 2) == {
        "worst": ["c", "a"],
        "best": ["b"],
        "uncertain": [],
    }
    assert gallery_ids(scored(a=0.5), 2) == {"worst": ["a"], "best": [], "uncertain": []}


def test_the_least_certain_come_most_uncertain_first():
    assert gallery_ids(scored([0.1, 0.2, 0.4, 0.3], a=0.5, b=0.9, c=0.6, d=0.7), 1)[
        "uncertain"
    ] == ["c"]


def test_an_image_without_a_score_is_neither_best_nor_worst():
    chosen = gallery_ids(scored(a=math.nan, b=0.9, c=0.1), 1)
    assert (chosen["best"], chosen["worst"]) == (["b"], ["c"])


def test_an_empty_gallery_is_empty():
    assert gallery_ids(scored(a=0.5, b=0.9), 0) == {"worst": [], "best": [], "uncertain": []}


def test_equal_scores_are_ranked_by_name_whatever_the_order():
    table = scored(a=0.5, b=0.5, c=0.5)
    assert gallery_ids(table, 1) == gallery_ids(table[::-1], 1)


@pytest.mark.parametrize(
    "classes", [("b", "a", "c"), ("0", "1", "10"), ("NA", "null", "x")], ids=str
)
def test_the_confusion_comes_back_in_the_order_of_the_classes(tmp_path, classes):
    matrix = np.arange(9).reshape(3, 3)
    evaluate.write_evaluation(
        tmp_path, made(Labels(classes, (1, 2), 255), confusion=matrix), classes
    )
    assert np.array_equal(evaluate.read_confusion(tmp_path, classes), matrix)


def test_details_hold_truth_prediction_and_pixels(tmp_path):
    labels = Labels(("x", "y"), (1,), 255)
    evaluate.write_evaluation(
        tmp_path, made(labels, confusion=np.array([[5, 1], [2, 7]])), labels.classes
    )
    table = pd.read_csv(tmp_path / "confusion.csv").to_dict("records")
    assert {"truth": "x", "predicted": "y", "pixels": 1} in table
    assert {"truth": "y", "predicted": "x", "pixels": 2} in table
    assert evaluate.read_images(tmp_path)["score"].tolist() == [0.25]


def test_statistics_come_back_with_the_ids_of_their_images(tmp_path, labels):
    evaluation = made(labels)
    evaluate.write_statistics(tmp_path / "v.parquet", evaluation)
    back = evaluate.read_statistics(tmp_path / "v.parquet")
    assert back["id"].tolist() == ["a"]
    assert back.columns.tolist() == ["id", "clean", *evaluation.metrics.fields]
    assert np.array_equal(back[list(evaluation.metrics.fields)], evaluation.statistics)


def test_kept_masks_are_written_as_ids(tmp_path):
    from maskmill.images import decode

    labels = Labels(("x", "y"), (1,), 255)
    mask = np.array([[0, 1], [2, 3]], np.uint8)
    evaluate.write_evaluation(tmp_path, made(labels, masks={"a": mask}), labels.classes)
    assert np.array_equal(decode.mask(tmp_path / "masks" / "a.png"), mask)
