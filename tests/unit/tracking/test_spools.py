"""What a spool holds after kills, cut-off lines and full disks."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maskmill.tracking import owners, spools
from maskmill.tracking.spools import Facts

FACTS = Facts(
    "f1", "unet", {"train.seed": 0}, git_commit="c0ffee", data_title="cells", data_hash="0123.dir"
)
ROWS = [{"step": 2, "loss": 1.5, "val_dice": 0.1 + 0.2}, {"step": 4, "loss": 1.0, "val_dice": 0.6}]
ELSEWHERE = """
import json, sys
from pathlib import Path
from maskmill.tracking import spools
facts, rows = json.loads(sys.argv[2])
made = spools.begin_spool(Path(sys.argv[1]), spools.Facts(**facts))
for row in rows:
    made.add([row])
print(made.key)
{then}
"""


def killed(folder: Path, facts: Facts = FACTS, rows: list[dict] = ROWS) -> str:
    """A process trains and ends without finishing; gives the key."""
    given = json.dumps([dataclasses.asdict(facts), rows])
    code = ELSEWHERE.format(then="")
    done = subprocess.run(
        [sys.executable, "-c", code, folder, given], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_training_reads_back_as_it_was_told(tmp_path: Path):
    spool = spools.begin_spool(tmp_path, FACTS)
    for row in ROWS:
        spool.add([row])
    known = spools.read(spool.path)
    assert (known.key, known.variant, known.params) == (spool.key, "unet", {"train.seed": 0})
    assert (known.git_commit, known.data_title, known.data_hash) == ("c0ffee", "cells", "0123.dir")
    assert known.history == ROWS
    assert known.started_ms <= known.times_ms[2] <= known.times_ms[4] <= known.ended_ms
    assert (known.status, known.owner) == ("RUNNING", owners.this_process())
    spool.finish()
    assert spools.read(spool.path).status == "FINISHED"


def test_a_value_that_is_no_number_is_kept_as_such(tmp_path: Path):
    spool = spools.begin_spool(tmp_path, FACTS)
    spool.add([{"step": 2, "val_dice": math.nan}])
    assert math.isnan(spools.read(spool.path).history[0]["val_dice"])


def test_a_killed_training_goes_on_in_its_file_with_each_row_once(tmp_path: Path):
    key = killed(tmp_path)
    before = spools.read(tmp_path / f"{key}.jsonl")
    assert before.status == "KILLED"
    spool = spools.begin_spool(tmp_path, FACTS)
    assert (spool.key, spool.started_ms) == (key, before.started_ms)
    for row in [*ROWS, {"step": 6, "loss": 0.9, "val_dice": 0.7}]:
        spool.add([row])
    known = spools.read(spool.path)
    assert [row["step"] for row in known.history] == [2, 4, 6]
    assert spool.path.read_text().count('"row"') == 3
    assert (known.status, known.owner) == ("RUNNING", owners.this_process())
    assert known.times_ms[2] == before.times_ms[2]


def test_other_settings_are_another_training(tmp_path: Path):
    key = killed(tmp_path)
    assert spools.begin_spool(tmp_path, dataclasses.replace(FACTS, fingerprint="f2")).key != key


def test_a_finished_training_or_one_that_runs_is_not_continued(tmp_path: Path):
    first = spools.begin_spool(tmp_path, FACTS)
    second = spools.begin_spool(tmp_path, FACTS)  # the first one's process lives
    first.finish()
    second.finish()
    assert len({first.key, second.key, spools.begin_spool(tmp_path, FACTS).key}) == 3


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_cut_off_does_not_count_and_is_mended(tmp_path: Path, cut: int):
    path = tmp_path / f"{killed(tmp_path)}.jsonl"
    os.truncate(path, path.stat().st_size - cut)
    assert [row["step"] for row in spools.read(path).history] == [2]
    spool = spools.begin_spool(tmp_path, FACTS)
    assert spool.path == path
    for row in ROWS:
        spool.add([row])
    assert spools.read(path).history == ROWS
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_file_without_its_first_line_is_nobodys(tmp_path: Path):
    path = tmp_path / f"{killed(tmp_path)}.jsonl"
    path.write_text("#" + path.read_text())
    assert spools.read(path) is None
    assert spools.begin_spool(tmp_path, FACTS).path != path
    assert spools.read(tmp_path / "absent.jsonl") is None


def test_a_full_disk_is_told_once_and_made_up_for_when_there_is_room(tmp_path: Path):
    then = """
import resource
size = made.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))
for step in (6, 8):
    made.add([{"step": step, "loss": 0.5}])
assert len(spools.read(made.path).history) == 2
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
made.add([{"step": 10, "loss": 0.5}])
assert [row["step"] for row in spools.read(made.path).history] == [2, 4, 6, 8, 10]
"""
    given = json.dumps([dataclasses.asdict(FACTS), ROWS])
    code = [sys.executable, "-c", ELSEWHERE.format(then=then), tmp_path, given]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("File too large") == 1
    assert done.stderr.rstrip().endswith("the training goes on without")


def test_a_folder_that_cannot_be_made_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "spool").touch()
    spool = spools.begin_spool(tmp_path / "spool", FACTS)
    for row in ROWS:
        spool.add([row])
    spool.finish()
    assert len(spool.key) == 32
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_where_nobody_takes_them_the_newest_hundred_are_kept(tmp_path: Path):
    for age in range(120):
        path = tmp_path / f"{age:032}.jsonl"
        path.touch()
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    spool = spools.begin_spool(tmp_path, FACTS)
    assert spools.all_in(tmp_path) == sorted(
        [spool.path, *(tmp_path / f"{age:032}.jsonl" for age in range(99))]
    )
