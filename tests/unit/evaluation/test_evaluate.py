import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from maskmill.evaluation import evaluate
from maskmill.evaluation.evaluate import Evaluation, best_and_worst


class Threshold:
    """A predictor whose masks are known: grey value over 64."""

    class card:
        classes = ("background", "disc", "square", "bar")
        ignore_index = 255

    def predict(self, image):
        return image[..., 0] // 64


@pytest.fixture
def result(make_shard, draw_shapes, data):
    shard = make_shard(draw_shapes(5), names=["007", "b", "c", "d", "e"])
    found = evaluate.evaluate(
        Threshold(), shard, foreground=data.foreground, primary="dice_foreground", gallery=1, title="test"
    )
    return found, shard


def scored(**scores):
    return pd.DataFrame({"id": list(scores), "score": list(scores.values())})


def test_scores_are_over_the_split_not_a_mean_over_images(result, data):
    found, shard = result
    truth = np.concatenate([mask.ravel() for _, mask in shard])
    predicted = np.concatenate([(image[..., 0] // 64).ravel() for image, _ in shard])
    expected = f1_score(truth, predicted, labels=[1, 2, 3], average="macro")
    assert found.scores["dice_foreground"] == pytest.approx(expected, abs=1e-12)
    assert found.confusion.sum() == truth.size


def test_each_image_has_its_own_score(result):
    found, shard = result
    expected = [
        f1_score(mask.ravel(), (image[..., 0] // 64).ravel(), labels=[1, 2, 3], average="macro")
        for image, mask in shard
    ]
    assert found.per_image["id"].tolist() == shard.ids
    assert found.per_image["score"].tolist() == pytest.approx(expected, abs=1e-12)


def test_the_masks_of_the_best_and_the_worst_image_are_kept(result):
    found, shard = result
    ranked = found.per_image.sort_values("score")["id"].tolist()
    assert set(found.masks) == {ranked[0], ranked[-1]}
    for name, mask in found.masks.items():
        assert np.array_equal(mask, shard[shard.ids.index(name)][0][..., 0] // 64)


def test_best_come_best_first_and_worst_worst_first():
    table = scored(a=0.5, b=0.9, c=0.1, d=0.7, e=0.3)
    assert best_and_worst(table, 2) == (["b", "d"], ["c", "e"])


def test_no_image_is_both_best_and_worst():
    assert best_and_worst(scored(a=0.5, b=0.9, c=0.1), 2) == (["b"], ["c", "a"])
    assert best_and_worst(scored(a=0.5), 2) == ([], ["a"])


def test_an_image_without_a_score_is_neither_best_nor_worst():
    assert best_and_worst(scored(a=math.nan, b=0.9, c=0.1), 1) == (["b"], ["c"])
    assert best_and_worst(scored(a=math.nan), 1) == ([], [])


def test_an_empty_gallery_is_empty():
    assert best_and_worst(scored(a=0.5, b=0.9), 0) == ([], [])


def test_equal_scores_are_ranked_by_name_whatever_the_order():
    table = scored(a=0.5, b=0.5, c=0.5)
    assert best_and_worst(table, 1) == best_and_worst(table[::-1], 1)


@pytest.mark.parametrize("classes", [("b", "a", "c"), ("0", "1", "10"), ("NA", "null", "x")], ids=str)
def test_the_confusion_comes_back_in_the_order_of_the_classes(tmp_path, classes):
    matrix = np.arange(9).reshape(3, 3)
    evaluate.write_details(tmp_path, Evaluation({}, matrix, scored(a=1.0), {}, 1.0), classes)
    assert np.array_equal(evaluate.read_confusion(tmp_path, classes), matrix)


def test_details_hold_truth_prediction_and_pixels(tmp_path):
    evaluate.write_details(tmp_path, Evaluation({}, np.array([[5, 1], [2, 7]]), scored(a=0.25), {}, 1.0), ("x", "y"))
    table = pd.read_csv(tmp_path / "confusion.csv").to_dict("records")
    assert {"truth": "x", "predicted": "y", "pixels": 1} in table
    assert {"truth": "y", "predicted": "x", "pixels": 2} in table
    assert (tmp_path / "per_image.csv").read_text() == "id,score\na,0.25\n"


def test_kept_masks_are_written_as_ids(tmp_path):
    from maskmill.data import decode

    mask = np.array([[0, 1], [2, 3]], np.uint8)
    evaluate.write_details(tmp_path, Evaluation({}, np.eye(2), scored(a=1.0), {"a": mask}, 1.0), ("x", "y"))
    assert np.array_equal(decode.mask(tmp_path / "masks" / "a.png"), mask)
