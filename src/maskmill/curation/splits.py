"""Assign each pair to a split: whole groups, and copies of one image together.

data/splits.csv freezes the division.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from maskmill.curation import duplicates, leakage, stratify
from maskmill.curation.frozen import FOLD, Frozen
from maskmill.settings.config import SPLITS, Splits
from maskmill.system.errors import MaskmillError, few_of

_SHOWN = 10


@dataclass(frozen=True)
class Division:
    """The manifest with its splits, and what data/splits.csv calls them.

    Both name every group, and none where the source gives the splits.
    """

    table: pd.DataFrame  # with the columns `split` ("": left out) and `fold` (-1: in none)
    names: Mapping[str, str]  # group -> train, val, test or foldN
    frozen_names: Mapping[str, str]  # the same, without folds where data/splits.csv has none


def assign_splits(
    manifest: pd.DataFrame, pairs: pd.DataFrame, frozen: Frozen, splits: Splits
) -> Division:
    """Give each pair its `split` and `fold` (-1 where there are no folds).

    The split that the source gives, where `splits.given` says so (with `splits.folds`, only its
    test split); else the one that data/splits.csv names for its group, else a new one: images that
    show the same (`pairs`: columns a, b) or share a mask stay together, images and classes are
    divided by the wanted shares, and every split holds every class where that can be. Of neighbours
    in two of these splits, within `splits.guard` places of a sequence, one is left out (split ""),
    of train rather than of val, of val rather than of test.

    Raises: MaskmillError for a malformed file, an empty split, or too few groups.
    """
    unit = _tied_groups(manifest, pairs)
    if splits.given:
        table, frozen = _given_splits(manifest), Frozen(frozen.path, {})
    else:
        table = manifest.assign(fold=-1)
        table["split"] = table["group"].map(_split_of_groups(table, unit, frozen, splits))
    whole = dict(zip(table["group"], table["split"], strict=True))
    if splits.folds is not None:
        table["fold"] = _folds(table, unit, frozen, splits)
        table["split"] = np.where(
            table["fold"] < 0,
            table["split"],
            np.where(table["fold"] == splits.fold, "val", "train"),
        )
    called = np.where(table["fold"] < 0, table["split"], "fold" + table["fold"].astype(str))
    names = {} if splits.given else dict(zip(table["group"], called, strict=True))
    if not splits.given or splits.folds is not None:
        table = _guarded(table, splits.guard)
    _check_filled(table, unit, frozen, splits)
    return Division(table, names, names if splits.given or frozen.has_folds else whole)


def to_freeze(names: Mapping[str, str], frozen: Frozen) -> pd.DataFrame:
    """Return what data/splits.csv would hold to keep this division.

    Its columns are group and split. Groups that are away at the moment are kept, too.
    """
    return pd.DataFrame(sorted({**frozen.split_of, **names}.items()), columns=["group", "split"])


def _given_splits(manifest: pd.DataFrame) -> pd.DataFrame:
    lacking = manifest[~manifest["given_split"].isin(SPLITS)]["id"].tolist()
    if lacking:
        raise MaskmillError(
            f"params.yaml: splits.given is true, and the source gives {len(lacking)} of"
            f" {len(manifest)} images no split of {', '.join(SPLITS)}: {few_of(lacking, _SHOWN)};"
            " put them into one, or set splits.given: false"
        )
    return manifest.assign(split=manifest["given_split"], fold=-1)


def _tied_groups(table: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, str]:
    """Group -> the first of those that copies or a mask tie it to: they are assigned as one."""
    group_of = dict(zip(table["id"], table["group"], strict=True))
    tied = pairs[pairs["a"].isin(group_of.keys()) & pairs["b"].isin(group_of.keys())]
    groups = sorted(set(table["group"]))
    copies = pd.DataFrame({"a": tied["a"].map(group_of), "b": tied["b"].map(group_of)})
    between = pd.concat([copies, _groups_of_one_mask(table)])
    return dict(zip(groups, duplicates.connected_components(groups, between), strict=True))


def _groups_of_one_mask(table: pd.DataFrame) -> pd.DataFrame:
    """Pairs a, b of groups: the first one that holds a mask, with each other one."""
    if "sha256_mask" not in table:  # before any mask was read
        return pd.DataFrame(columns=["a", "b"])
    known = table.assign(mask=leakage.masks_of_several_values(table)).dropna(subset=["mask"])
    known = known.sort_values("group")[["group", "mask"]].drop_duplicates()
    first = known.groupby("mask")["group"].transform("first")
    return pd.DataFrame({"a": first, "b": known["group"]})[first != known["group"]]


def _split_of_groups(
    table: pd.DataFrame, unit: Mapping[str, str], frozen: Frozen, splits: Splits
) -> dict[str, str]:
    """The split of every group; with folds, only test is final."""
    decided: dict[str, str] = {}
    for group, split in frozen.split_of.items():
        if group not in unit:
            continue
        if FOLD.fullmatch(split) and splits.folds is None:
            raise MaskmillError(
                f"{frozen.path}: group {group} is frozen in {split}, and splits.folds in"
                " params.yaml is null; set the number of folds there, or give the group one of"
                " train, val, test"
            )
        decided[group] = split if split in SPLITS else "train"
    of_unit = {unit[group]: split for group, split in decided.items()}
    free = sorted({name for name in unit.values() if name not in of_unit})
    amounts = _amounts(table, table["group"].map(unit))
    held = np.zeros((len(SPLITS), amounts.shape[1]))
    for name, split in of_unit.items():
        held[SPLITS.index(split)] += amounts.loc[name]
    shares = (1 - splits.val - splits.test, splits.val, splits.test)
    placed = stratify.stratify_groups(
        amounts.loc[free].to_numpy(), shares, np.random.default_rng(splits.seed), held
    )
    of_unit |= {name: SPLITS[part] for name, part in zip(free, placed, strict=True)}
    return {group: decided.get(group, of_unit[name]) for group, name in unit.items()}


def _amounts(table: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """For each value of `by`: its images, and its pixels of each class."""
    classes = [column for column in table if column.startswith("px_")]
    return table.assign(images=1)[["images", *classes]].groupby(by.to_numpy()).sum().astype(float)


def _folds(
    table: pd.DataFrame, unit: Mapping[str, str], frozen: Frozen, splits: Splits
) -> pd.Series:
    """The fold of each image that is not of test; frozen ones stay."""
    assert splits.folds is not None
    held = {group: int(found[1]) for group, split in frozen.split_of.items() if group in unit
            if (found := FOLD.fullmatch(split))}  # fmt: skip
    if too_high := sorted(group for group, fold in held.items() if fold >= splits.folds):
        raise MaskmillError(
            f"{frozen.path}: groups {too_high} are frozen in a fold above fold{splits.folds - 1};"
            " set splits.folds in params.yaml higher, or take these lines out"
        )
    rest = table[table["split"] != "test"]
    units = rest["group"].map(unit)
    if units.nunique() < splits.folds:
        raise MaskmillError(
            f"params.yaml: splits.folds: {splits.folds} folds of {units.nunique()} groups; at most"
            " as many folds as groups that do not test"
        )
    fold_of = {unit[group]: fold for group, fold in held.items()} or _stratified(
        rest, units, splits
    )
    for name in sorted(set(units) - fold_of.keys()):  # new beside frozen ones: to the smallest fold
        sizes = units.map(fold_of).value_counts().reindex(range(splits.folds), fill_value=0)
        fold_of[name] = int(sizes.idxmin())
    # what is frozen stays, also where copies tie it
    folds = rest["group"].map(held).fillna(units.map(fold_of))
    return folds.reindex(table.index).fillna(-1).astype(int)


def _stratified(rest: pd.DataFrame, units: pd.Series, splits: Splits) -> dict[str, int]:
    """Unit -> fold, so that the rarest class that an image holds is spread over the folds."""
    from sklearn.model_selection import StratifiedGroupKFold

    pixels = rest[[column for column in rest if column.startswith("px_")]].to_numpy(float)
    by_rarity = np.argsort(pixels.sum(axis=0), kind="stable")
    held = pixels[:, by_rarity] > 0
    rarest = by_rarity[held.argmax(axis=1)] if pixels.shape[1] else np.zeros(len(rest), int)
    kinds, counts = np.unique(rarest, return_counts=True)
    few = np.isin(rarest, kinds[counts < (splits.folds or 0)])  # cannot be in every fold
    rarest = np.where(few, kinds[counts.argmax()], rarest)
    folds = StratifiedGroupKFold(splits.folds, shuffle=True, random_state=splits.seed)
    fold_of: dict[str, int] = {}
    for fold, (_, held_out) in enumerate(folds.split(rest, rarest, units)):
        fold_of |= dict.fromkeys(units.iloc[held_out], fold)
    return fold_of


def _guarded(table: pd.DataFrame, guard: int) -> pd.DataFrame:
    """Without the neighbours of another split, of which those that train go first."""
    left_out = set()
    for _, rows in table[table["sequence"] != ""].groupby("sequence"):
        if rows["split"].nunique() > 1:
            left_out |= {
                earlier for earlier, _ in leakage.neighbour_pairs(rows, guard, within_groups=True)
            }
    gone = table.index.isin(left_out)
    return table.assign(split=table["split"].mask(gone, ""), fold=table["fold"].mask(gone, -1))


def _check_filled(
    table: pd.DataFrame, unit: Mapping[str, str], frozen: Frozen, splits: Splits
) -> None:
    counts, groups = table["split"].value_counts(), table["group"].nunique()
    for split in SPLITS:
        if counts.get(split, 0):
            continue
        said = f"split {split!r} is empty ({len(table)} images in {groups} groups); "
        if splits.given:
            said += (
                "the source gives it no image: add some, or set splits.given: false in params.yaml"
            )
        elif groups < len(SPLITS):
            said += (
                f"at least {len(SPLITS)} groups are needed: say what a group is in data/source.yaml"
                " (`groups`; `blocks: 5` cuts a stack), or add images"
            )
        elif len(set(unit.values())) < len(SPLITS):
            said += (
                f"copies and shared masks tie the groups to {len(set(unit.values()))} units"
                f" ({_ties_in_words(unit)}), and at least {len(SPLITS)} are needed: take what is"
                f" there twice out, or assign the groups in {frozen.path} and allow what leaks by"
                " then (splits.allow_leaks in params.yaml)"
            )
        else:
            said += (
                f"assign a group to it in {frozen.path}, or change splits.val and splits.test in"
                " params.yaml"
            )
        raise MaskmillError(said)


def _ties_in_words(unit: Mapping[str, str]) -> str:
    """The groups that are tied to another one."""
    tied = [f"{group} to {first}" for group, first in sorted(unit.items()) if group != first]
    return few_of(tied, _SHOWN)
