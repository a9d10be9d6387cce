"""What every family of scores promises; a new file in `metrics` is tested by being there."""

import math
import warnings

import numpy as np
import pytest
import torch
import torch.multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskmill import metrics
from maskmill.metrics import definition_key
from maskmill.system import components
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY
from tests.unit.metrics.cases import IGNORE, blobs, labels, sample, scores

NAMES = components.names("maskmill.metrics")
NEEDED = {"partition": {"segments": "b"}}  # options without a default
SIZE = (6, 7)
IDS, MASKS = (
    hnp.arrays(np.uint8, SIZE, elements=st.sampled_from(ids))
    for ids in ([0, 1, 2], [0, 1, 2, IGNORE])
)
# % of the predicted class, of three
SURENESS = hnp.arrays(np.uint8, SIZE, elements=st.integers(34, 100))


def created(name):
    return metrics.create({name: NEEDED.get(name, {})}, labels()).families[name]


def with_sureness(predicted, truth, sureness):
    p = torch.tensor(sureness / 100)
    others = ((1 - p) / 2).expand(3, *SIZE)
    return sample(
        predicted, truth, others.scatter(0, torch.tensor(predicted)[None].long(), p[None])
    )


SAMPLES = st.builds(with_sureness, IDS, MASKS, SURENESS)


@pytest.fixture(params=NAMES)
def family(request):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield created(request.param)


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(SAMPLES, min_size=2, max_size=5), st.randoms(), st.integers(1, 4))
@settings(max_examples=15)
def test_neither_order_nor_batches_nor_processes_change_the_scores(name, samples, random, cut):
    family = created(name)
    whole = torch.stack([family.statistic(one) for one in samples]).sum(0)
    random.shuffle(samples)
    parts = [
        sum(family.statistic(one) for one in part)
        for part in (samples[:cut], samples[cut:])
        if part
    ]
    again = torch.stack(parts).sum(0)
    assert torch.allclose(again, whole, rtol=1e-12, atol=1e-12)
    for score, value in family.scores(whole).items():
        assert torch.allclose(family.scores(again)[score], value, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
@given(SAMPLES, IDS, SURENESS)
@settings(max_examples=15)
def test_ignored_pixels_change_nothing_whatever_was_predicted_there(name, one, ids, sureness):
    family, ignored = created(name), one.truth == IGNORE
    other = with_sureness(ids, one.truth.numpy(), sureness)
    mixed = sample(
        torch.where(ignored, other.predicted, one.predicted),
        one.truth,
        torch.where(ignored, other.probabilities, one.probabilities),
    )
    assert torch.equal(family.statistic(mixed), family.statistic(one))


@pytest.mark.parametrize("name", NAMES)
@given(SAMPLES)
@settings(max_examples=15)
def test_a_statistic_is_finite_and_changes_no_image(name, one):
    family = created(name)
    before = [part.clone() for part in (one.predicted, one.truth, one.probabilities)]
    statistic = family.statistic(one)
    assert statistic.shape == (len(family.fields),)
    assert statistic.dtype == torch.float64
    assert torch.isfinite(statistic).all()
    assert all(
        torch.equal(a, b)
        for a, b in zip(before, (one.predicted, one.truth, one.probabilities), strict=True)
    )


def test_many_sums_are_scored_at_once(family):
    rows = torch.stack(
        [family.statistic(blobs(seed)) for seed in range(3)] + [torch.zeros(len(family.fields))]
    )
    sums = rows[torch.tensor([[0, 1, 2], [3, 0, 1]])]
    every = family.scores(sums)
    for i in range(2):
        for j in range(3):
            for score, value in family.scores(sums[i, j]).items():
                assert every[score].shape == (2, 3)
                assert torch.allclose(every[score][i, j], value, atol=1e-12, equal_nan=True)


def test_every_score_is_defined_and_no_other(family):
    made = {definition_key(score) for score in scores(family, blobs(0))}
    assert made == set(family.definitions)
    assert family.lower <= made
    assert len(set(family.fields)) == len(family.fields)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("boundary", {}, "within 0.75 % of the diagonal of the other boundary"),
        ("boundary", {"tolerance_px": 3.0}, "within 3 px of the other boundary"),
        ("boundary", {"band_share": 0.05}, "within 5 % of the diagonal of their own boundary"),
        ("surface", {"tolerance_px": 1.5}, "within 1.5 px of the other boundary"),
        ("calibration", {"bins": 10}, "in 10 equal bins"),
        ("objects", {"iou": 0.4}, "at an IoU of 0.4 or more"),
        ("partition", {"segments": "b"}, "segments are parts of b"),
    ],
)
def test_a_definition_says_what_the_options_decide(name, options, said):
    family = metrics.create({name: options}, labels()).families[name]
    assert any(said in text for text in family.definitions.values())


def test_the_page_of_metrics_lists_every_score(family):
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    assert [
        name for name in family.definitions if f"`{name.replace('/', '/CLASS')}`" not in page
    ] == []


def test_no_two_families_have_a_score_in_common():
    every = metrics.create({name: NEEDED.get(name, {}) for name in NAMES}, labels())
    assert len(every.names) == sum(
        len(family.scores(torch.zeros(len(family.fields)))) for family in every.families.values()
    )
    totals = every.statistic(blobs(0))
    for name, part in every.split(totals).items():
        assert torch.equal(part, every.families[name].statistic(blobs(0)))


def test_all_ignored_is_nan_not_an_error(family):
    nothing = sample(np.ones(SIZE), np.full(SIZE, IGNORE))
    assert all(math.isnan(value) for value in scores(family, nothing).values())
    with_more = scores(family, nothing, blobs(1))
    assert with_more == pytest.approx(scores(family, blobs(1)), nan_ok=True)


def test_a_right_and_sure_prediction_gets_the_best_score(family):
    truth = blobs(2).truth
    p = torch.nn.functional.one_hot(truth.long(), 3).movedim(-1, 0)
    for score, value in scores(family, sample(truth, truth, p)).items():
        assert value == (0 if definition_key(score) in family.lower else pytest.approx(1))


def test_one_class_alone_leaves_the_others_without_a_score(family):
    alone = np.ones(SIZE)
    for score, value in scores(
        family, sample(alone, alone, np.stack([np.zeros(SIZE), alone, np.zeros(SIZE)]))
    ).items():
        if score.endswith(("/a", "/c")) or score.startswith("auroc"):
            assert math.isnan(value)
        else:
            assert value == (0 if definition_key(score) in family.lower else 1)


DIAGONAL = math.hypot(*SIZE)
MISSED = {  # class b in the truth, nothing of it predicted
    "dice/b": 0, "precision/b": math.nan, "recall/b": 0, "image_dice/b": 0, "boundary_f1/b": 0,
    "boundary_iou/b": 0, "hd95/b": DIAGONAL, "nsd/b": 0, "object_f1/b": 0,
    "object_precision/b": math.nan, "object_recall/b": 0, "object_iou/b": math.nan, "cldice/b": 0,
    "v_rand": 2 / (6 + 1), "v_rand_split": 1 / 6, "v_rand_merge": 1, "v_info": 0, "v_info_split": 0,
    "v_info_merge": 1,
}  # fmt: skip
INVENTED = {  # class b predicted, and not there
    **MISSED, "precision/b": 0, "recall/b": math.nan, "object_precision/b": 0,
    "object_recall/b": math.nan, "auroc/b": math.nan, "average_precision/b": math.nan,
    **{name: math.nan for name in MISSED if name.startswith("v_")},
}  # fmt: skip


def test_a_class_that_is_only_missed_or_only_invented_has_the_documented_score(family):
    nothing, bar = np.zeros(SIZE), np.zeros(SIZE)
    bar[2:4, 2:5] = 1
    for predicted, truth, documented in ((nothing, bar, MISSED), (bar, nothing, INVENTED)):
        found = scores(family, sample(predicted, truth))
        for score in found.keys() & documented.keys():
            assert found[score] == pytest.approx(documented[score], abs=1e-12, nan_ok=True), score


def test_one_pixel_is_an_image(family):
    for score, value in scores(family, sample([[1]], [[1]])).items():
        assert math.isnan(value) or 0 <= value <= 1, score


def _summed(rank, path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{path}/meet", rank=rank, world_size=2
    )
    every = metrics.create({name: NEEDED.get(name, {}) for name in NAMES}, labels())
    totals = sum(every.statistic(blobs(seed)) for seed in range(rank, 5, 2))
    torch.distributed.all_reduce(totals)
    torch.save(totals, f"{path}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_sum_to_the_scores_of_one(tmp_path):
    # imports nothing again
    torch.multiprocessing.start_processes(_summed, (tmp_path,), nprocs=2, start_method="fork")
    every = metrics.create({name: NEEDED.get(name, {}) for name in NAMES}, labels())
    alone = scores(every, *(blobs(seed) for seed in range(5)))
    for rank in range(2):
        totals = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        together = {name: float(value) for name, value in every.scores(totals).items()}
        assert together == pytest.approx(alone, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("options", "where", "said"),
    [
        (
            {"boundary": {"tolerance_px": -1.0}},
            "boundary.tolerance_px",
            "got -1.0: {} greater than or equal to 0",
        ),
        (
            {"boundary": {"band_share": 0.9}},
            "boundary.band_share",
            "got 0.9: {} less than or equal to 0.5",
        ),
        (
            {"boundary": {"tolerance_px": 2.0, "tolerance_share": 0.01}},
            "boundary",
            "got tolerance_px 2 and tolerance_share 0.01; only one of them is allowed; delete one",
        ),
        ({"surface": {"tolerance_px": "2"}}, "surface.tolerance_px", "got '2': {} a valid number"),
        ({"objects": {"iou": 0.0}}, "objects.iou", "got 0.0: {} greater than 0"),
        ({"objects": {"connectivity": 6}}, "objects.connectivity", "got 6: {} 4 or 8"),
        (
            {"partition": {"segments": "bb"}},
            "partition.segments",
            "got 'bb', which is no class; did you mean 'b'?; name one of data.classes: a, b, c",
        ),
        ({"auc": {"steps": 5}}, "auc.steps", "got 5: {} greater than or equal to 10"),
        ({"calibration": {"bins": 1}}, "calibration.bins", "got 1: {} greater than or equal to 2"),
        ({"surfaces": {}}, "surfaces", "'surfaces' is not known; did you mean 'surface'?"),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(options, where, said):
    with pytest.raises(MaskmillError) as raised:
        metrics.create(options, labels())
    assert f"params.yaml: metrics.{where}: {said.format('Input should be')}" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"surface": {"tolerance": 2.0}},
            "surface.tolerance is not an option; did you mean 'tolerance_px'?",
        ),
        ({"partition": {}}, "partition.segments is missing; add it"),
        (
            {"cldice": {"labels": 1}},
            "cldice.labels follows from the data and cannot be set; delete it",
        ),
    ],
)
def test_a_wrong_or_missing_option_is_named(options, said):
    with pytest.raises(MaskmillError) as raised:
        metrics.create(options, labels())
    assert f"params.yaml: metrics.{said}" in str(raised.value)
