import pytest

from tests.unit.training.lab import Lab


@pytest.fixture
def lab(make_shard, draw_shapes, params, data, tmp_path):
    return Lab(make_shard, draw_shapes, params, data, tmp_path)
