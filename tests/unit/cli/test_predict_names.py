"""`maskmill predict` writes beside what is there, never over it."""

from pathlib import Path

from maskmill.cli.app import free_stem

MADE = {"mask": b"mask", "overlay": b"overlay"}


def test_the_images_own_name_is_taken_where_nothing_or_the_same_is_there(tmp_path: Path):
    assert free_stem(tmp_path, "x", MADE) == "x"
    (tmp_path / "x_mask.png").write_bytes(b"mask")
    assert free_stem(tmp_path, "x", MADE) == "x"


def test_other_files_are_never_written_over(tmp_path: Path):
    (tmp_path / "x_mask.png").write_bytes(b"drawn by hand")
    assert free_stem(tmp_path, "x", MADE) == "x_2"
    (tmp_path / "x_2_overlay.png").write_bytes(b"of another image")
    assert free_stem(tmp_path, "x", MADE) == "x_3"
