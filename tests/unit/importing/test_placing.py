"""What stands in data/source counts, whatever it is."""

from pathlib import Path

from maskmill.importing import placing


def test_a_link_to_a_folder_is_put_aside_with_the_rest(tmp_path: Path):
    elsewhere, source, target = tmp_path / "elsewhere", tmp_path / "new", tmp_path / "data/source"
    for folder in (elsewhere, source, target):
        folder.mkdir(parents=True)
    (source / "a.png").write_text("new")
    (target / "images").symlink_to(elsewhere)
    assert placing.present_files(target) == [target / "images"]
    moved = placing.place_files(source, target, [source / "a.png"], tmp_path / "aside", link=False)
    assert moved
    assert (moved / "images").readlink() == elsewhere
    assert (target / "a.png").read_text() == "new"
