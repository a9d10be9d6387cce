"""The journal tells what is done, survives a kill in the middle of a line, and has one writer."""

import json

import pytest

from maskmill.inference.batch.journal import NAME, open_journal
from maskmill.system.errors import MaskmillError

TASK = {"bytes": 3, "mtime_ns": 4, "model": "m version 1"}


def test_what_one_process_notes_the_next_one_finds(tmp_path):
    with open_journal(tmp_path) as journal:
        assert journal.begin("a", TASK, iter(["x", "y"])).name == "x"
        assert journal.begin("b", TASK, iter(["x", "y"])).name == "y"  # x is a's
        journal.note_tiles("a", [{"row": 0, "column": 0}, {"row": 0, "column": 1}])
        journal.note_done("b", ["y_mask.png"], {"height": 4})
    with open_journal(tmp_path) as journal:
        assert journal.begin("a", TASK, iter(["z"])).name == "x"
        assert journal.find("a", TASK).rows == 1
        assert journal.find_done("a", TASK) is None
        assert journal.find_done("b", TASK) is None  # its result is not there
        (tmp_path / "y_mask.png").touch()
        assert journal.find_done("b", TASK).facts["height"] == 4
        assert journal.find("b", TASK | {"model": "m version 2"}) is None


def test_a_result_never_takes_the_name_of_another_file(tmp_path):
    (tmp_path / "x_overlay.png").write_text("drawn by hand")
    with open_journal(tmp_path) as journal:
        assert journal.begin("a", TASK, iter(["x", "x_2"])).name == "x_2"
        journal.note_done("a", ["x_2_mask.png"], {})
        # a new version of the image leaves the results of the old one alone
        assert journal.begin("a", TASK | {"bytes": 9}, iter(["x", "x_2", "x_3"])).name == "x_3"


def test_half_a_line_that_a_kill_has_left_is_cut_away(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.begin("ä\u2028\n.png", TASK, iter(["x"]))
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"event": "done", "input": "')
    with open_journal(tmp_path) as journal:
        assert journal.find("ä\u2028\n.png", TASK).results is None
        journal.note_done("ä\u2028\n.png", [], {})
    lines = (tmp_path / NAME).read_text().split("\n")
    assert [json.loads(line)["event"] for line in lines[:-1]] == ["begun", "done"]


def test_one_process_writes_at_a_time(tmp_path):
    with open_journal(tmp_path), pytest.raises(MaskmillError, match="another `maskmill predict`"):
        open_journal(tmp_path).__enter__()


def test_a_file_that_is_no_journal_is_named(tmp_path):
    (tmp_path / NAME).write_text('{"event": "begun", "input": "a", "name": "x"}\nno\n')
    with pytest.raises(MaskmillError, match=r"journal\.jsonl: line 2 is not JSON; move the file"):
        open_journal(tmp_path).__enter__()
