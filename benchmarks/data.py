"""python benchmarks/data.py [--data DIR] [--files N] [ROW ..]: what it costs to read and keep data.

Rows: reading files, the manifest that remembers them, importing a folder, packing shards,
versioning with DVC. Prints the tables of docs/benchmarks.md. Images and masks are those of
DIR/images and DIR/masks, or generated: smooth random pictures of 360 x 480 px. Every table is
made by a process of its own;
those of one core by one that has one.
"""

import argparse
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pairs import ROOT, as_png, generate, index_of, write_tiny

ROWS = ("manifest", "unchanged", "import", "shards", "dvc")
ROUNDS = 3


def manifest(folder: Path) -> None:
    """Compare the manifest with the bare decode of the same files, on one core.

    The bare decode is that of Pillow or OpenCV, whichever is faster.
    """
    import cv2
    from PIL import Image

    from maskmill.curation.manifest import build

    cv2.setNumThreads(1)
    index, data = index_of(folder)
    in_colour = {"image": data.in_channels == 3, "mask": False}
    sides = [(Path(path), in_colour[side]) for side in ("image", "mask") for path in index[side]]

    def pillow() -> None:
        for path, colour in sides:
            picture = Image.open(io.BytesIO(path.read_bytes()))
            np.asarray(picture.convert("RGB") if colour else picture)

    def opencv() -> None:
        for path, colour in sides:
            flag = cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_UNCHANGED
            cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flag)

    seconds = {
        "Pillow": _best(pillow),
        "OpenCV": _best(opencv),
        "manifest": _best(lambda: build(index, data, None, 1)),
    }
    bare = min(seconds["Pillow"], seconds["OpenCV"])
    _table(
        ["one core", "pairs per second", "of the bare decode"],
        [(name, f"{len(index) / s:.0f}", f"{bare / s:.2f}") for name, s in seconds.items()],
    )


def unchanged(folder: Path, count: int) -> None:
    """A second manifest over files that have not changed; half of them images, half masks."""
    from maskmill.curation.manifest import build

    write_tiny(folder / "tiny", count // 2)
    index, data = index_of(folder / "tiny")
    rows = []
    time.sleep(0.2)  # a file that was just written is not remembered
    for name in ("first", "again", "again"):
        start = time.perf_counter()
        build(index, data, folder / "cache")
        rows.append((name, f"{count:,}", f"{time.perf_counter() - start:.1f}"))
    _table(["manifest", "files", "s"], rows)
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB of memory")


def import_folder(folder: Path, count: int) -> None:
    """Propose an import of so many pairs, beside the manifest of the same files."""
    from maskmill.curation.manifest import build
    from maskmill.importing.plan import Wishes
    from maskmill.importing.propose import make_plan
    from maskmill.settings import config

    rows = []
    for pairs in (count // 10, count):
        tiny = write_tiny(folder / f"tiny-{pairs}", pairs)
        start = time.perf_counter()
        make_plan(tiny, Wishes(), config.load(ROOT / "params.yaml"))
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        index, data = index_of(tiny)
        start = time.perf_counter()
        build(index, data, None)
        manifest_s = time.perf_counter() - start
        rows.append(
            (f"{pairs:,}", f"{seconds:.1f}", f"{seconds / manifest_s:.2f}", f"{memory:.0f}")
        )
    _table(["pairs", "import, s", "of the manifest's time", "memory until then, MB"], rows)


def shards(folder: Path) -> None:
    """Time an epoch on one core, with every image and mask copied out.

    PNG files, shards, and a bare memmap of the same bytes are compared.
    """
    import cv2

    from maskmill.curation.manifest import build
    from maskmill.samples.packing import pack_samples
    from maskmill.samples.shards import Shard

    cv2.setNumThreads(1)
    index, data = index_of(as_png(folder, folder / "png"))
    table, _ = build(index, data, None)
    start = time.perf_counter()
    pack_samples(folder / "shards", table.assign(split="train", clean=True), data)
    packing = time.perf_counter() - start
    shard = Shard(folder / "shards", "train")
    order = np.random.default_rng(0).permutation(len(shard))
    flat = folder / "flat.bin"
    flat.write_bytes(
        b"".join(path.read_bytes() for path in sorted((folder / "shards").glob("*.bin")))
    )
    size = sum(part.size for part in shard[0])

    flags = (
        cv2.IMREAD_COLOR_RGB if data.in_channels == 3 else cv2.IMREAD_UNCHANGED,
        cv2.IMREAD_UNCHANGED,
    )

    def png() -> None:
        for i in order:
            for side, flag in zip(("image", "mask"), flags, strict=True):
                cv2.imdecode(np.frombuffer(Path(index[side][i]).read_bytes(), np.uint8), flag)

    def packed() -> None:
        for i in order:
            image, mask = shard[i]
            image.copy(), mask.copy()

    def memmap() -> None:
        mapped = np.memmap(flat, np.uint8, "r")
        for i in order:
            mapped[i * size : (i + 1) * size].copy()

    seconds = {"PNG, OpenCV": _best(png), "shards": _best(packed), "bare memmap": _best(memmap)}
    _table(
        ["an epoch on one core", "pairs per second", "times PNG"],
        [
            (name, f"{len(index) / s:,.0f}", f"{seconds['PNG, OpenCV'] / s:.1f}")
            for name, s in seconds.items()
        ],
    )
    print(f"packing, one core: {len(index) / packing:.0f} pairs per second")


def dvc(folder: Path, count: int) -> None:
    """Time `dvc add` and `dvc status` of so many samples, as files and as shards.

    The cache is on the same disk.
    """
    from maskmill.curation.manifest import build
    from maskmill.samples.packing import pack_samples

    tiny = write_tiny(folder / "tiny", count)
    index, data = index_of(tiny)
    rows = []
    for form in ("files", "shards"):
        repository = folder / f"dvc-{form}"
        repository.mkdir()
        if form == "files":
            tiny.rename(repository / "data")
        else:
            table, _ = build(
                index.replace(str(tiny), str(folder / "dvc-files" / "data"), regex=True), data, None
            )
            pack_samples(repository / "data", table.assign(split="train", clean=True), data)
        number = sum(1 for path in (repository / "data").rglob("*") if path.is_file())
        _dvc(repository, "init", "--no-scm", "-q")
        _dvc(repository, "config", "core.analytics", "false")
        times = [
            _dvc(repository, *command) for command in (("add", "-q", "data"), ("status", "-q"))
        ]
        rows.append((f"{count:,} samples as {form}", f"{number:,}", *(f"{s:.1f}" for s in times)))
    _table(["", "files", "`dvc add`, s", "`dvc status`, s"], rows)


def _dvc(repository: Path, *command: str) -> float:
    start = time.perf_counter()
    environment = os.environ | {
        "DVC_SITE_CACHE_DIR": str(repository / "site"),
        "DVC_NO_ANALYTICS": "1",
    }
    subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=repository, check=True, env=environment
    )
    return time.perf_counter() - start


def _best(act: Callable[[], object]) -> float:
    """Processor seconds of the fastest of a few rounds, without what a busy neighbour takes."""

    def seconds() -> Iterator[float]:
        for _ in range(ROUNDS):
            start = time.process_time()
            act()
            yield time.process_time() - start

    return min(seconds())


def _table(head: list[str], rows: list[tuple[str, ...]]) -> None:
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |", flush=True)


def _run(row: str, data: Path | None, files: int) -> None:
    """One table, in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="maskmill-bench-") as name:
        folder = Path(name)
        if row in ("manifest", "shards"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            if data:
                for side in ("images", "masks"):
                    shutil.copytree(data / side, folder / side)
            else:
                generate(folder)
            {"manifest": manifest, "shards": shards}[row](folder)
        else:
            {"unchanged": unchanged, "import": import_folder, "dvc": dvc}[row](folder, files)


def main() -> None:
    """Print the tables; every one is made by a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "rows", nargs="*", choices=[*ROWS, []], help="tables to make; all if not given"
    )
    parser.add_argument(
        "--data", type=Path, help="a folder with images/ and masks/; generated if not given"
    )
    parser.add_argument(
        "--files",
        type=int,
        default=100_000,
        help="files, or samples, where the number is the point",
    )
    parser.add_argument("--one", choices=ROWS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        _run(given.one, given.data, given.files)
        return
    for row in given.rows or ROWS:
        options = [
            "--one",
            row,
            "--files",
            str(given.files),
            *(["--data", str(given.data)] if given.data else []),
        ]
        print(f"\n`{row}`, {given.data or 'generated'}\n", flush=True)
        subprocess.run([sys.executable, __file__, *options], check=True)


if __name__ == "__main__":
    main()
