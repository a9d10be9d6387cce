"""Events are read as they were written, by whoever looks at any moment."""

import json

from maskmill.system.events import FILE, EventReader, record_event


def test_events_are_read_once_and_in_order(tmp_path, monkeypatch):
    path = tmp_path / "record.jsonl"
    path.touch()
    monkeypatch.setenv(FILE, str(path))
    reader = EventReader(path)
    assert list(reader.new()) == []
    record_event("steps", done=1, total=2)
    record_event("error", text="two\nlines")
    assert list(reader.new()) == [
        {"event": "steps", "done": 1, "total": 2},
        {"event": "error", "text": "two\nlines"},
    ]
    assert list(reader.new()) == []


def test_half_a_line_waits_for_its_other_half(tmp_path):
    path = tmp_path / "record.jsonl"
    whole = json.dumps({"event": "error", "text": "x"}) + "\n"
    path.write_text(whole[:9])
    reader = EventReader(path)
    assert list(reader.new()) == []
    path.write_text(whole)
    assert [event["text"] for event in reader.new()] == ["x"]


def test_without_a_record_or_with_one_that_is_gone_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.delenv(FILE, raising=False)
    record_event("error", text="x")
    monkeypatch.setenv(FILE, str(tmp_path / "gone.jsonl"))
    record_event("error", text="x")
    assert list(tmp_path.iterdir()) == []
