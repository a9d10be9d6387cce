import numpy as np
import pytest

from maskmill.evaluation import baselines


def pair(grey, ids):
    return np.array(grey, np.uint8)[..., None], np.array(ids, np.uint8)


def everywhere(name):
    return lambda image: np.full(image.shape[:2], name, np.uint8)


def test_the_table_gives_each_grey_value_its_commonest_class(make_shard, data):
    train = make_shard([pair([[10, 10, 10, 20]], [[1, 1, 2, 3]])])
    rule = baselines.best_table(baselines._pixels_per_intensity(train, data))
    assert rule(np.array([[[20], [10]]], np.uint8)).tolist() == [[3, 1]]


def test_the_majority_is_the_commonest_class_everywhere(make_shard, data):
    train = make_shard([pair([[1, 2, 3]], [[2, 2, 0]])])
    rule = baselines.majority_class(baselines._pixels_per_intensity(train, data))
    assert rule(np.zeros((2, 3, 1), np.uint8)).tolist() == [[2, 2, 2], [2, 2, 2]]


def test_ignored_pixels_teach_nothing(make_shard, data):
    train = make_shard([pair([[10, 10, 10]], [[1, 255, 255]])])
    counts = baselines._pixels_per_intensity(train, data)
    assert counts.sum() == 1
    assert counts[10].tolist() == [0, 1, 0, 0]


def test_the_nearest_training_image_lends_its_mask_at_the_right_size(make_shard):
    dark, bright = np.zeros((8, 8, 1), np.uint8), np.full((8, 8, 1), 250, np.uint8)
    left = np.repeat([[1, 1, 1, 1, 0, 0, 0, 0]], 8, axis=0).astype(np.uint8)
    rule = baselines.nearest_image(
        make_shard([(dark, np.zeros((8, 8), np.uint8)), (bright, left)]), 255, everywhere(3)
    )
    mask = rule(np.full((4, 16, 1), 200, np.uint8))
    assert mask.tolist() == [[1] * 8 + [0] * 8] * 4
    assert not rule(np.full((4, 16, 1), 20, np.uint8)).any()


def test_nearness_is_measured_without_wrapping_around_in_8_bits(make_shard):
    far, near = np.full((8, 8, 1), 0, np.uint8), np.full((8, 8, 1), 100, np.uint8)
    shard = make_shard([(far, np.full((8, 8), 1, np.uint8)), (near, np.full((8, 8), 2, np.uint8))])
    rule = baselines.nearest_image(shard, 255, everywhere(3))
    assert (rule(np.full((8, 8, 1), 255, np.uint8)) == 2).all()


def test_where_the_nearest_image_is_ignored_the_commonest_class_answers(make_shard, data):
    train = make_shard([pair([[10, 10, 10]], [[1, 1, 255]])])
    rule = baselines.nearest_image(train, 255, everywhere(2))
    assert rule(np.full((1, 3, 1), 10, np.uint8)).tolist() == [[1, 1, 2]]
    test = make_shard([pair([[10, 10, 10]], [[1, 1, 1]])], "test")
    assert (
        baselines.baseline_scores(train, test, data, "pixel_accuracy")["nearest training image"]
        == 1.0
    )


def test_scores_are_learned_on_train_and_counted_on_test(make_shard, data):
    train = make_shard([pair([[10, 20, 30, 0]], [[1, 2, 3, 0]])])
    test = make_shard([pair([[10, 20, 20, 0]], [[1, 2, 3, 0]])], "test")
    scores = baselines.baseline_scores(train, test, data, "pixel_accuracy")
    assert scores == {
        "intensity look-up table": pytest.approx(3 / 4),
        "nearest training image": 1.0,
        "majority class": pytest.approx(1 / 4),
    }


def test_colour_images_are_compared_by_their_brightness(make_shard, data):
    colour = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    train = make_shard(
        [(colour, np.array([[1, 2]], np.uint8))], data=data.model_copy(update={"in_channels": 3})
    )
    rule = baselines.best_table(baselines._pixels_per_intensity(train, data))
    assert rule(colour[:, ::-1]).tolist() == [[2, 1]]
