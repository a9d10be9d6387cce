import math

import pandas as pd

from maskmill.stages import train as stage


class Spool(list):
    add = list.extend


def test_rows_make_one_table_however_they_come(tmp_path):
    scores = (0.1 + 0.2, 1.0, math.nan, 1e-7, 0.0)
    rows = [
        {"step": 52 * i, "loss": 1 / (i + 3), "learning_rate": 4e-3, "val_dice": x}
        for i, x in enumerate(scores)
    ]
    spool = Spool()
    log = stage._history_writer(tmp_path, spool)
    for part in (rows[:2], rows[2:3], rows[3:]):
        log(part)
        assert (tmp_path / "history.csv").read_text() == pd.DataFrame(rows[: len(spool)]).to_csv(
            index=False
        )
    assert spool == rows
