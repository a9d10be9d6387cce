import numpy as np
import pytest

from maskmill.data import decode


def pair(height, width, seed, channels=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), np.uint8), rng.integers(0, 4, (height, width), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_pairs_of_different_sizes_come_back_pixel_for_pixel(make_shard, data, channels):
    pairs = [pair(h, w, i, channels) for i, (h, w) in enumerate([(5, 7), (1, 1), (8, 3), (2, 9)])]
    shard = make_shard(pairs, data=data.model_copy(update={"in_channels": channels}))
    assert len(shard) == 4
    assert shard.sizes == [(5, 7), (1, 1), (8, 3), (2, 9)]
    for (image, mask), (back, mask_back) in zip(pairs, shard, strict=True):
        assert np.array_equal(back, image)
        assert np.array_equal(mask_back, mask)


def test_ids_stay_text(make_shard):
    names = ["007", "1e5", "NA"]
    assert make_shard([pair(2, 2, i) for i in range(3)], names=names).ids == names


def test_a_sample_is_a_view_that_cannot_be_written(make_shard):
    image, _ = make_shard([pair(4, 4, 0)])[0]
    with pytest.raises(ValueError, match="read-only"):
        image[0] = 1


def test_splits_lie_side_by_side(make_shard):
    train, val = make_shard([pair(4, 4, 0)], "train"), make_shard([pair(4, 4, 1), pair(2, 2, 2)], "val")
    assert (len(train), len(val)) == (1, 2)
    assert not np.array_equal(train[0][0], val[0][0])


def test_a_broken_image_leaves_no_half_shard(make_shard, tmp_path, monkeypatch):
    kept = make_shard([pair(4, 4, 0)])
    before = np.array(kept[0][0])

    def broken(path, channels):
        raise decode.DecodeError(f"{path}: broken")

    monkeypatch.setattr(decode, "image", broken)
    with pytest.raises(decode.DecodeError):
        make_shard([pair(4, 4, 5)])
    monkeypatch.undo()
    assert np.array_equal(np.load(tmp_path / "shards" / "train-images.npy").reshape(4, 4, 1), before)
