import math

import numpy as np
import pytest
import torch

from maskmill.evaluation import image_facts
from maskmill.metrics import Labels, Sample

LABELS = Labels(("background", "cell"), (1,), 255)


def facts(truth, image=None, probabilities=None):
    truth = np.asarray(truth, np.uint8)
    image = np.zeros((*truth.shape, 1), np.uint8) if image is None else image
    p = torch.full((2, *truth.shape), 0.5) if probabilities is None else probabilities
    sample = Sample(predicted=torch.zeros(truth.shape, dtype=torch.uint8), truth=torch.tensor(truth), probabilities=p)
    return image_facts.of(image, sample, LABELS)


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


def test_objects_are_connected_parts_of_the_foreground():
    truth = np.zeros((8, 8))
    truth[0, 0], truth[3:5, 3:5], truth[7, 4:7] = 1, 1, 1
    found = facts(truth)
    assert found["object_px"] == 3
    assert found["foreground"] == pytest.approx(8 / 64)
    assert math.isnan(facts(np.zeros((4, 4)))["object_px"])
