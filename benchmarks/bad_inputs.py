"""python benchmarks/bad_inputs.py [--data FOLDER]: test and time the decoder on bad and good files.

1,000 bad files of all classes of `tests/bad_inputs`, each held against the words that must be said
of it; 10,000 good pairs, each pixel held against what was written; the peak memory of a process
that decodes; and the time of checks and decoding on one core, beside Pillow and OpenCV reading the
same bytes. `--data` holds CamVid's WebP and PNG; without it drawn images take their place. Prints
the tables of docs/benchmarks.md.
"""

import argparse
import io
import itertools
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
from benchmarks.metrics import milliseconds  # noqa: E402
from maskmill.images import decode  # noqa: E402
from maskmill.settings.config import STRICT  # noqa: E402
from tests.bad_inputs import build, faults, good  # noqa: E402

BAD, GOOD, HANG_S = 1_000, 10_000, 5.0
PEAK = """
import sys, pathlib
from maskmill.settings.config import STRICT
from maskmill.images import decode
shape = decode.image(pathlib.Path(sys.argv[1]), 3).shape if len(sys.argv) > 1 else ()
assert not {"torch", "great_expectations", "cv2"} & set(sys.modules)
status = pathlib.Path("/proc/self/status").read_text()  \
# ru_maxrss would count the parent's memory, too
print(int(status.split("VmHWM:")[1].split()[0]) / 1000)
"""


def bad() -> Counter[str]:
    """The verdicts over all classes in turn, until there are enough cases."""
    verdicts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, fault in zip(range(BAD), itertools.cycle(faults.FAULTS), strict=False):
            seed, start = number // len(faults.FAULTS), time.monotonic()
            verdict = fault.verdict(Path(folder), seed)
            verdicts[
                "hang" if time.monotonic() - start > HANG_S else verdict.partition(":")[0]
            ] += 1
            if verdict != "right":
                print(f"{fault.name}, seed {seed}: {verdict}")
    return verdicts


def refused_pairs() -> tuple[int, int]:
    """Good pairs that are refused, and that come out otherwise than they were written."""
    refused = changed = 0
    for pair in itertools.islice(good.pairs(0), GOOD):
        try:
            read = [
                (
                    decode.image(f.content, f.channels, f.decoding)
                    if f.channels
                    else decode.mask(f.content)
                )
                for f in pair
            ]
        except decode.DecodeError as error:
            print(f"refused: {error}")
            refused += 1
        else:
            changed += any(not np.array_equal(a, f.pixels) for a, f in zip(read, pair, strict=True))
    return refused, changed


def peak_mb(content: bytes = b"") -> float:
    """Peak memory of a process that decodes this file and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        path.write_bytes(content)
        command = [sys.executable, "-c", PEAK, *([str(path)] if content else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "src")
    return float(done.stdout)


def memory() -> None:
    """Peak memory by format, of 50 megapixels."""
    print(
        "\n| file of 50 megapixels, RGB | decoded, MB | peak, MB | limit: 300 MB + one image"
        " |\n|---|---|---|---|"
    )
    print(f"| (none: imports alone) | 0 | {peak_mb():.0f} | 300 |")
    pixels = np.tile(
        np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8), (10, 20, 1)
    )
    files = {
        "PNG": build.encoded(pixels, "PNG", compress_level=1),
        "JPEG": build.encoded(pixels, "JPEG", quality=50),
        "WebP": build.encoded(pixels, "WEBP", quality=20, method=0),
        "TIFF, Deflate": build.tiff(
            pixels, compression="zlib", compressionargs={"level": 1}, rowsperstrip=64
        ),
        "BMP": build.encoded(pixels, "BMP"),
    }
    for name, content in files.items():
        image_mb = pixels.nbytes / 1e6
        print(
            f"| {name}, {len(content) / 1e6:.0f} MB | {image_mb:.0f} | {peak_mb(content):.0f} |"
            f" {300 + image_mb:.0f} |"
        )


def speed(data: Path | None) -> None:
    """Checks and decoding beside the bare decoders."""
    import cv2
    from PIL import Image

    cv2.setNumThreads(1)

    def pillow(content: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(content)))

    def opencv(content: bytes) -> np.ndarray:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 else pixels

    print(
        "\n| file, 480 x 360 | Pillow, ms | OpenCV, ms | checks, ms | checks and decoding, ms"
        " |\n|---|---|---|---|---|"
    )
    for name, content in samples(data).items():
        ours: Callable[[], object] = lambda c=content: decode.image(c, 3)  # noqa: E731
        if name.startswith("mask"):
            ours = lambda c=content: decode.mask(c)  # noqa: E731
        decoders = [
            lambda c=content: pillow(c),
            lambda c=content: opencv(c),
            lambda c=content: decode.header(c, STRICT),
            ours,
        ]
        print(
            f"| {name} | "
            + " | ".join(f"{milliseconds(decoder, rounds=40):.2f}" for decoder in decoders)
            + " |"
        )


def samples(data: Path | None) -> dict[str, bytes]:
    """One file of each format."""
    found = sorted(data.rglob("*.webp"))[:1] if data else []
    y, x = np.mgrid[:360, :480]
    noise = np.random.default_rng(0).normal(0, 6, (360, 480, 3))
    drawn = (np.stack([x / 2, y / 2, (x + y) / 4], axis=-1) + noise).clip(0, 255).astype(np.uint8)
    pixels = decode.image(found[0], 3) if found else drawn
    masks = sorted(data.rglob("*.png"))[:1] if data else []
    return {
        "WebP, lossless": (
            found[0].read_bytes() if found else build.encoded(drawn, "WEBP", lossless=True)
        ),
        "PNG": build.encoded(pixels),
        "JPEG": build.encoded(pixels, "JPEG", quality=90),
        "JPEG, progressive": build.encoded(pixels, "JPEG", quality=90, progressive=True),
        "TIFF, LZW": build.tiff(pixels, compression="lzw", rowsperstrip=32),
        "mask as PNG": masks[0].read_bytes() if masks else build.encoded(pixels[..., 0] // 64),
    }


def main() -> None:
    """Print the tables; exit with 1 where a limit is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    data = parser.parse_args().data
    verdicts, (refused, changed) = bad(), refused_pairs()
    classes = sum(fault.said != faults.READ for fault in faults.FAULTS)
    print("| | cases | limit | found |\n|---|---|---|---|")
    for name in ("crash", "hang", "silent acceptance", "wrong words", "false refusal"):
        print(f"| bad files, {classes} classes: {name} | {BAD:,} | 0 | {verdicts[name]} |")
    for name, found in (("refused", refused), ("with another pixel", changed)):
        print(f"| good pairs {name} | {GOOD:,} | 0 | {found} |")
    memory()
    speed(data)
    sys.exit(int(verdicts["right"] < BAD or refused + changed > 0))


if __name__ == "__main__":
    main()
