import numpy as np
import pandas as pd
import pytest

from maskmill.curation import manifest, verify
from maskmill.images import decode
from maskmill.samples import packing
from maskmill.system.errors import MaskmillError


@pytest.fixture
def prepared(tmp_path, data):
    """A folder as `split` leaves it, of four pairs, one of them without a mask."""
    rng, rows = np.random.default_rng(0), []
    for i in range(4):
        paths = {side: tmp_path / "source" / f"{side}s" / f"p{i}.png" for side in ("image", "mask")}
        decode.write_png(paths["image"], rng.integers(0, 256, (8, 9), np.uint8))
        decode.write_png(paths["mask"], rng.integers(0, 4, (8, 9), np.uint8))
        rows.append(
            {"id": f"p{i}", "group": "g", "sequence": "g", "order": i, "split": ""}
            | {k: str(p) for k, p in paths.items()}
        )
    rows[3]["mask"] = ""
    table, _ = manifest.build(pd.DataFrame(rows), data, None)
    table = table.assign(split=["train", "train", "val", ""], clean=True)
    packing.pack_samples(tmp_path / "shards", table, data)
    manifest.write(tmp_path / "manifest.parquet", table)
    return tmp_path


def problems(prepared, **options):
    with pytest.raises(MaskmillError) as raised:
        verify.verify(prepared, **options)
    return str(raised.value).splitlines()


def test_one_line_says_that_all_is_well_and_how_fast_it_was_read(prepared, capsys):
    verify.verify(prepared)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("verify: 7 files and 1 shards are as they were; ")
    assert line.endswith("MB/s")


@pytest.mark.parametrize("workers", [1, 4])
def test_changed_and_missing_files_are_counted_and_named(prepared, workers):
    source = prepared / "source"
    (source / "images" / "p1.png").unlink()
    for path in (source / "images" / "p0.png", source / "masks" / "p2.png"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    missing, changed = problems(prepared, workers=workers)
    assert missing.startswith(f"1 of 7 files are missing: {source}/images/p1.png; get them back")
    named = f"{source}/images/p0.png, {source}/masks/p2.png"
    assert changed.startswith(
        f"2 of 7 files have changed since `validate` read them: {named}; get them back"
    )
    assert changed.endswith(
        "`dvc checkout`, `dvc pull`), or `make pipeline` takes the data as it is now"
    )


def test_a_file_that_is_named_for_two_pairs_is_told_once(prepared):
    table = manifest.read(prepared / "manifest.parquet")
    table.loc[1, ["mask", "sha256_mask_file"]] = table.loc[0, ["mask", "sha256_mask_file"]]
    manifest.write(prepared / "manifest.parquet", table)
    (prepared / "source" / "masks" / "p0.png").unlink()
    (line,) = problems(prepared)
    assert line.startswith("1 of 6 files are missing")


def test_a_flipped_byte_in_a_shard_is_told_beside_the_files(prepared):
    (prepared / "source" / "masks" / "p0.png").unlink()
    path = next((prepared / "shards").glob("*.bin"))
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    files, shard = problems(prepared)
    assert files.startswith("1 of 7 files are missing")
    assert shard.startswith(f"1 of 1 shard files are missing or not what was written: {path}")


def test_of_many_files_the_first_are_named(prepared, monkeypatch):
    monkeypatch.setattr(verify, "_SHOWN", 2)
    for path in (prepared / "source").rglob("*.png"):
        path.unlink()
    (line,) = problems(prepared)
    assert line.startswith(f"7 of 7 files are missing: {prepared}/source/images/p0.png, ")
    assert "p1.png and 5 more; get them back" in line


def test_before_the_first_run_there_is_nothing_to_hold_the_data_against(tmp_path):
    (line,) = problems(tmp_path)
    assert line.startswith(
        f"{tmp_path}/manifest.parquet: no such file; there is nothing to hold the data against yet"
    )
    assert line.endswith("run `make pipeline`")
