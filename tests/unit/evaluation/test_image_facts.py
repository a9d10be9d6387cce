import math

import numpy as np
import pytest
import torch

from maskmill.evaluation import image_facts
from maskmill.metrics import Labels, Sample

LABELS = Labels(("background", "cell"), (1,), 255)
THREE = Labels(("background", "cell", "wall"), (1, 2), 255)


def facts(truth, image=None, probabilities=None, labels=LABELS):
    truth = np.asarray(truth, np.uint8)
    image = np.zeros((*truth.shape, 1), np.uint8) if image is None else image
    p = (
        torch.full((len(labels.classes), *truth.shape), 0.5)
        if probabilities is None
        else probabilities
    )
    sample = Sample(
        predicted=torch.zeros(truth.shape, dtype=torch.uint8),
        truth=torch.tensor(truth),
        probabilities=p,
    )
    return image_facts.facts_of_image(image, sample, labels)


def test_every_fact_is_named():
    assert tuple(facts([[0, 1]])) == image_facts.FACTS


def test_a_guess_is_1_and_a_sure_prediction_0():
    sure = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert facts([[0, 1]])["uncertainty"] == pytest.approx(1)
    assert facts([[0, 1]], probabilities=sure)["uncertainty"] == pytest.approx(0, abs=1e-6)


def test_ignored_pixels_make_nothing_uncertain():
    half_sure = torch.tensor([[[1.0, 0.5]], [[0.0, 0.5]]])
    assert facts([[0, 255]], probabilities=half_sure)["uncertainty"] == pytest.approx(0, abs=1e-6)
    assert math.isnan(facts([[255, 255]])["uncertainty"])


def test_brightness_and_contrast_are_grey_levels():
    found = facts([[0, 0]], image=np.array([[[10], [30]]], np.uint8))
    assert (found["brightness"], found["contrast"]) == (20, 10)


def test_a_blurred_image_is_less_sharp():
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 1)).astype(np.uint8)
    blurred = cv2.GaussianBlur(noise, (5, 5), 2)[..., None]
    truth = np.zeros((32, 32))
    assert facts(truth, image=blurred)["sharpness"] < facts(truth, image=noise)["sharpness"] / 2


def test_objects_are_connected_parts_of_one_foreground_class():
    truth = np.zeros((20, 20))
    truth[0:4, 0:4], truth[0:4, 4:9], truth[10:16, 10:16] = 1, 2, 1
    truth[18, 0:15] = 1  # 15 px are no object
    found = facts(truth, labels=THREE)
    assert found["object_px"] == 20
    assert found["foreground"] == pytest.approx((16 + 20 + 36 + 15) / 400)


def test_parts_that_touch_at_corners_are_one_object():
    truth = np.zeros((8, 8))
    truth[0:4, 0:4], truth[4:8, 4:8] = 1, 1
    assert facts(truth)["object_px"] == 32


def test_ignored_pixels_are_no_part_of_the_foregrounds_share():
    truth = np.full((4, 4), 255)
    assert math.isnan(facts(truth)["foreground"])
    truth[0, 0:2] = 1, 0
    assert facts(truth)["foreground"] == 0.5


def test_without_objects_their_size_is_not_a_number():
    assert math.isnan(facts(np.zeros((4, 4)))["object_px"])
    assert facts(np.zeros((4, 4)))["foreground"] == 0


def test_colour_and_bands_are_averaged():
    image = np.stack([np.full((4, 4), grey, np.uint8) for grey in (0, 30, 60, 70, 90)], axis=2)
    assert facts(np.zeros((4, 4)), image=image)["brightness"] == pytest.approx(50)
