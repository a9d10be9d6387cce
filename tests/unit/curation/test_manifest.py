import hashlib
import os
import sqlite3
import threading
import time

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskmill.curation import describe, duplicates, manifest
from maskmill.images import decode
from maskmill.images.moments import moments
from maskmill.samples.preprocessing import Preprocessing
from maskmill.system import stamps

COLUMNS = {
    "id", "image", "mask", "group", "sequence", "order", "given_split", "format", "height", "width",
    "channels", "dtype", "image_orientation", "mask_orientation", "bytes", "sha256_file",
    "sha256_mask_file", "sha256_pixels", "sha256_mask", "phash", "mean", "std", "mask_height",
    "mask_width", "px_background", "px_disc", "px_square", "px_bar", "ignored_px", "unknown_px",
    "unknown_ids", "error",
}  # fmt: skip
IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)
MASK = np.array([[0, 0, 0, 1], [2, 2, 9, 9], [255, 255, 255, 7]], np.uint8)
SETTLE_S = 0.15  # a younger file is not remembered


class Source:
    """A folder of pairs and the index that names them."""

    def __init__(self, folder):
        self.folder, self.ids = folder, []

    def path(self, side, name):
        return self.folder / f"{side}s" / f"{name}.png"

    def add(self, *names, image=IMAGE, mask=MASK):
        for name in names:
            decode.write_png(self.path("image", name), image)
            decode.write_png(self.path("mask", name), mask)
            self.ids += [name] * (name not in self.ids)
        return self

    @property
    def index(self):
        return pd.DataFrame(
            [(name, *(str(self.path(side, name)) for side in ("image", "mask")),
              f"g{name}", "s", order, "train")
             for order, name in enumerate(self.ids)],
            columns=["id", "image", "mask", "group", "sequence", "order", "split"],
        )  # fmt: skip


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path / "source")


@pytest.fixture
def reads(monkeypatch):
    """The paths that were read, in any order."""
    seen, read = [], decode.read_bytes

    def content(source, *policy):
        if not isinstance(source, bytes):
            seen.append(str(source))
        return read(source, *policy)

    monkeypatch.setattr(decode, "read_bytes", content)
    return seen


def same(found, expected):
    pd.testing.assert_frame_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


def test_a_pair_is_described_by_what_is_in_its_files(source, data):
    table, thumbnails = manifest.build(source.add("a").index, data, None)
    assert set(table.columns) == COLUMNS
    row = table.iloc[0]
    assert (row["image"], row["mask"]) == (
        str(source.path("image", "a")),
        str(source.path("mask", "a")),
    )
    assert (row["group"], row["sequence"], row["order"], row["given_split"]) == (
        "ga",
        "s",
        0,
        "train",
    )
    assert (row["height"], row["width"], row["mask_height"], row["mask_width"]) == (3, 4, 3, 4)
    assert (row["channels"], row["dtype"], row["format"]) == (1, "uint8", "PNG")
    assert (row["image_orientation"], row["mask_orientation"]) == (1, 1)
    assert row["bytes"] == source.path("image", "a").stat().st_size
    assert (row["mean"], row["std"]) == (pytest.approx(IMAGE.mean()), pytest.approx(IMAGE.std()))
    assert [row[f"px_{name}"] for name in ("background", "disc", "square", "bar")] == [3, 1, 2, 0]
    assert (row["ignored_px"], row["unknown_px"], row["unknown_ids"]) == (3, 3, "7 9")
    assert row["phash"] == f"{duplicates.phash(thumbnails[0]):016x}"
    assert np.array_equal(thumbnails[0], duplicates.thumbnail(IMAGE[..., None]))


def test_one_row_per_pair_in_order_of_id(source, data):
    source.add("c", image=IMAGE + 99).add("a", "b")
    table, thumbnails = manifest.build(source.index, data, None)
    assert table["id"].tolist() == ["a", "b", "c"]
    assert thumbnails.mean(axis=(1, 2)).argmax() == 2


def test_the_digest_of_the_file_and_of_the_pixels_differ_in_what_they_see(source, data):
    path = source.add("a", "b").path("image", "b")
    path.write_bytes(path.read_bytes() + b"a comment behind the end")
    a, b = (row for _, row in manifest.build(source.index, data, None)[0].iterrows())
    assert a["sha256_pixels"] == b["sha256_pixels"]
    assert a["sha256_file"] == hashlib.sha256(source.path("image", "a").read_bytes()).hexdigest()
    assert (
        a["sha256_mask_file"] == hashlib.sha256(source.path("mask", "a").read_bytes()).hexdigest()
    )
    assert a["sha256_file"] != b["sha256_file"]


def test_the_pixel_digest_tells_shapes_apart(source, data):
    source.add("a").add("b", image=IMAGE.reshape(4, 3))
    assert manifest.build(source.index, data, None)[0]["sha256_pixels"].nunique() == 2


def test_mean_and_deviation_are_those_of_all_channels_together(source, data):
    colour = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    wide = data.model_copy(update={"in_channels": 3})
    row = manifest.build(source.add("a", image=colour).index, wide, None)[0].iloc[0]
    assert (row["mean"], row["std"]) == (pytest.approx(colour.mean()), pytest.approx(colour.std()))


def test_values_without_a_meaning_are_not_counted_as_ignored(source, data):
    table = data.model_copy(update={"values": {0: "background", 2: "bar", 255: "ignore"}})
    row = manifest.build(source.add("a").index, table, None)[0].iloc[0]
    assert [row[f"px_{name}"] for name in ("background", "disc", "square", "bar")] == [3, 0, 0, 2]
    assert (row["ignored_px"], row["unknown_px"], row["unknown_ids"]) == (3, 4, "1 7 9")


def test_a_missing_half_is_null_and_a_broken_file_is_told(source, data):
    index = source.add("a", "b", "c", "d").index
    index.loc[0, "image"], index.loc[1, "mask"] = "", None
    source.path("mask", "c").write_bytes(b"?")
    source.path("image", "d").unlink()
    source.path("mask", "d").write_bytes(b"")
    table = manifest.build(index, data, None)[0].set_index("id")
    assert table["image"].isna().tolist() == [True, False, False, False]
    assert table["mask"].isna().tolist() == [False, True, False, False]
    assert table["error"].isna().tolist() == [True, True, False, False]
    assert str(source.path("mask", "c")) in table.loc["c", "error"]
    assert table.loc["c", "sha256_mask_file"] == hashlib.sha256(b"?").hexdigest()
    image, mask = table.loc["d", "error"].split("; ", 1)
    assert image == f"{source.path('image', 'd')}: no such file"
    assert mask.startswith(str(source.path("mask", "d")))


def test_a_folder_or_a_pipe_in_place_of_a_file_is_told_and_does_not_hang(source, data):
    source.add("a", "b")
    for name, make in (("a", os.mkdir), ("b", os.mkfifo)):
        source.path("image", name).unlink()
        make(source.path("image", name))
    errors = manifest.build(source.index, data, None)[0]["error"]
    for error, name, kind in zip(errors, "ab", ("folder", "pipe"), strict=True):
        assert f"{source.path('image', name)}: no regular file but a" in error
        assert kind in error


def test_names_that_look_like_numbers_or_nothing_stay_text(source, data):
    names = ["007", "1e5", "NA", "null"]
    assert manifest.build(source.add(*names).index, data, None)[0]["id"].tolist() == names


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_number_of_workers_changes_nothing(source, data, tmp_path, workers):
    rng = np.random.default_rng(0)
    for i in range(20):
        source.add(
            f"{i:02d}",
            image=rng.integers(0, 256, (8, 9), np.uint8),
            mask=rng.integers(0, 4, (8, 9), np.uint8),
        )
    source.path("image", "07").write_bytes(b"?")
    same(
        manifest.build(source.index, data, tmp_path / str(workers), workers),
        manifest.build(source.index, data, None),
    )


def test_few_files_are_in_memory_at_a_time(source, data, monkeypatch):
    source.add(*(f"{i:02d}" for i in range(30)))
    now, most, lock, read = [0], [0], threading.Lock(), describe.describe_image

    def image(path, data):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.002)
        try:
            return read(path, data)
        finally:
            with lock:
                now[0] -= 1

    monkeypatch.setattr(describe, "describe_image", image)
    manifest.build(source.index, data, None, workers=3)
    assert 1 < most[0] <= 3


def test_unchanged_files_are_not_read_again(source, data, tmp_path, reads, capsys):
    first = manifest.build(source.add("a", "b").index, data, tmp_path / "cache")
    assert len(reads) == 4  # files this young are read, and not remembered
    time.sleep(SETTLE_S)
    manifest.build(source.index, data, tmp_path / "cache")
    reads.clear()
    capsys.readouterr()
    same(manifest.build(source.index, data, tmp_path / "cache"), first)
    assert reads == []
    assert "manifest: 4 of 4 files have not changed and are not read" in capsys.readouterr().out


def settled(source, data, cache):
    """The table of a source whose files are old enough to be remembered."""
    time.sleep(SETTLE_S)
    return manifest.build(source.index, data, cache)


def test_a_changed_file_alone_is_read_again(source, data, tmp_path, reads):
    settled(source.add("a", "b"), data, tmp_path)
    source.add("b", image=IMAGE + 1)
    source.path("mask", "b").touch()
    reads.clear()
    found = manifest.build(source.index, data, tmp_path)
    assert sorted(reads) == [str(source.path(side, "b")) for side in ("image", "mask")]
    same(found, manifest.build(source.index, data, None))


def test_another_time_of_change_reads_again_and_gives_the_same_row(source, data, tmp_path, reads):
    before = settled(source.add("a"), data, tmp_path)
    os.utime(source.path("image", "a"), (1, 1))
    reads.clear()
    same(manifest.build(source.index, data, tmp_path), before)
    assert reads == [str(source.path("image", "a"))]


def test_an_edit_in_place_that_keeps_size_and_time_is_seen(source, data, tmp_path):
    settled(source.add("a"), data, tmp_path)
    path = source.path("image", "a")
    times, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    same(manifest.build(source.index, data, tmp_path), manifest.build(source.index, data, None))


def test_a_file_that_could_not_be_got_at_is_tried_again(source, data, tmp_path, reads):
    source.add("a").path("image", "a").unlink()
    settled(source, data, tmp_path)
    source.add("a")
    assert manifest.build(source.index, data, tmp_path)[0]["error"].isna().all()


def test_other_settings_of_masks_read_the_masks_again_and_not_the_images(
    source, data, tmp_path, reads
):
    settled(source.add("a"), data, tmp_path)
    other = data.model_copy(update={"ignore_index": 9})
    reads.clear()
    found = manifest.build(source.index, other, tmp_path)
    assert reads == [str(source.path("mask", "a"))]
    same(found, manifest.build(source.index, other, None))


def test_other_settings_of_decoding_read_all_again(source, data, tmp_path, reads):
    settled(source.add("a"), data, tmp_path)
    other = data.model_copy(
        update={"decoding": data.decoding.model_copy(update={"exif": "as_stored"})}
    )
    reads.clear()
    manifest.build(source.index, other, tmp_path)
    assert len(reads) == 2


def test_what_a_killed_run_had_described_is_not_read_again(
    source, data, tmp_path, monkeypatch, reads
):
    monkeypatch.setattr("maskmill.curation.manifest_cache._COMMIT_S", 0.0)
    source.add(*"abcdef")
    time.sleep(SETTLE_S)
    read = describe.describe_image

    def killed(path, data):
        if path.endswith("e.png"):
            raise KeyboardInterrupt
        return read(path, data)

    monkeypatch.setattr(describe, "describe_image", killed)
    with pytest.raises(KeyboardInterrupt):
        manifest.build(source.index, data, tmp_path, workers=1)
    monkeypatch.setattr(describe, "describe_image", read)
    reads.clear()
    same(manifest.build(source.index, data, tmp_path), manifest.build(source.index, data, None))
    assert len(reads) == 4 + 12  # e and f, and all twelve without a cache


@pytest.mark.parametrize("damage", ["not a database", "cut off", "overwritten in the middle"])
def test_a_damaged_cache_is_put_aside_and_made_anew(source, data, tmp_path, capsys, damage):
    expected = settled(source.add(*(f"{i:03d}" for i in range(40))), data, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    content = path.read_bytes()
    path.write_bytes({
        "not a database": b"?" * 5000,
        "cut off": content[: len(content) // 2],
        "overwritten in the middle":
            content[:4096] + b"\xff" * (len(content) - 8192) + content[-4096:],
    }[damage])  # fmt: skip
    same(manifest.build(source.index, data, tmp_path / "cache"), expected)
    assert f"{path}: damaged" in capsys.readouterr().out
    assert path.with_name(f"{path.name}.damaged").exists()
    same(manifest.build(source.index, data, tmp_path / "cache"), expected)


def test_a_flipped_bit_in_a_remembered_value_is_noticed(source, data, tmp_path):
    expected = settled(source.add("a"), data, tmp_path)
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as database:
        database.execute(
            "UPDATE described SET columns = replace(columns, 'height\": 3', 'height\": 7')"
        )
        assert ": 7" in database.execute("SELECT columns FROM described").fetchone()[0]
    database.close()
    same(manifest.build(source.index, data, tmp_path), expected)


def test_the_cache_forgets_files_that_are_gone(source, data, tmp_path):
    settled(source.add("a", "b"), data, tmp_path)
    source.ids.remove("a")
    manifest.build(source.index, data, tmp_path)
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as database:
        rows = database.execute("SELECT path FROM described").fetchall()
    database.close()
    assert {path for (path,) in rows} == {str(source.path(side, "b")) for side in ("image", "mask")}


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "change image", "change mask", "remove", "touch", "break"]),
              st.integers(0, 5)),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(ACTIONS, min_size=2, max_size=4))
def test_what_is_remembered_equals_what_is_read_afresh(tmp_path_factory, data, monkeypatch, rounds):
    monkeypatch.setattr(stamps, "_SETTLED_NS", 20_000_000)
    folder = tmp_path_factory.mktemp("source")
    source, seed = Source(folder), 0
    for actions in rounds:
        for action, which in actions:
            seed += 1
            rng, name = np.random.default_rng(seed), f"p{which}"
            if action == "add" or name not in source.ids:
                source.add(name, image=rng.integers(0, 256, (6, 5), np.uint8))
            elif action == "remove":
                source.ids.remove(name)
                source.path("image", name).unlink()
            elif action == "touch":
                os.utime(source.path("mask", name))
            elif action == "break":
                source.path("image", name).write_bytes(b"?")
            else:
                decode.write_png(
                    source.path(action.split()[1], name), rng.integers(0, 4, (6, 5), np.uint8)
                )
        time.sleep(0.03)
        same(
            manifest.build(source.index, data, folder / "cache"),
            manifest.build(source.index, data, None),
        )


def test_parquet_keeps_the_table(source, data, tmp_path):
    table, _ = manifest.build(source.add("a", "b").index, data, None)
    manifest.write(tmp_path / "new" / "m.parquet", table)
    back = manifest.read(tmp_path / "new" / "m.parquet")
    assert back.astype(object).where(back.notna(), None).to_dict("records") == table.astype(
        object
    ).where(table.notna(), None).to_dict("records")


def test_the_digest_of_a_split_follows_its_pixels_alone(source, data):
    table = manifest.build(source.add("a", "b", "c").index, data, None)[0].assign(
        split=["test", "test", "train"]
    )
    digest = manifest.split_digest(table, "test")
    assert manifest.split_digest(table[::-1], "test") == digest
    assert manifest.split_digest(table.assign(mean=0.0, sha256_file="x"), "test") == digest
    assert manifest.split_digest(table.assign(split="test"), "test") != digest
    for column in ("sha256_pixels", "sha256_mask"):
        changed = table.copy()
        changed.loc[0, column] = "0" * 64
        assert manifest.split_digest(changed, "test") != digest


def test_a_file_of_the_same_moment_is_not_taken_for_settled():
    now, second = 1_000_000_000_000, 1_000_000_000
    assert stamps.is_settled((1, now - second, now - second, 1), now)
    # as a clock of 10 ms steps would give it
    assert not stamps.is_settled((1, now - second, now, 1), now)
    assert not stamps.is_settled((1, now + second, now - second, 1), now)


def test_an_image_of_many_bands_is_described(source, data):
    bands = np.random.default_rng(0).integers(0, 256, (70, 90, 5), np.uint8)
    source.add("a", mask=np.zeros((70, 90), np.uint8))
    path = source.path("image", "a")
    tifffile.imwrite(path, bands, photometric="minisblack", planarconfig="contig")
    decoding = data.decoding.model_copy(update={"bands": (5, 4, 3, 2, 1)})
    of_bands = data.model_copy(update={"in_channels": 5, "decoding": decoding})
    table, thumbnails = manifest.build(source.index, of_bands, None)
    assert table.loc[0, ["channels", "format", "error"]].tolist() == [5, "TIFF", None]
    assert table.loc[0, "mean"] == pytest.approx(bands.mean())
    assert table.loc[0, "std"] == pytest.approx(bands.std())
    assert thumbnails[0].std() > 0
    assert Preprocessing.fit([moments(bands)]).std == pytest.approx(bands.std(axis=(0, 1)) / 255)
