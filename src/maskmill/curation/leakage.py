"""What stands on both sides of a split: copies, groups, neighbours in a sequence, and masks."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from maskmill.curation.duplicates import connected_components
from maskmill.settings.config import SPLITS, Splits
from maskmill.system.errors import MaskmillError, few_of

_NOUNS = {
    "copy": "copies of one image",
    "group": "one group",
    "neighbours": "neighbours",
    "mask": "one mask",
}
_SHOWN = 5  # leaks of a kind, pairs of a leak, and names that a message holds

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Leak:
    """A tie between splits, because of which scores would not tell how a model does on new data."""

    kind: str  # copy, group, neighbours, mask
    name: str  # of the group or sequence, or the first id
    splits: tuple[str, ...]
    ids: list[str]
    # (earlier, later) of two splits; what is tied to an earlier split is `later` in at least one
    pairs: Pairs
    allowed: bool
    message: str


def find_leaks(table: pd.DataFrame, pairs: pd.DataFrame, splits: Splits) -> list[Leak]:
    """Find every leak between train, val and test, allowed or not.

    Rows without a split are not looked at.

    Raises: MaskmillError when `splits.allow_leaks` names something that does not leak; not with
        folds.
    """
    every = table.sort_values("id", ignore_index=True)
    first = pd.Series(
        connected_components(every["id"], pairs), dtype=object
    )  # copies may be tied by one that has no split
    in_split = every["split"].isin(SPLITS)
    used, copy_of = every[in_split].reset_index(drop=True), first[in_split].reset_index(drop=True)
    found = [
        *_copies(used, pairs, copy_of),
        *_groups(used),
        *_neighbours(used, splits.guard),
        *_masks(used, copy_of),
    ]
    group_of = dict(zip(used["id"], used["group"], strict=True))
    named = set(splits.allow_leaks)
    allowing = [_names_that_allow(leak, group_of, named) for leak in found]
    leaks = [replace(leak, allowed=all(names)) for leak, names in zip(found, allowing, strict=True)]
    idle = sorted(named.difference(*(names for of_leak in allowing for names in of_leak)))
    # what leaks in one division into folds need not leak in another
    if idle and splits.folds is None:
        raise MaskmillError(
            f"params.yaml: splits.allow_leaks: {idle} allow no leak; named there are groups,"
            " sequences and ids that leak"
            f" ({few_of(sorted({leak.name for leak in leaks}), _SHOWN) or 'nothing does'});"
            " take the others out"
        )
    return leaks


def mark_clean_rows(table: pd.DataFrame, leaks: Iterable[Leak]) -> "pd.Series[bool]":
    """Return False for each row that a leak ties to an earlier split, True for the others.

    That is a val image tied to train, or a test image tied to train or val.
    """
    return ~table["id"].isin({later for leak in leaks for _, later in leak.pairs})


def refuse_leaks(leaks: Sequence[Leak], given: bool, frozen: Path) -> None:
    """Raises: MaskmillError that names the leaks which nothing allows, and says how to go on."""
    forbidden = [leak for leak in leaks if not leak.allowed]
    if not forbidden:
        return
    lines = []
    for kind, noun in _NOUNS.items():
        of_kind = [leak for leak in forbidden if leak.kind == kind]
        lines += [f"- {leak.message}" for leak in of_kind[:_SHOWN]]
        if len(of_kind) > _SHOWN:
            lines.append(f"- {noun}: {len(of_kind) - _SHOWN} more")
    names = [
        json.dumps(name, ensure_ascii=False) for name in sorted({leak.name for leak in forbidden})
    ]  # 0016E5 = 16e5
    touched = {later for leak in forbidden for _, later in leak.pairs}
    source = "mend the source's split, or take maskmill's own (splits.given: false in params.yaml)"
    own = (
        f"put what belongs together into one split in {frozen}, or take its lines out to have it"
        " assigned"
    )
    raise MaskmillError(
        f"the split leaks: {len(touched)} images of val and test are tied to a split before theirs,"
        " so that scores would not tell how a model does on new ones\n"
        + "\n".join(lines)
        + f"\n{source if given else own}; or delete the copies;"
        f" or allow leaks by name in params.yaml, splits.allow_leaks: [{few_of(names, _SHOWN)}]:"
        " scores are then given over all images and over the clean ones"
    )


def _copies(used: pd.DataFrame, pairs: pd.DataFrame, copy_of: pd.Series) -> Iterator[Leak]:
    split_of = dict(zip(used["id"], used["split"], strict=True))
    name_of = dict(zip(used["id"], copy_of, strict=True))
    direct: dict[str, Pairs] = {}
    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        if a in split_of and b in split_of and split_of[a] != split_of[b]:
            direct.setdefault(name_of[a], []).append(
                (a, b) if _is_earlier_split(split_of[a], split_of[b]) else (b, a)
            )
    for name, rows in _groups_over_splits(used, copy_of):
        found = direct.get(name, [])
        reached = {later for _, later in found}
        found = found + [pair for pair in _nearest_across_splits(rows) if pair[1] not in reached]
        yield _leak("copy", f"copies of {name}", name, rows, found)


def _is_earlier_split(a: str, b: str) -> bool:
    return SPLITS.index(a) < SPLITS.index(b)


def _groups(used: pd.DataFrame) -> Iterator[Leak]:
    for name, rows in _groups_over_splits(used, used["group"]):
        if name:
            yield _leak("group", f"group {name}", name, rows, _nearest_across_splits(rows))


def _neighbours(used: pd.DataFrame, guard: int) -> Iterator[Leak]:
    for name, rows in _groups_over_splits(used, used["sequence"]):
        ids = rows["id"]
        torn = neighbour_pairs(rows, guard) if name else []
        if torn:
            tied = rows.loc[sorted({i for pair in torn for i in pair})]
            what = f"neighbours in sequence {name}, at most {guard} places apart (splits.guard)"
            yield _leak("neighbours", what, name, tied, [(ids[i], ids[j]) for i, j in torn])


def neighbour_pairs(
    rows: pd.DataFrame, guard: int, within_groups: bool = False
) -> list[tuple[int, int]]:
    """Return index pairs (earlier split, later split) of neighbours in one sequence.

    Neighbours are at most `guard` places apart. There are none where the guard is 0, and none
    within a group unless asked for. Every row that has such a neighbour in another split is paired
    with the nearest one there before it and after it, so that there are no more pairs than that.
    """
    if not guard:
        return []
    ordered = rows.sort_values(["order", "id"])
    index, places = ordered.index.to_numpy(), ordered["order"].to_numpy(dtype=float)
    splits, groups = ordered["split"].to_numpy(dtype=str), ordered["group"].to_numpy(dtype=str)
    pairs: set[tuple[int, int]] = set()
    for ascending in (True, False):
        # of each split the last row, and the last of another group than that
        last: dict[str, list[int]] = {}
        for at in range(len(index)) if ascending else range(len(index) - 1, -1, -1):
            for split in SPLITS:
                other = next(
                    (
                        k
                        for k in last.get(split, ())
                        if within_groups or not groups[at] or groups[k] != groups[at]
                    ),
                    None,
                )
                if (
                    split != splits[at]
                    and other is not None
                    and abs(places[at] - places[other]) <= guard
                ):
                    first, second = (
                        (other, at) if _is_earlier_split(split, splits[at]) else (at, other)
                    )
                    pairs.add((first, second))
            known = last.get(splits[at], [])
            last[splits[at]] = [at, *[k for k in known if groups[k] != groups[at]][:1]]
    return [(int(index[a]), int(index[b])) for a, b in sorted(pairs, key=sorted)]


def masks_of_several_values(table: pd.DataFrame) -> "pd.Series[str]":
    """Give the digest of each mask, and NaN for one of a single value.

    Those are alike without meaning anything: empty ones, say.
    """
    counted = [
        column for column in table.columns if column.startswith("px_") or column == "ignored_px"
    ]
    several = (table[counted].fillna(0) > 0).sum(axis=1) > 1
    return table["sha256_mask"].where(several)


def _masks(used: pd.DataFrame, copy_of: pd.Series) -> Iterator[Leak]:
    """Yield a leak for each mask that different images in several splits share.

    Copies of an image may share theirs.
    """
    for _, rows in _groups_over_splits(used, masks_of_several_values(used)):
        if copy_of[rows.index].nunique() > 1:
            name = str(rows["id"].iloc[0])
            yield _leak(
                "mask",
                f"the mask of {name} over different images",
                name,
                rows,
                _nearest_across_splits(rows),
            )


def _groups_over_splits(used: pd.DataFrame, by: pd.Series) -> Iterator[tuple[str, pd.DataFrame]]:
    """What `by` calls one, where it reaches over splits."""
    count = used["split"].groupby(by).nunique()
    chosen = by[by.isin(count.index[count > 1])]
    for name, rows in used.loc[chosen.index].groupby(chosen):
        yield str(name), rows


def _nearest_across_splits(rows: pd.DataFrame) -> Pairs:
    """Pair each id of a later split with the one of the first split that is nearest in order.

    The nearest pairs come first.
    """
    present = [split for split in SPLITS if (rows["split"] == split).any()]
    base = rows[rows["split"] == present[0]].sort_values(["order", "id"])
    rest = rows[rows["split"] != present[0]]
    places = base["order"].to_numpy(dtype=float)
    right = np.clip(np.searchsorted(places, rest["order"].to_numpy(dtype=float)), 0, len(base) - 1)
    left = np.clip(right - 1, 0, None)
    wanted = rest["order"].to_numpy(dtype=float)
    nearest = np.where(np.abs(places[left] - wanted) <= np.abs(places[right] - wanted), left, right)
    by_distance = np.argsort(np.abs(places[nearest] - wanted), kind="stable")
    earlier, later = base["id"].to_numpy()[nearest], rest["id"].to_numpy()
    return list(zip(earlier[by_distance].tolist(), later[by_distance].tolist(), strict=True))


def _leak(kind: str, what: str, name: str, rows: pd.DataFrame, pairs: Pairs) -> Leak:
    counts = Counter(rows["split"])
    splits = tuple(split for split in SPLITS if counts[split])
    held = ", ".join(f"{counts[split]} in {split}" for split in splits)
    shown = ", ".join(f"{a} and {b}" for a, b in pairs[:_SHOWN])
    more = f" and {len(pairs) - _SHOWN} more pairs" if len(pairs) > _SHOWN else ""
    return Leak(
        kind, name, splits, rows["id"].tolist(), pairs, False, f"{what}: {held}: {shown}{more}"
    )


def _names_that_allow(leak: Leak, group_of: dict[str, str], named: set[str]) -> list[set[str]]:
    """Return the names that allow the leak.

    They are its own, or for each of its pairs those of the two ids and their groups.
    """
    of_pairs = [{a, b, group_of[a], group_of[b], leak.name} & named for a, b in leak.pairs]
    return [{leak.name} & named] if leak.kind == "group" or not of_pairs else of_pairs
