import numpy as np
import pytest

from maskmill import sources
from maskmill.images import decode
from maskmill.sources import _files
from maskmill.system.errors import MaskmillError

GREY = np.full((4, 6), 7, np.uint8)


@pytest.fixture
def source(tmp_path):
    """A function that writes pictures below a source folder: "images/a.png", .."""

    def write(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(decode.png_bytes(GREY))
        return tmp_path

    return write


@pytest.fixture
def read(tmp_path, data):
    """A function: the settings of data/source.yaml -> the pairs of the source."""

    def read(settings=data, **config):
        return sources.create(config, tmp_path, settings, "data/source.yaml")

    return read


@pytest.fixture
def refusal(read):
    """A function: the same -> the error's text."""

    def refusal(*settings, **config):
        with pytest.raises(MaskmillError) as raised:
            read(*settings, **config)
        return str(raised.value)

    return refusal


@pytest.fixture
def recognise(tmp_path):
    """A function: kind of source -> what it says of the folder."""

    def recognise(kind):
        files = list(_files.regular_files(tmp_path))
        return sources.recognisers()[kind](tmp_path, files)

    return recognise


@pytest.fixture
def not_recognised(recognise):
    """A function: kind of source -> why it refuses the folder."""

    def not_recognised(kind):
        with pytest.raises(MaskmillError) as raised:
            recognise(kind)
        return str(raised.value)

    return not_recognised


@pytest.fixture
def draw(recognise, read, data):
    """A function: kind of source -> the masks of the folder, as it is recognised, by id."""

    def draw(kind):
        found = recognise(kind)
        classes = tuple(found.classes)
        settings = data.model_copy(update={"classes": classes})
        return {pair.id: pair.mask() for pair in read(settings, **found.config)}

    return draw
