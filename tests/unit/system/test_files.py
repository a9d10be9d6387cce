import errno
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest

from maskmill.system import files
from maskmill.system.errors import MaskmillError


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(KeyError), files.open_atomic(path) as file:
        file.write(b"half of the new")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nobody_sees_the_file_before_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with files.open_atomic(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    script = f"""
        import pathlib, resource, signal
        from maskmill.system import files
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            files.write_bytes(pathlib.Path({str(path)!r}), b"x" * 1_000_000)
        except files.DiskFullError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f"no space left to write {path}" in done.stdout
    assert "MB free" in done.stdout
    assert "run the same command again" in done.stdout
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights.bin"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_kind_of_no_space_is_a_users_error(tmp_path, monkeypatch, code):
    def full(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MaskmillError, match="no space left to write"):
        files.write_text(tmp_path / "a", "x")
    assert os.listdir(tmp_path) == []


def raised(error, cause=None):
    """The error as it is when it was raised from another."""
    with pytest.raises(type(error)) as found:
        raise error from cause
    return found.value


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "a/b.png"),
            "no space left to write a/b.png (",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "from", None, "to"),
            "no space left to write to (",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "a"),
            "MB free on its disk; your quota is used up)",
        ),
        (
            OSError(errno.EFBIG, "File too large", "a"),
            "MB free on its disk; `ulimit -f` bounds the size of a file)",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the disk ("),
        (sqlite3.OperationalError("database or disk is full"), "It said: database or disk is full"),
        (
            RuntimeError("lines\nI/O error: No space left on device (os error 28)\nmore"),
            "It said: I/O error: No space",
        ),
        (
            shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]),
            "No space left on device: 'b'",
        ),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_a_full_disk_is_one_line_whichever_library_meets_it(error, said, wrapped):
    with pytest.raises(files.DiskFullError) as found, files.full_disk_in_words():
        raise raised(MaskmillError("the store cannot be opened"), error) if wrapped else error
    assert said in str(found.value)
    assert "free some space and run the same command again" in str(found.value)
    assert "\n" not in str(found.value)


def test_what_is_no_full_disk_goes_its_way():
    with pytest.raises(OSError, match="input/output"), files.full_disk_in_words():
        raise OSError(errno.EIO, "input/output error", "a")
    with pytest.raises(files.DiskFullError, match=r"^said already$"), files.full_disk_in_words():
        raise files.DiskFullError("said already")


def test_a_disk_without_room_is_refused_before_anything_runs(tmp_path, monkeypatch):
    files.check_room(tmp_path / "not" / "made" / "yet")
    monkeypatch.setattr(files, "free_mb", lambda folder: 0.4)
    with pytest.raises(
        files.DiskFullError,
        match=r"no space left on the disk of .* \(0\.4 MB free\); free some space",
    ):
        files.check_room(tmp_path)


def test_another_io_error_is_not_called_a_full_disk(tmp_path, monkeypatch):
    def broken(handle):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="input/output error"):
        files.write_text(tmp_path / "a", "x")


def test_other_users_may_read_what_was_written(tmp_path):
    files.write_text(tmp_path / "a", "x")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_missing_folders_are_made_and_text_is_utf8(tmp_path):
    files.write_json(tmp_path / "new" / "folder" / "a.json", {"name": "Größe"})
    assert json.loads((tmp_path / "new" / "folder" / "a.json").read_bytes().decode()) == {
        "name": "Größe"
    }
    assert files.read_json(tmp_path / "new" / "folder" / "a.json") == {"name": "Größe"}


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path):
    files.write_json(tmp_path / "a.json", {"score": 1.0})
    with pytest.raises(ValueError, match="Out of range float"):
        files.write_json(tmp_path / "a.json", {"score": float("nan")})
    assert files.read_json(tmp_path / "a.json") == {"score": 1.0}


def test_sha256_is_the_standards_value_for_abc(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert (
        files.sha256(tmp_path / "a")
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
