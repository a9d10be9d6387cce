import os
import pickle
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskmill.curation import manifest
from maskmill.images import decode
from maskmill.images.digest import pixel_digest
from maskmill.samples import packing, shard_files, shards
from maskmill.system.errors import MaskmillError


def pair(height, width, seed, channels=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), np.uint8), rng.integers(
        0, 4, (height, width), np.uint8
    )


class Samples:
    """PNG files, and the manifest of those that are wanted."""

    def __init__(self, folder, data):
        self.folder, self.data, self.pairs, self.split = folder, data, {}, {}

    def put(self, name, image, mask, split="train"):
        self.pairs[name], self.split[name] = (image, mask), split
        decode.write_png(self.folder / "images" / f"{name}.png", image)
        decode.write_png(self.folder / "masks" / f"{name}.png", mask)
        return self

    def drop(self, *names):
        for name in names:
            del self.pairs[name], self.split[name]
        return self

    @property
    def manifest(self):
        rows = [
            {"id": name, "split": self.split[name], "clean": name != "unclean",
             "sha256_pixels": pixel_digest(image), "sha256_mask": pixel_digest(mask),
             "image": str(self.folder / "images" / f"{name}.png"),
             "mask": str(self.folder / "masks" / f"{name}.png")}
            for name, (image, mask) in self.pairs.items()
        ]  # fmt: skip
        columns = ["id", "split", "clean", "sha256_pixels", "sha256_mask", "image", "mask"]
        return pd.DataFrame(rows, columns=columns)

    def pack(self, folder, **options):
        packing.pack_samples(folder, self.manifest, self.data, **options)
        return folder

    def check(self, folder):
        """The shards hold exactly what is wanted."""
        for split in ("train", "val", "test"):
            shard = shards.Shard(folder, split)
            assert shard.ids == sorted(name for name, s in self.split.items() if s == split)
            for name, (image, mask) in zip(shard.ids, shard, strict=True):
                assert np.array_equal(image, self.pairs[name][0])
                assert np.array_equal(mask, self.pairs[name][1])
        shards.verify(folder, None)


@pytest.fixture
def samples(tmp_path, data):
    return Samples(tmp_path / "source", data)


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that are decoded."""
    names, read = [], decode.image

    def image(source, *policy):
        names.append(source.stem)
        return read(source, *policy)

    monkeypatch.setattr(decode, "image", image)
    return names


def bins(folder):
    return {path.name: path.stat().st_size for path in folder.glob("*.bin")}


@pytest.mark.parametrize("channels", [1, 3])
def test_pairs_of_different_sizes_come_back_pixel_for_pixel(make_shard, data, channels):
    pairs = [pair(h, w, i, channels) for i, (h, w) in enumerate([(5, 7), (1, 1), (8, 3), (2, 9)])]
    shard = make_shard(pairs, data=data.model_copy(update={"in_channels": channels}))
    assert len(shard) == 4
    assert shard.channels == channels
    assert shard.sizes.tolist() == [[5, 7], [1, 1], [8, 3], [2, 9]]
    for (image, mask), (back, mask_back) in zip(pairs, shard, strict=True):
        assert np.array_equal(back, image)
        assert np.array_equal(mask_back, mask)


def test_sixteen_channels_come_back(samples, data, tmp_path, monkeypatch):
    image, mask = pair(6, 5, 0, 16)
    samples.put("a", image[..., 0], mask).pairs["a"] = (image, mask)
    monkeypatch.setattr(decode, "image", lambda *policy: image)  # no PNG holds so many
    samples.check(samples.pack(tmp_path / "shards"))
    assert shards.Shard(tmp_path / "shards", "train").channels == 16


def test_ids_stay_text_and_are_in_order(make_shard):
    names = ["NA", "007", "1e5"]
    assert make_shard([pair(2, 2, i) for i in range(3)], names=names).ids == sorted(names)


def test_a_sample_is_a_view_that_cannot_be_written(make_shard):
    image, mask = make_shard([pair(4, 4, 0)])[0]
    for view in (image, mask):
        assert not view.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1


def test_splits_lie_side_by_side_and_an_empty_one_is_empty(make_shard, tmp_path):
    train, val = (
        make_shard([pair(4, 4, 0)], "train"),
        make_shard([pair(4, 4, 1), pair(2, 2, 2)], "val"),
    )
    assert (len(train), len(val)) == (1, 2)
    assert not np.array_equal(train[0][0], val[0][0])
    empty = shards.Shard(tmp_path / "shards", "test")
    assert (len(empty), list(empty), empty.ids, empty.channels) == (0, [], [], 1)


def test_nothing_at_all_gives_empty_shards(samples, tmp_path):
    assert len(shards.Shard(samples.pack(tmp_path / "shards"), "train")) == 0
    shards.verify(tmp_path / "shards", None)


def test_pairs_without_a_split_are_left_out_and_clean_is_kept(samples, tmp_path):
    samples.put("a", *pair(3, 3, 0)).put("unclean", *pair(3, 3, 1), "val").put(
        "guard", *pair(3, 3, 2), ""
    )
    folder = samples.pack(tmp_path / "shards")
    samples.check(folder)
    assert [shards.Shard(folder, split).clean.tolist() for split in ("train", "val")] == [
        [True],
        [False],
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_index_knows_pixels_and_moments_of_a_split_in_parts(
    make_shard, data, tmp_path, channels, monkeypatch
):
    own = data.model_copy(update={"in_channels": channels})
    pairs = [pair(h, w, i, channels) for i, (h, w) in enumerate([(5, 7), (1, 1), (8, 3)])]
    make_shard([pair(9, 9, 7, channels)], "val", names=["b"], data=own)
    monkeypatch.setattr(shard_files, "_ROWS", 2)
    make_shard(pairs, "train", names=["a", "c", "d"], data=own)
    folder = tmp_path / "shards"
    assert len(list(shard_files.in_parts(folder))) == 2
    rows = shard_files.read_index(folder)
    expected = [manifest.split_digest(rows, split) for split in ("train", "val", "test")]
    assert shard_files.split_digests(folder, ("train", "val", "test")) == expected
    found, pixels = (
        shard_files.moments_of(folder, "train"),
        np.concatenate([x.reshape(-1, channels) for x, _ in pairs]),
    )
    assert found.pixels == len(pixels)
    assert found.sums.tolist() == pixels.sum(axis=0, dtype=int).tolist()
    assert found.squares.tolist() == (pixels.astype(int) ** 2).sum(axis=0).tolist()
    assert shard_files.moments_of(folder, "test").pixels == 0


def test_a_moved_sample_keeps_its_moments(samples, tmp_path):
    folder = samples.put("a", *pair(4, 4, 0)).put("b", *pair(20, 20, 1)).pack(tmp_path / "shards")
    before = bins(folder)
    samples.drop("b").check(samples.pack(folder))
    assert bins(folder).keys() != before.keys()
    assert shard_files.moments_of(folder, "train").sums == [samples.pairs["a"][0].sum()]


def test_new_samples_add_a_shard_and_nothing_is_decoded_twice(samples, tmp_path, decoded):
    for i in range(4):
        samples.put(f"old{i}", *pair(4, 4, i))
    first = bins(samples.pack(tmp_path / "shards"))
    assert len(first) == 1
    decoded.clear()
    # in another split it lies where it lay
    samples.put("a_new", *pair(5, 5, 9), "val").split["old0"] = "test"
    samples.check(samples.pack(tmp_path / "shards"))
    assert decoded == ["a_new"]
    assert first.items() < bins(tmp_path / "shards").items()
    decoded.clear()
    before = {path: path.read_bytes() for path in (tmp_path / "shards").iterdir()}
    samples.check(samples.pack(tmp_path / "shards"))
    assert decoded == []
    assert {path: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == before


def test_what_is_added_and_taken_away_again_leaves_the_folder_as_it_was(samples, tmp_path):
    for i in range(4):
        samples.put(f"p{i}", *pair(4, 4, i))
    before = {path.name: path.read_bytes() for path in samples.pack(tmp_path / "shards").iterdir()}
    samples.put("q", *pair(4, 4, 9)).pack(tmp_path / "shards")
    samples.drop("q").pack(tmp_path / "shards")
    assert {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == before
    gone = samples.manifest.query("id != 'p0'")
    packing.pack_samples(tmp_path / "shards", gone, samples.data)
    samples.pack(tmp_path / "shards")
    assert {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == before


def test_two_ids_with_the_same_pixels_share_their_bytes(samples, tmp_path):
    image, mask = pair(4, 4, 0)
    samples.put("a", image, mask).put("b", image, mask).put("c", image, mask * 0)
    samples.check(samples.pack(tmp_path / "shards"))
    assert list(bins(tmp_path / "shards").values()) == [2 * 2 * 16]


def test_a_shard_is_closed_once_it_is_large(samples, tmp_path):
    for i in range(5):
        samples.put(f"p{i}", *pair(4, 4, i))
    samples.check(samples.pack(tmp_path / "shards", shard_bytes=64))
    assert sorted(bins(tmp_path / "shards").values()) == [32, 64, 64]


def test_a_shard_of_which_little_is_wanted_goes_and_what_is_moves_without_decoding(
    samples, tmp_path, decoded
):
    for i in range(4):
        samples.put(f"p{i}", *pair(4, 4, i))
    samples.pack(tmp_path / "shards")
    samples.drop("p0", "p1").check(samples.pack(tmp_path / "shards"))
    assert list(bins(tmp_path / "shards").values()) == [4 * 32]  # half of it is enough to stay
    decoded.clear()
    samples.drop("p2").check(samples.pack(tmp_path / "shards"))
    assert list(bins(tmp_path / "shards").values()) == [32]
    assert decoded == []
    samples.drop("p3").check(samples.pack(tmp_path / "shards"))
    assert bins(tmp_path / "shards") == {}


def test_many_small_shards_are_merged(samples, tmp_path, decoded):
    for i in range(20):
        samples.put(f"p{i:02d}", *pair(4, 4, i)).check(samples.pack(tmp_path / "shards"))
    assert len(bins(tmp_path / "shards")) < 18
    assert len(decoded) == 20


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_number_of_workers_changes_no_byte(samples, tmp_path, workers):
    for i in range(9):
        samples.put(f"p{i}", *pair(4 + i, 5, i))
    one = samples.pack(tmp_path / "one", workers=1, shard_bytes=100)
    other = samples.pack(tmp_path / "other", workers=workers, shard_bytes=100)
    assert {p.name: p.read_bytes() for p in other.iterdir()} == {
        p.name: p.read_bytes() for p in one.iterdir()
    }


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(
        st.lists(
            st.tuples(st.integers(0, 9), st.sampled_from(["train", "val", "", "change", "drop"])),
            max_size=6,
        ),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_whatever_is_added_changed_and_dropped_is_read_back(tmp_path_factory, data, rounds):
    folder = tmp_path_factory.mktemp("samples")
    samples, seed = Samples(folder / "source", data), 0
    for actions in rounds:
        for which, action in actions:
            name, seed = f"p{which}", seed + 1
            if action == "drop":
                samples.drop(*({name} & samples.pairs.keys()))
            elif action == "change" or name not in samples.pairs:
                samples.put(
                    name,
                    *pair(3 + seed % 4, 4, seed),
                    "train" if action in ("drop", "change") else action,
                )
            else:
                samples.split[name] = action
        samples.check(samples.pack(folder / "shards", shard_bytes=60))
        assert not [
            p for p in (folder / "shards").iterdir() if p.suffix not in (".bin", ".parquet")
        ]


@pytest.mark.parametrize("side", ["image", "mask"])
def test_a_file_that_changed_after_it_was_validated_is_named(samples, tmp_path, side):
    samples.put("a", *pair(4, 4, 0))
    manifest = samples.manifest
    decode.write_png(tmp_path / "source" / f"{side}s" / "a.png", np.full((4, 4), 3, np.uint8))
    with pytest.raises(MaskmillError) as raised:
        packing.pack_samples(tmp_path / "shards", manifest, samples.data)
    assert f"source/{side}s/a.png: its pixels are not those that were validated" in str(
        raised.value
    )
    assert "run the line again, `make pipeline`" in str(raised.value)


def test_a_run_that_is_cut_off_leaves_the_samples_as_they_were_and_goes_on_from_there(
    samples, tmp_path, decoded
):
    folder = samples.put("kept", *pair(4, 4, 99)).pack(tmp_path / "shards")
    for i in range(6):
        samples.put(f"p{i}", *pair(4, 4, i))
    path = tmp_path / "source" / "images" / "p5.png"
    content = path.read_bytes()
    path.write_bytes(b"?")
    with pytest.raises(MaskmillError, match=r"p5\.png"):
        samples.pack(folder, shard_bytes=64, workers=1)
    assert shards.Shard(folder, "train").ids == ["kept"]
    shards.verify(folder, None)
    path.write_bytes(content)
    decoded.clear()
    samples.check(samples.pack(folder, shard_bytes=64))
    assert sorted(decoded) == ["p4", "p5"]  # p0 .. p3 fill two shards that were whole


def test_an_open_shard_outlives_a_new_packing(samples, tmp_path):
    image, mask = pair(4, 4, 0)
    shard = shards.Shard(samples.put("a", image, mask).pack(tmp_path / "shards"), "train")
    samples.put("a", *pair(4, 4, 1)).pack(tmp_path / "shards")
    assert np.array_equal(shard[0][0], image)
    assert np.array_equal(shard[0][1], mask)


def test_a_copy_for_another_process_takes_no_pixels_along(samples, tmp_path):
    samples.put("a", *pair(500, 500, 0))
    shard = shards.Shard(samples.pack(tmp_path / "shards"), "train")
    content = pickle.dumps(shard)
    assert len(content) < 5_000
    back = pickle.loads(content)
    assert np.array_equal(back[0][0], shard[0][0])
    assert (back.ids, back.channels, back.clean.tolist()) == (shard.ids, shard.channels, [True])
    assert back.sizes.tolist() == shard.sizes.tolist()


def flip(folder):
    path = next(folder.glob("*.bin"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def test_a_flipped_byte_is_named_with_the_way_out(samples, tmp_path):
    folder = (
        samples.put("a", *pair(4, 4, 0))
        .put("b", *pair(4, 4, 1))
        .pack(tmp_path / "shards", shard_bytes=1)
    )
    path = flip(folder)
    with pytest.raises(MaskmillError) as raised:
        shards.verify(folder, None)
    text = str(raised.value)
    assert f"1 of 2 shard files are missing or not what was written: {path}; " in text
    assert "`dvc checkout`, or `dvc pull`" in text


def test_what_was_right_is_read_again_only_once_it_changes(samples, tmp_path, monkeypatch):
    folder = samples.put("a", *pair(4, 4, 0)).pack(tmp_path / "shards")
    time.sleep(0.15)
    shards.verify(folder, tmp_path / "cache")
    with monkeypatch.context() as patched:
        patched.setattr(shard_files.files, "sha256", lambda path: pytest.fail(f"{path} is read"))
        shards.verify(folder, tmp_path / "cache")
    times = next(folder.glob("*.bin")).stat()
    os.utime(flip(folder), ns=(times.st_atime_ns, times.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(MaskmillError, match="not what was written"):
            shards.verify(folder, tmp_path / "cache")


def test_what_was_just_packed_is_not_read_again_until_it_changes(samples, tmp_path, monkeypatch):
    folder, cache = tmp_path / "shards", tmp_path / "cache"
    for name in ("a", "b"):
        samples.put(name, *pair(4, 4, ord(name))).pack(folder, cache=cache)
    with monkeypatch.context() as patched:
        patched.setattr(shard_files.files, "sha256", lambda path: pytest.fail(f"{path} is read"))
        shards.verify(folder, cache)
    flip(folder)
    with pytest.raises(
        MaskmillError, match="1 of 2 shard files are missing or not what was written"
    ):
        shards.verify(folder, cache)


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1'])
def test_a_damaged_memory_of_what_was_right_is_no_harm(samples, tmp_path, content):
    folder = samples.put("a", *pair(4, 4, 0)).pack(tmp_path / "shards")
    (tmp_path / "shards.json").write_text(content)
    shards.verify(folder, tmp_path)
    flip(folder)
    with pytest.raises(MaskmillError, match="not what was written"):
        shards.verify(folder, tmp_path)


def test_a_damaged_shard_is_packed_anew(samples, tmp_path, decoded, capsys):
    folder = (
        samples.put("a", *pair(4, 4, 0))
        .put("b", *pair(4, 4, 1))
        .pack(tmp_path / "shards", shard_bytes=1)
    )
    path = flip(folder)
    decoded.clear()
    samples.check(samples.pack(folder))
    assert len(decoded) == 1
    assert f"{path.name} in {folder}: missing or damaged" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["missing", "cut off", "flipped"])
def test_a_damaged_index_is_named_and_packed_anew(samples, tmp_path, damage):
    folder = samples.put("a", *pair(4, 4, 0)).pack(tmp_path / "shards")
    path = folder / "index.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(b"train")] ^= 1
    path.unlink()
    if damage != "missing":
        path.write_bytes(content if damage == "flipped" else content[:-20])
    with pytest.raises(
        MaskmillError, match=r"index\.parquet: (no such file|damaged).*dvc checkout"
    ):
        shards.Shard(folder, "train")
    samples.check(samples.pack(folder))


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_a_shard_file_that_is_not_whole_is_named_when_it_is_opened(samples, tmp_path, damage):
    folder = samples.put("a", *pair(4, 4, 0)).pack(tmp_path / "shards")
    path = next(folder.glob("*.bin"))
    os.truncate(path, 20) if damage == "cut off" else path.unlink()
    with pytest.raises(
        MaskmillError,
        match=rf"{path.name}: (no such file|20 bytes, at least 32 are needed).*dvc pull",
    ):
        shards.Shard(folder, "train")


def test_what_an_older_layout_left_behind_goes(samples, tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "train-images.npy").write_bytes(b"old")
    samples.put("a", *pair(4, 4, 0)).check(samples.pack(tmp_path / "shards"))
    assert not (tmp_path / "shards" / "train-images.npy").exists()


def test_a_part_of_a_shard_has_the_chosen_samples_and_the_whole_stays(samples, tmp_path):
    pairs = {name: pair(4, 5, seed) for seed, name in enumerate("abcd")}
    for name, (image, mask) in pairs.items():
        samples.put(name, image, mask)
    samples.pack(tmp_path / "shards")
    whole = shards.Shard(tmp_path / "shards", "train")
    part = whole.chosen(np.array([False, True, False, True]))
    assert (part.ids, len(part), part.sizes.tolist()) == (["b", "d"], 2, [[4, 5]] * 2)
    for place, name in enumerate(part.ids):
        np.testing.assert_array_equal(part[place][1], pairs[name][1])
    assert pickle.loads(pickle.dumps(part)).ids == ["b", "d"]
    assert (whole.ids, len(whole)) == (list("abcd"), 4)
