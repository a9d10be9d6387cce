"""What a division cannot show, though nothing leaks: splits of one group, and without a class."""

from collections.abc import Iterator, Sequence

import pandas as pd

from maskmill.settings.config import SPLITS
from maskmill.system.errors import few_of

_SHOWN = 5
_LEARNS = {"train": "learned"}  # the others score


def warn_of_splits(table: pd.DataFrame, classes: Sequence[str], *, given: bool) -> list[str]:
    """Say which split holds one group alone, and which lacks a class that there is.

    `table` is the manifest with `split`; rows that are left out do not count. `given` says whether
    the source gives the splits, which data/splits.csv does not change then.
    """
    used = table[table["split"].isin(SPLITS)]
    return [*_single_groups(used), *_lacking_classes(used, classes, given=given)]


def _single_groups(used: pd.DataFrame) -> Iterator[str]:
    names = used.groupby("split")["group"].unique()
    single = {split: names[split][0] for split in SPLITS if len(names.get(split, ())) == 1}
    if group := single.pop("train", None):
        yield f"train holds one group, {group}: a model learns what is so in that one alone"
    if single:
        held = ", ".join(f"{split} holds one group, {group}" for split, group in single.items())
        yield (
            f"{held}: a score tells how a model does on that group, and not on others; more groups"
            " tell more (`groups` and `blocks` in data/source.yaml say what one is)"
        )


def _lacking_classes(used: pd.DataFrame, classes: Sequence[str], *, given: bool) -> Iterator[str]:
    for name in classes:
        holding = used[used[f"px_{name}"].fillna(0) > 0]
        lacking = [split for split in SPLITS if not (holding["split"] == split).any()]
        if not lacking or holding.empty:  # validate tells of a class that is nowhere
            continue
        groups = sorted(holding["group"].unique())
        several = len(groups) > 1
        held = f"only {len(groups)} group{'s' * several} ({few_of(groups, _SHOWN)})"
        effect = " and ".join(
            [f"not {_LEARNS.get(split, 'scored')} in {split}" for split in lacking]
        )
        if given:
            advice = "splits.given: false in params.yaml gives every split its share"
        elif len(groups) < len(SPLITS):
            advice = f"each split needs a group of its own with it: add images that hold {name}"
        else:
            advice = "data/splits.csv can give each split one of them"
        yield f"class {name} is {effect}: {held} hold{'s' * (not several)} it; {advice}"
