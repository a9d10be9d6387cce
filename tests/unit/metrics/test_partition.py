import numpy as np
import pytest
from scipy.stats import entropy
from skimage.measure import label
from skimage.metrics import adapted_rand_error, variation_of_information
from skimage.segmentation import expand_labels
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import pair_confusion_matrix

from maskmill.metrics.partition import partition
from tests.unit.metrics.cases import blobs, labels, one_class, scores

MERGED = one_class("#####", "##.##")


def test_two_cells_merged_by_hand():
    found = scores(partition(labels=labels(), segments="b"), MERGED)
    assert found["v_rand_split"] == found["v_info_split"] == 1 or found["v_info"] == 0
    # of two pixels in one predicted segment, one cell: half
    assert found["v_rand_merge"] == pytest.approx(1 / 2)
    assert found["v_rand"] == pytest.approx(2 / 3)
    assert found["v_info"] == pytest.approx(0, abs=1e-12)


def test_one_cell_split_by_hand():
    found = scores(partition(labels=labels(), segments="b"), one_class("##.##.", "#####."))
    # the pixel between joins the first of its nearest: 3 and 2 of 5 pixels
    assert found["v_rand_split"] == pytest.approx((9 + 4) / 25)
    assert found["v_rand_merge"] == 1
    assert found["v_info_merge"] == 1
    assert found["v_info_split"] == 0


def test_the_width_of_what_parts_segments_counts_only_if_not_thinned():
    wider = one_class("##..##", "###.##")
    assert scores(partition(labels=labels(), segments="b"), wider)["v_rand"] == 1
    assert scores(partition(labels=labels(), segments="b", thin=False), wider)[
        "v_rand_split"
    ] == pytest.approx((4 + 1 + 4) / (9 + 4))


def reference(one, thin):
    """The six scores by scikit-image and scikit-learn."""
    truth, predicted = (
        label(ids.numpy() == 1, connectivity=1) for ids in (one.truth, one.predicted)
    )
    if thin:
        predicted = expand_labels(predicted, distance=1000)
    else:
        free = predicted == 0
        predicted[free] = predicted.max() + 1 + np.arange(free.sum())
    inside = truth > 0
    t, s = truth[inside], predicted[inside]
    # of distinct pixels, which scikit-image looks at
    (_, merged), (split, together) = pair_confusion_matrix(t, s)
    error = adapted_rand_error(truth, predicted, ignore_labels=(0,))[0]
    assert 1 - error == pytest.approx(2 * together / (2 * together + split + merged))
    together += len(t)  # the paper's sums also pair each pixel with itself
    h_t, h_s = (entropy(np.unique(ids, return_counts=True)[1]) for ids in (t, s))
    information = mutual_info_score(t, s)
    given = sum(variation_of_information(truth, predicted, ignore_labels=(0,))) * np.log(2)
    assert given == pytest.approx(h_s + h_t - 2 * information)
    return {
        "v_rand": 2 * together / (2 * together + split + merged),
        "v_rand_merge": together / (together + merged),
        "v_rand_split": together / (together + split),
        "v_info": 2 * information / (h_s + h_t),
        "v_info_split": information / h_s, "v_info_merge": information / h_t,
    }  # fmt: skip


@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_image_and_scikit_learn(seed, thin):
    one = blobs(seed, smooth=1.5)
    found = scores(partition(labels=labels(), segments="b", thin=thin), one)
    assert found == pytest.approx(reference(one, thin), abs=1e-9)


def test_over_images_it_is_their_mean_and_images_without_segments_do_not_count():
    family, samples = partition(labels=labels(), segments="b"), [blobs(0), blobs(1)]
    alone = [scores(family, one)["v_rand"] for one in samples]
    assert scores(family, *samples, one_class("##", ".."))["v_rand"] == pytest.approx(
        np.mean(alone)
    )
