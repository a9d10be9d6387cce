"""Every part holds every class where that can be, held against all divisions there are."""

import itertools

import numpy as np
import pytest

from maskmill.curation.stratify import stratify_groups

SHARES = (0.7, 0.15, 0.15)


def amounts_of(seed, groups, classes):
    """(G, 1 + C) images and pixels: rare and common classes, small and large groups."""
    rng = np.random.default_rng(seed)
    holds = rng.random((groups, classes)) < rng.uniform(0.1, 0.9, classes)
    pixels = holds * rng.lognormal(6, 1.5, holds.shape)
    return np.column_stack([rng.integers(1, 12, groups), pixels])


def lacking(amounts, parts):
    """How many times a part has no image, or lacks a class that there is."""
    sums = np.array([amounts[parts == part].sum(axis=0) for part in range(len(SHARES))])
    return int((sums[:, amounts.sum(axis=0) > 0] == 0).sum())


def fewest_lacking(amounts):
    """The least over all divisions without an empty part."""
    every = np.array(list(itertools.product(range(len(SHARES)), repeat=len(amounts))))
    holds = amounts[:, amounts.sum(axis=0) > 0] > 0
    covered = np.stack([(every == part) @ holds > 0 for part in range(len(SHARES))])
    filled = covered[:, :, 0].all(axis=0)
    return int((~covered[:, filled]).sum(axis=(0, 2)).min())


@pytest.mark.parametrize("seed", range(40))
def test_no_class_is_lacking_that_need_not_be(seed):
    amounts = amounts_of(seed, groups=3 + seed % 6, classes=2 + seed % 5)
    parts = stratify_groups(amounts, SHARES, np.random.default_rng(seed))
    assert lacking(amounts, parts) == fewest_lacking(amounts)


def test_a_division_that_only_a_search_finds_is_found():
    """Of 12 groups three hold each class, and each group several: by moves alone one is lacking."""
    rng = np.random.default_rng(3)
    hidden = np.arange(12) % 3
    holds = np.zeros((12, 14))
    for kind in range(14):
        for part in range(3):
            holds[rng.choice(np.flatnonzero(hidden == part)), kind] = 1
    amounts = np.column_stack([np.ones(12), holds])
    for seed in range(5):
        parts = stratify_groups(amounts, SHARES, np.random.default_rng(seed))
        assert lacking(amounts, parts) == 0


def test_what_parts_hold_already_counts():
    amounts = np.array([[2.0, 5.0], [2.0, 0.0], [2.0, 5.0]])
    held = np.array([[14.0, 5.0], [1.0, 0.0], [1.0, 0.0]])
    parts = stratify_groups(amounts, SHARES, np.random.default_rng(0), held)
    assert sorted(parts[[0, 2]].tolist()) == [1, 2]


def test_shares_are_met_where_classes_are_everywhere():
    amounts = np.column_stack([np.full(200, 5.0), np.full(200, 70.0)])
    parts = stratify_groups(amounts, SHARES, np.random.default_rng(0))
    assert np.bincount(parts).tolist() == [140, 30, 30]


def test_a_class_of_few_among_many_groups_is_in_every_part():
    amounts = amounts_of(0, groups=5000, classes=4)
    amounts[:, 1] = 0
    amounts[[17, 2000, 4321], 1] = 50
    parts = stratify_groups(amounts, SHARES, np.random.default_rng(0))
    assert sorted(parts[[17, 2000, 4321]].tolist()) == [0, 1, 2]
    images = np.bincount(parts, weights=amounts[:, 0])
    assert images / images.sum() == pytest.approx(SHARES, abs=0.02)
