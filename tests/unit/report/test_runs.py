"""The settings of a run as they are compared with another's."""

import copy

from maskmill.report import runs
from maskmill.settings.config import read_yaml
from tests.conftest import REPOSITORY


def test_a_default_that_is_written_out_and_one_that_is_left_out_are_the_same_setting():
    values = read_yaml(REPOSITORY / "params.yaml")
    shorter = copy.deepcopy(values)
    del shorter["train"]["seed"], shorter["train"]["losses"], \
        shorter["data"]["ignore_index"], shorter["slices"]  # fmt: skip
    assert runs._in_effect(shorter) == runs._in_effect(values)
    shorter["train"]["seed"] = 1
    assert runs._in_effect(shorter)["train.seed"] == 1
