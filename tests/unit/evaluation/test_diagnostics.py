import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from maskmill import models
from maskmill.evaluation.borders import BINS, EDGES_PX, distance_bins
from maskmill.evaluation.diagnostics import Diagnostics
from maskmill.metrics import Labels, Sample
from maskmill.report.findings import findings
from maskmill.settings.config import Params
from maskmill.system import components

LABELS = Labels(("background", "cell", "wall"), (1, 2), 255)
PLANNED = ("unet", "unet_pp", "attention_unet", "self_attention_unet", "se_resnet18_unet")


def sample(truth, predicted, confidence=0.8, labels=LABELS):
    """A prediction with `confidence` in its class everywhere; the other classes share the rest."""
    truth, predicted = (np.ascontiguousarray(x, np.uint8) for x in (truth, predicted))
    k = len(labels.classes)
    p = np.full(
        (k, *truth.shape), (1 - np.broadcast_to(confidence, truth.shape)) / (k - 1), np.float32
    )
    np.put_along_axis(
        p, predicted[None].astype(int), np.broadcast_to(confidence, truth.shape)[None], axis=0
    )
    return Sample(
        predicted=torch.from_numpy(predicted),
        truth=torch.from_numpy(truth),
        probabilities=torch.from_numpy(p),
    )


def diagnosed(*samples, labels=LABELS):
    diagnostics = Diagnostics(labels)
    for one in samples:
        diagnostics.update(one)
    found = diagnostics.result()
    json.dumps(found, allow_nan=False)
    return found


def told(found, known=PLANNED, labels=LABELS):
    return {finding.title: finding for finding in findings(found, labels, known)}


def halves(size=40):
    """Cell left, wall right."""
    truth = np.full((size, size), 2)
    truth[:, : size // 2] = 1
    return truth


def changed(mask, rows, columns, value):
    out = mask.copy()
    out[rows, columns] = value
    return out


def cell_of(found):
    return found["classes"][1]["objects"]


def test_distance_counts_pixels_from_the_border_line():
    # the first of them is 0.5 px away
    bins = distance_bins(halves(60).astype(np.uint8), 255)[0, 30:]
    assert bins.tolist() == [0, 1, 2, 2, 3, 3, 3, 3, *[4] * 8, *[5] * 14]


@given(seed=st.integers(0, 1000), classes=st.integers(2, 5))
def test_distance_is_the_exact_one_to_any_other_class(seed, classes):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, classes, (5, 6)), np.ones((7, 7))).astype(np.uint8)
    ignored = rng.random(truth.shape) < 0.2
    truth[ignored] = 255
    bins = distance_bins(truth, 255)
    for i in set(truth[~ignored]):
        own = truth == i
        px = (
            ndimage.distance_transform_edt(own | ignored)
            if (~own & ~ignored).any()
            else np.full(truth.shape, np.inf)
        )
        assert (bins[own] == np.searchsorted(EDGES_PX, px - 0.5, side="left")[own]).all()


def test_without_a_border_every_pixel_is_far_from_one():
    assert (distance_bins(np.ones((4, 4), np.uint8), 255) == BINS - 1).all()


def test_a_pair_is_counted_both_ways_over_its_own_true_pixels():
    truth = halves()
    predicted = changed(truth, slice(0, 10), slice(2, 12), 2)  # 100 of 800 cell px
    predicted[0:8, 35:40] = 1  # 40 of 800 wall px
    (pair,) = diagnosed(sample(truth, predicted))["pairs"]
    assert (pair["a"], pair["b"]) == ("cell", "wall")
    assert (pair["a_as_b"], pair["b_as_a"], pair["pixels"], pair["images"]) == (0.125, 0.05, 140, 1)


def test_exchanges_beside_the_border_are_told_from_those_inside():
    truth = halves(60)
    inside = diagnosed(sample(truth, changed(truth, slice(10, 20), slice(2, 12), 2)))["pairs"][0]
    border = diagnosed(sample(truth, changed(truth, slice(None), slice(28, 30), 2)))["pairs"][0]
    both = diagnosed(sample(truth, changed(truth, slice(None), slice(26, 30), 2)))["pairs"][0]
    assert (inside["at_border"], inside["where"]) == (0, "inside")
    assert (border["at_border"], border["where"]) == (1, "at the border")
    assert (both["at_border"], both["where"]) == (0.5, "both")
    assert border["at_border_if_even"] == pytest.approx(2 / 30, abs=1e-6)


def test_of_a_thin_class_border_and_inside_are_the_same():
    truth = np.zeros((40, 40))
    truth[:, 18:21] = 1
    pair = diagnosed(sample(truth, changed(truth, slice(0, 20), slice(None), 0)))["pairs"][0]
    assert (pair["a_as_b"], pair["at_border"], pair["at_border_if_even"], pair["where"]) == (
        0.5, 1, 1, "thin",
    )  # fmt: skip


def test_confidence_is_the_probability_of_the_wrong_class_where_it_was_chosen():
    truth = halves()
    predicted = changed(truth, slice(0, 4), slice(0, 10), 2)
    confidence = np.full(truth.shape, 0.99)
    confidence[0:4, 0:10], confidence[0, 0:10] = 0.6, 0.95
    (pair,) = diagnosed(sample(truth, predicted, confidence))["pairs"]
    assert pair["confidence"] == pytest.approx((30 * 0.6 + 10 * 0.95) / 40, abs=1e-6)
    assert pair["sure"] == 0.25


def test_a_class_without_true_pixels_has_no_share():
    truth = np.ones((8, 8))
    (pair,) = diagnosed(sample(truth, changed(truth, slice(0, 4), slice(None), 2)))["pairs"]
    assert (pair["a"], pair["a_as_b"], pair["b_as_a"]) == ("cell", 0.5, None)


def test_the_worst_fifty_pairs_are_listed_and_the_others_counted():
    labels = Labels(tuple(f"c{i}" for i in range(12)), tuple(range(12)), 255)
    truth, predicted = np.divmod(np.arange(144).reshape(12, 12), 12)
    found = diagnosed(sample(truth, predicted, labels=labels), labels=labels)
    assert (len(found["pairs"]), found["pairs_left_out"]) == (50, 66 - 50)


def test_ignored_pixels_take_part_in_nothing():
    truth = changed(halves(), slice(0, 10), slice(None), 255)
    right, wrong = (
        diagnosed(sample(truth, changed(truth, slice(0, 10), slice(None), c))) for c in (1, 0)
    )
    assert right == wrong
    assert (right["pixels"], right["pairs"]) == (40 * 30, [])


def test_recall_spreads_over_the_objects_of_a_class():
    truth = np.zeros((20, 40))
    truth[2:12, 2:12], truth[2:12, 22:32] = 1, 1
    truth[18, 0:15] = 1  # 15 px are no object
    found = diagnosed(sample(truth, changed(truth, slice(2, 12), slice(24, 32), 0)))
    objects = cell_of(found)
    assert (objects["count"], objects["recall"], objects["sd"]) == (2, 0.6, 0.4)
    assert (objects["below_half"], objects["above_90"], objects["missed"]) == (0.5, 0.5, 0)
    assert (objects["histogram"][4], objects["histogram"][-1]) == (1, 1)
    assert objects["by_size"][1] == {"from_px": 64, "to_px": 256, "count": 2, "recall": 0.6}
    assert found["classes"][0]["objects"] is None


def test_a_hole_is_a_wrong_spot_that_its_object_encloses():
    truth = np.zeros((40, 40))
    truth[5:35, 5:35] = 1
    predicted = changed(truth, slice(10, 14), slice(10, 14), 2)  # 16 px, a hole
    predicted[20, 20:23] = 0  # 3 px are too few
    predicted[30:35, 30:35] = 0  # reaches the rim: a bay
    objects = cell_of(diagnosed(sample(truth, predicted)))
    assert objects["holes"] == {
        "count": 1,
        "pixels": 16,
        "share": round(16 / 900, 6),
        "objects": 1.0,
    }


def test_what_an_ignored_pixel_or_the_edge_of_the_image_opens_is_no_hole():
    truth = np.ones((20, 20))
    predicted = changed(truth, slice(0, 4), slice(5, 10), 0)
    predicted[10:14, 10:14] = 0
    assert cell_of(diagnosed(sample(truth, predicted)))["holes"]["count"] == 1
    truth[14, 14] = 255
    assert cell_of(diagnosed(sample(truth, predicted)))["holes"]["count"] == 0


def test_an_object_that_is_cut_has_several_parts():
    truth = np.zeros((20, 60))
    truth[5:15, 2:18], truth[5:15, 22:38], truth[5:15, 42:58] = 1, 1, 1
    predicted = changed(truth, slice(None), slice(9, 11), 0)  # the first in two, the third lost
    predicted[:, 40:] = 0
    fragments = cell_of(diagnosed(sample(truth, predicted)))["fragments"]
    assert fragments == {"counts": [1, 1, 1, 0, 0], "mean": 1.5, "broken": 0.5}


def test_parts_that_join_outside_the_object_are_one():
    truth = np.zeros((20, 20))
    truth[5:15, 2:18] = 1
    predicted = changed(truth, slice(None), slice(9, 11), 0)
    predicted[15, 2:18] = 1
    assert cell_of(diagnosed(sample(truth, predicted)))["fragments"]["counts"] == [0, 1, 0, 0, 0]


def test_a_speck_of_three_pixels_is_no_part():
    truth = np.zeros((20, 20))
    truth[5:15, 2:18] = 1
    predicted = changed(truth, slice(None), slice(12, 20), 0)
    predicted[8, 15:18] = 1
    assert cell_of(diagnosed(sample(truth, predicted)))["fragments"]["counts"] == [0, 1, 0, 0, 0]


def test_ignored_pixels_join_no_parts():
    truth = np.zeros((20, 20))
    truth[5:15, 2:18], truth[10:15, 9:11] = 1, 255
    predicted = np.zeros((20, 20))
    predicted[10:15, 2:18] = 1
    assert cell_of(diagnosed(sample(truth, predicted)))["fragments"]["counts"] == [0, 0, 1, 0, 0]


def test_objects_of_different_classes_that_touch_are_two():
    truth = halves()
    found = diagnosed(sample(truth, truth))
    assert [part["objects"]["count"] for part in found["classes"][1:]] == [1, 1]
    assert [part["objects"]["recall"] for part in found["classes"][1:]] == [1, 1]


def test_the_error_curve_is_by_distance_to_the_true_border():
    truth = halves(60)
    found = diagnosed(sample(truth, changed(truth, slice(None), slice(29, 30), 2)))
    assert [part["errors"] for part in found["by_distance"]] == [60, 0, 0, 0, 0, 0]
    assert [part["error"] for part in found["by_distance"]] == [0.5, 0, 0, 0, 0, 0]
    assert [part["pixels"] for part in found["by_distance"]] == [120, 120, 240, 480, 960, 1680]
    assert [part["error"] for part in found["classes"][1]["by_distance"]] == [1, 0, 0, 0, 0, 0]


@given(order=st.permutations(range(5)))
def test_the_order_of_images_has_no_meaning(order):
    rng = np.random.default_rng(0)
    drawn = [np.kron(rng.integers(0, 3, (2, 4, 4)), np.ones((1, 6, 6))) for _ in order]
    samples = [sample(truth, predicted, rng.random(truth.shape)) for truth, predicted in drawn]
    assert diagnosed(*(samples[i] for i in order)) == diagnosed(*samples)


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [
        (np.full((6, 6), 255), np.zeros((6, 6))),
        (np.zeros((6, 6)), np.ones((6, 6))),
        (np.ones((6, 6)), np.zeros((6, 6))),
        (np.ones((1, 1)), np.ones((1, 1))),
        (np.array([[0, 1], [2, 255]]), np.array([[1, 1], [1, 1]])),
    ],
    ids=["all ignored", "no foreground", "nothing found", "one pixel", "tiny"],
)
def test_degenerate_images_have_a_result_without_nan(truth, predicted):
    found = diagnosed(sample(truth, predicted))
    assert found["images"] == 1
    assert [finding.kind for finding in findings(found, LABELS, PLANNED)] == ["none", "unsupported"]


def test_nothing_at_all_has_a_result():
    found = diagnosed()
    assert (found["images"], found["pixels"], found["pairs"]) == (0, 0, [])
    assert found["classes"][1]["recall"] is None
    assert "Too little to tell" in told(found)


def test_confident_exchanges_inside_ask_for_context_from_variants_that_there_are():
    truth = halves(60)
    one = sample(truth, changed(truth, slice(0, 20), slice(2, 20), 2), 0.97)
    finding = told(diagnosed(one, one, one))["cell is taken for wall"]
    assert (
        "20 % of the true pixels of cell are predicted as wall; 0 % of wall as cell (1,080 px in 3"
        in finding.text
    )
    assert "mostly inside" in finding.text
    assert "0.97, over 0.9 at 100 % of them: confident errors" in finding.text
    assert "context" in finding.remedy
    assert (
        "Variants with attention: self_attention_unet, attention_unet, se_resnet18_unet"
        in finding.remedy
    )
    few = told(diagnosed(one, one, one), known=["unet", "se_resnet18_unet"])[
        "cell is taken for wall"
    ]
    assert few.remedy.endswith("Variants with attention: se_resnet18_unet (`variants`).")
    none = told(diagnosed(one, one, one), known=[])["cell is taken for wall"]
    assert "unet" not in none.remedy


def test_hesitant_exchanges_are_not_called_confident():
    truth = halves(60)
    one = sample(truth, changed(truth, slice(0, 20), slice(2, 20), 2), 0.5)
    finding = told(diagnosed(one, one, one))["cell is taken for wall"]
    assert "hesitant errors" in finding.text
    assert "`train.steps`" in finding.remedy


def test_exchanges_at_the_border_ask_for_better_masks_and_detail():
    truth = halves(20)
    predicted = changed(truth, slice(None), slice(9, 10), 2)
    predicted[0:10, 10] = 1
    found = told(diagnosed(*[sample(truth, predicted)] * 6))
    finding = found["cell and wall are exchanged"]
    assert "mostly at the border" in finding.text
    assert finding.remedy.startswith("Look at the masks first")
    assert "unet_pp" in finding.remedy
    assert "Most errors lie at borders" in found


def test_what_two_images_show_is_not_claimed():
    truth = halves(60)
    one = sample(truth, changed(truth, slice(0, 20), slice(2, 20), 2))
    assert {finding.kind for finding in told(diagnosed(one, one)).values()} == {
        "none",
        "unsupported",
    }


def test_an_exchange_in_two_of_three_images_is_not_claimed():
    truth = halves(60)
    one = sample(truth, changed(truth, slice(0, 20), slice(2, 20), 2))
    assert "cell is taken for wall" not in told(diagnosed(one, one, sample(truth, truth)))


def test_a_class_that_two_of_many_images_hold_is_not_judged():
    truth, empty = np.zeros((200, 200)), np.zeros((200, 200))
    truth[0:10, 0:30] = 2
    found = told(diagnosed(*[sample(truth, empty)] * 2, *[sample(empty, empty)] * 3))
    assert {finding.kind for finding in found.values()} == {"none", "distance", "unsupported"}
    assert "cell, wall" in found["Too few to tell"].text


def test_a_perfect_model_has_no_weakness_and_that_is_said():
    truth = halves(60)
    found = told(diagnosed(*[sample(truth, truth)] * 3), labels=LABELS)
    assert list(found) == ["Neither weakness stands out", "Too few to tell"]
    assert "background" in found["Too few to tell"].text
    assert "no proof" in found["Neither weakness stands out"].text


def test_objects_that_are_found_unevenly_are_told_with_their_size():
    truth = np.zeros((80, 80))
    truth[2:6, 2:6], truth[2:6, 22:26], truth[30:70, 10:70] = 1, 1, 1
    predicted = changed(truth, slice(0, 8), slice(None), 0)
    found = told(diagnosed(*[sample(truth, predicted)] * 5))
    finding = found["Objects of cell are found unevenly"]
    assert (
        "Of 15 objects of cell, 67 % are found to less than half and 33 % to nine tenths or more"
        in finding.text
    )
    assert "recall 0.00 from 16 to 64 px, 1.00 from 1024 to 4096 px" in finding.text
    assert "resolution" in finding.remedy


def test_holes_and_parts_ask_for_a_larger_view():
    truth = np.zeros((40, 40))
    truth[5:35, 5:35] = 1
    predicted = changed(truth, slice(5, 35), slice(14, 16), 0)
    predicted[20:24, 24:28] = 0
    found = told(diagnosed(*[sample(truth, predicted)] * 10))
    finding = found["Objects of cell fall apart"]
    assert "1.8 % of the pixels of its objects lie in 10 holes" in finding.text
    assert (
        "100 % of the objects that are found come in several parts, 2.0 on average" in finding.text
    )
    assert "Variants: unet_pp, self_attention_unet, attention_unet" in finding.remedy


def test_a_rare_class_that_is_never_predicted_is_told():
    truth = np.zeros((200, 200))
    truth[0:10, 0:30] = 2
    found = told(diagnosed(*[sample(truth, np.zeros_like(truth))] * 3))
    finding = found["wall is rare and never found"]
    assert "0.75 % of the labelled pixels, in 3 images" in finding.text
    assert "`train.losses.dice`" in finding.remedy


def test_of_many_weak_classes_the_worst_three_are_told_in_full():
    labels = Labels(tuple(f"c{i}" for i in range(7)), tuple(range(7)), 255)
    truth = np.kron(np.arange(1, 7)[None], np.ones((100, 20)))
    truth = np.pad(truth, ((0, 0), (0, 300)))
    predicted = truth.copy()
    for i in range(1, 7):
        predicted[: 10 * i][truth[: 10 * i] == i] = 0
    made = findings(
        diagnosed(*[sample(truth, predicted, labels=labels)] * 3, labels=labels), labels, []
    )
    pairs = [finding for finding in made if finding.kind == "indistinction"]
    assert [finding.title for finding in pairs] == [f"c{i} is taken for c0" for i in (6, 5, 4)]
    assert pairs[-1].text.endswith(
        "Also seen, less so: c3 is taken for c0; c2 is taken for c0; c1 is taken for c0."
    )


def test_many_errors_far_from_borders_are_told():
    truth = halves(80)
    one = sample(truth, changed(truth, slice(0, 60), slice(0, 30), 2))
    finding = told(diagnosed(one, one, one))["Many errors lie far from any border"]
    assert finding.remedy


def test_remedies_name_settings_that_exist():
    from maskmill.report import findings as module

    names = set(re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)`", Path(module.__file__).read_text())) - {
        "known"
    }
    names = {name for name in names if name.split(".")[0] in Params.model_fields}
    assert {
        "train.losses.dice",
        "train.steps",
        "augmentation.crop_px",
        "augmentation.transforms",
        "variants",
    } <= names
    assert "dice" in components.names("maskmill.losses")
    for section, *rest in (name.split(".") for name in names):
        field = Params.model_fields[section]
        if rest:
            assert rest[0] in field.annotation.model_fields


def test_remedies_name_variants_that_are_known():
    truth = halves(60)
    one = sample(truth, changed(truth, slice(0, 20), slice(2, 20), 2), 0.97)
    known = models.names()
    for finding in findings(diagnosed(one, one, one), LABELS, known):
        assert set(re.findall(r"\w*unet\w*", finding.remedy)) <= set(known)
