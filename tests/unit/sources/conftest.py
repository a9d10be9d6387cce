import numpy as np
import pytest

from maskmill import sources
from maskmill.images import decode

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
        from maskmill.system.errors import MaskmillError

        with pytest.raises(MaskmillError) as raised:
            read(*settings, **config)
        return str(raised.value)

    return refusal
