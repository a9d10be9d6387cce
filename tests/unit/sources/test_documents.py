import pytest

from maskmill.sources import _documents
from maskmill.system.errors import MaskmillError


def test_a_file_beyond_the_limit_is_not_opened(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text('{"shapes": 1}')
    monkeypatch.setattr(_documents, "MAX_MB", 0)
    with pytest.raises(MaskmillError, match=r"a\.json: 0 MB; files of annotations are read up to"):
        _documents.read_json(path)


def test_a_file_is_taken_apart_only_where_it_holds_all_keys(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"shapes": 1}')
    assert _documents.json_with_keys(path, "shapes") == {"shapes": 1}
    assert _documents.json_with_keys(path, "shapes", "imagePath") is None
    path.write_text("[" * 100_000 + '"shapes"')
    assert _documents.json_with_keys(path, "other") is None
    with pytest.raises(MaskmillError, match="not readable as JSON"):
        _documents.json_with_keys(path, "shapes")


def test_another_encoding_is_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\u00e4".encode("latin-1"))
    with pytest.raises(MaskmillError, match=r"a\.txt: not UTF-8: .*; save it as UTF-8"):
        _documents.read_text(path)
