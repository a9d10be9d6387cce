import hashlib

import numpy as np
import pytest

from maskmill.data import decode, manifest

COLUMNS = {
    "id", "image", "mask", "group", "order", "height", "width", "mask_height", "mask_width", "channels", "dtype",
    "sha256_file", "sha256_pixels", "sha256_mask", "mean", "std", "px_background", "px_disc", "px_square", "px_bar",
    "ignored_px", "unknown_px", "unknown_ids", "error",
}  # fmt: skip
IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)
MASK = np.array([[0, 0, 0, 1], [2, 2, 9, 9], [255, 255, 255, 7]], np.uint8)


@pytest.fixture
def raw(tmp_path):
    def write(names, image=IMAGE, mask=MASK):
        for name in names:
            decode.write_png(tmp_path / "images" / f"{name}.png", image)
            decode.write_png(tmp_path / "masks" / f"{name}.png", mask)
        rows = [f"{name},{name},{order}" for order, name in enumerate(names)]
        (tmp_path / "index.csv").write_text("\n".join(["id,group,order", *rows]))
        return tmp_path

    return write


def test_a_pair_is_described_by_what_is_in_its_pixels(raw, data):
    table = manifest.build(raw(["a"]), data)
    assert set(table.columns) == COLUMNS
    row = table.iloc[0]
    assert (row["image"], row["mask"]) == ("images/a.png", "masks/a.png")
    assert (row["height"], row["width"], row["mask_height"], row["mask_width"]) == (3, 4, 3, 4)
    assert (row["channels"], row["dtype"]) == (1, "uint8")
    assert (row["mean"], row["std"]) == (IMAGE.mean(), IMAGE.std())
    assert [row[f"px_{name}"] for name in ("background", "disc", "square", "bar")] == [3, 1, 2, 0]
    assert (row["ignored_px"], row["unknown_px"], row["unknown_ids"]) == (3, 3, "7 9")


def test_one_row_per_pair_in_order_of_id(raw, data):
    assert manifest.build(raw(["c", "a", "b"]), data)["id"].tolist() == ["a", "b", "c"]


def test_the_digest_of_the_file_and_of_the_pixels_differ_in_what_they_see(raw, data):
    folder = raw(["a", "b"])
    path = folder / "images" / "b.png"
    path.write_bytes(path.read_bytes() + b"a comment behind the end")
    a, b = (row for _, row in manifest.build(folder, data).iterrows())
    assert a["sha256_pixels"] == b["sha256_pixels"]
    assert a["sha256_file"] == hashlib.sha256((folder / "images" / "a.png").read_bytes()).hexdigest()
    assert a["sha256_file"] != b["sha256_file"]


def test_the_pixel_digest_tells_shapes_apart(raw, data):
    folder = raw(["a", "b"])
    decode.write_png(folder / "images" / "b.png", IMAGE.reshape(4, 3))
    assert manifest.build(folder, data)["sha256_pixels"].nunique() == 2


def test_a_missing_half_is_null_and_a_broken_file_is_told(raw, data):
    folder = raw(["a", "b", "c"])
    (folder / "images" / "a.png").unlink()
    (folder / "masks" / "b.png").unlink()
    (folder / "masks" / "c.png").write_bytes(b"?")
    table = manifest.build(folder, data).set_index("id")
    assert table["image"].isna().tolist() == [True, False, False]
    assert table["mask"].isna().tolist() == [False, True, False]
    assert table["error"].isna().tolist() == [True, True, False]
    assert str(folder / "masks" / "c.png") in table.loc["c", "error"]


def test_names_that_look_like_numbers_or_nothing_stay_text(raw, data):
    names = ["007", "1e5", "NA", "null"]
    table = manifest.build(raw(names), data)
    assert table["id"].tolist() == names
    assert table["group"].tolist() == names


def test_parquet_keeps_the_table(raw, data, tmp_path):
    table = manifest.build(raw(["a", "b"]), data)
    manifest.write(tmp_path / "new" / "m.parquet", table)
    back = manifest.read(tmp_path / "new" / "m.parquet")
    assert back.astype(object).where(back.notna(), None).to_dict("records") == table.astype(object).where(
        table.notna(), None
    ).to_dict("records")


def test_the_digest_of_a_split_follows_its_pixels_alone(raw, data):
    table = manifest.build(raw(["a", "b", "c"]), data).assign(split=["test", "test", "train"])
    digest = manifest.split_digest(table, "test")
    assert manifest.split_digest(table[::-1], "test") == digest
    assert manifest.split_digest(table.assign(mean=0.0, sha256_file="x"), "test") == digest
    assert manifest.split_digest(table.assign(split="test"), "test") != digest
    for column in ("sha256_pixels", "sha256_mask"):
        changed = table.copy()
        changed.loc[0, column] = "0" * 64
        assert manifest.split_digest(changed, "test") != digest
