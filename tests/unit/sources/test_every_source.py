"""What every source that recognises its layout keeps to; it is taken up by its name."""

from pathlib import Path

import numpy as np
import pytest

from maskmill import sources
from maskmill.images import decode
from maskmill.sources import Recognised, _files
from maskmill.system import components
from maskmill.system.errors import MaskmillError
from tests.unit.sources import examples

KINDS = sorted(sources.recognisers())
DRAWING = [kind for kind in KINDS if kind not in ("folder", "table")]  # masks from annotations


def test_each_source_that_recognises_a_folder_has_an_example():
    assert set(KINDS) <= examples.ALL.keys()
    assert {"coco", "cvat", "label_studio", "labelme", "run_lengths", "yolo"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_example_is_recognised_and_read(kind, tmp_path, recognise, read, data):
    examples.ALL[kind](tmp_path)
    found = recognise(kind)
    assert isinstance(found, Recognised)
    assert found.config["kind"] == kind
    assert found.told
    assert all(path.is_file() for path in found.files)
    assert not any(found.unused.values())
    settings = data
    if found.classes is not None:
        assert found.classes[0] == "background"
        settings = data.model_copy(update={"classes": tuple(found.classes)})
    pairs = read(settings, **found.config)
    assert len(pairs) == 3
    for pair in pairs:
        header = decode.header(pair.image, data.decoding)
        stored = pair.mask
        drawn = decode.mask(stored, data.decoding) if isinstance(stored, Path) else stored()
        assert (drawn.shape, drawn.dtype) == ((header.height, header.width), np.uint8)
        assert drawn.tolist() == examples.DRAWN


@pytest.mark.parametrize(
    ("kind", "other"), [(k, o) for k in DRAWING for o in sorted(examples.ALL) if k != o]
)
def test_the_example_of_another_source_is_not_taken_for_its_own(kind, other, tmp_path, recognise):
    examples.ALL[other](tmp_path)
    assert recognise(kind) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_folder_and_foreign_files_are_none_of_its_own(kind, tmp_path, recognise):
    assert recognise(kind) is None
    for name in ("a.json", "a.xml", "a.csv", "a.txt", "labels/b.txt", "data.yaml", "c.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{not: of any kind")
    (tmp_path / "d.json").write_text('[{"shapes": 1}, {"images": 2, "annotations": []}]')
    (tmp_path / "e.xml").write_text("<annotation/>")
    assert recognise(kind) is None


def test_the_recognisers_are_found_by_their_files():
    assert all(sources.recognisers()[kind].__module__.endswith(kind) for kind in KINDS)
    assert "icbm152" not in KINDS


@pytest.mark.parametrize("kind", DRAWING)
def test_a_label_that_is_no_class_is_named_with_its_place(kind, tmp_path, recognise, read, data):
    examples.ALL[kind](tmp_path)
    settings = data.model_copy(update={"classes": ("background", "else")})
    with pytest.raises(MaskmillError) as raised:
        read(settings, **recognise(kind).config)
    assert "is none of data.classes in params.yaml, background, else; add it there" in str(
        raised.value
    )


@pytest.mark.parametrize("kind", [kind for kind in DRAWING if kind != "run_lengths"])  # by number
def test_a_label_called_ignore_is_no_class(kind, tmp_path, recognise, read, data):
    examples.ALL[kind](tmp_path)
    config = recognise(kind).config
    for path in list(_files.regular_files(tmp_path)):
        if path.suffix != ".png":
            path.write_text(path.read_text().replace("disc", "Ignore"))
        path.rename(path.with_name(path.name.replace("disc", "Ignore")))
    with pytest.raises(MaskmillError, match="without outlines"):  # of a class
        read(data, **config)


@pytest.mark.parametrize("kind", DRAWING)
def test_an_image_that_is_gone_is_named(kind, tmp_path, recognise, read, data):
    examples.ALL[kind](tmp_path)
    config = recognise(kind).config
    gone = next(p for p in _files.regular_files(tmp_path) if p.name == "b.png")
    gone.unlink()
    if kind == "yolo":  # a label without an image is passed by
        assert recognise(kind).unused == {
            "labels without an image": [tmp_path / "labels/train/b.txt"]
        }
        return
    with pytest.raises(MaskmillError, match=r"b\.(png|json)"):
        read(data, **config)


def test_the_guide_says_how_each_kind_is_read():
    guide = Path("docs/own-data.md").read_text()
    assert [
        kind for kind in components.names(sources.__name__) if f"| `{kind}` |" not in guide
    ] == []
