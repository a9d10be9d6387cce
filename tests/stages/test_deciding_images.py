"""Where a split leaks by permission, its clean part stops training and puts a variant forward."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from maskmill.settings.config import Evaluation
from maskmill.stages import select, train

ALL = Evaluation(primary="dice_foreground", clean=False)
CLEAN = Evaluation(primary="dice_foreground")


class Images(SimpleNamespace):
    def __len__(self):
        return len(self.clean)

    def chosen(self, rows):
        return Images(clean=self.clean[rows])


@pytest.mark.parametrize(
    ("clean", "evaluation", "left"),
    [
        ([True, False, True], CLEAN, 2),
        ([True, False, True], ALL, 3),
        ([False, False, False], CLEAN, 3),
        ([True, True, True], CLEAN, 3),
    ],
    ids=["some leak", "not asked for", "all leak", "none leaks"],
)
def test_early_stopping_looks_at_clean_images(clean, evaluation, left):
    assert len(train._deciding_images(Images(clean=np.array(clean)), evaluation)) == left


def test_what_is_put_forward_is_chosen_by_clean_images():
    table = pd.DataFrame({"id": ["a", "b", "c"], "clean": [True, False, True]})
    ids, name, caveat = select._deciding_images(table, CLEAN)
    assert (ids, name, caveat) == (["a", "c"], "clean/dice_foreground", "")
    assert select._deciding_images(table, ALL) == (["a", "b", "c"], "dice_foreground", "")


def test_where_all_leak_all_decide_and_that_is_said():
    table = pd.DataFrame({"id": ["a", "b"], "clean": [False, False]})
    ids, name, caveat = select._deciding_images(table, CLEAN)
    assert (ids, name) == (["a", "b"], "dice_foreground")
    assert "every validation image leaks" in caveat
