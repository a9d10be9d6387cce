"""python benchmarks/fuzz_decode.py [SECONDS]: feed damaged files to the decoder.

The decoder must read or refuse them. `TestOneInput` is a target of atheris, which runs it where it
is installed. Without it, files of every format are damaged at random: bits, numbers, parts left
out, doubled or put into another file; then checksums are made right again.
"""

import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
from maskmill.images import decode  # noqa: E402
from maskmill.settings.config import STRICT  # noqa: E402
from tests.bad_inputs import good  # noqa: E402

LIMIT_S = 5.0
KEPT = Path(tempfile.gettempdir()) / "maskmill-fuzz-input"
# Each file may go any way through the decoder; the limits keep a case small.
LENIENT = STRICT.model_copy(
    update={
        "alpha": "white",
        "cmyk": "convert",
        "colour": "luma",
        "value_range": (0, 4095),
        "max_pixels": 1_000_000,
    }
)
BANDS = LENIENT.model_copy(update={"bands": (2, 1, 1)})
ODD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def TestOneInput(data: bytes) -> None:
    """Anything but an array or a DecodeError is a fault of ours."""
    data = bytes(data)
    start = time.perf_counter()
    ways: list[Callable[[], object]] = [
        lambda: decode.header(data, LENIENT),
        lambda: decode.image(data, 1, LENIENT),
        lambda: decode.image(data, 3, BANDS),
        lambda: decode.mask(data, LENIENT, palette_colours=True),
        lambda: decode.mask(data, LENIENT),
    ]
    for way in ways:
        try:
            way()
        except decode.DecodeError as error:
            assert str(error).startswith("image: ") and str(error).isprintable(), repr(str(error))
    seconds = time.perf_counter() - start
    assert seconds < LIMIT_S, f"{seconds:.1f} s"


def damaged(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One to four random changes."""
    out = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(len(out) + 1)), int(rng.integers(1, 40))
        # headers are where damage hurts
        at = at if rng.random() < 0.5 else int(rng.integers(min(len(out), 200) + 1))
        match int(rng.integers(7)):
            case 0 if at < len(out):
                out[at] ^= 1 << int(rng.integers(8))
            case 1 if at + 4 <= len(out):
                order, kind = "<>"[rng.integers(2)], "BHI"[rng.integers(3)]
                value = ODD[rng.integers(len(ODD))] & (256 ** struct.calcsize(kind) - 1)
                struct.pack_into(order + kind, out, at, value)
            case 2:
                del out[at : at + length]
            case 3:
                out[at:at] = out[at : at + length]
            case 4:
                out[at : at + length] = other[at : at + length]
            case 5:
                out[at : at + length] = rng.bytes(length)
            case 6:
                del out[at:]
    return whole(bytes(out)) if rng.random() < 0.7 else bytes(out)


def whole(content: bytes) -> bytes:
    """The same PNG with right checksums, or WebP with a right length: damage then goes deeper."""
    if content.startswith(b"RIFF"):
        return content[:4] + struct.pack("<I", max(0, len(content) - 8)) + content[8:]
    out, at = bytearray(content), 8
    while content.startswith(b"\x89PNG") and at + 12 <= len(out):
        (size,) = struct.unpack_from(">I", out, at)
        if at + 12 + size > len(out):
            break
        struct.pack_into(">I", out, at + 8 + size, zlib.crc32(out[at + 4 : at + 8 + size]))
        at += 12 + size
    return bytes(out)


def mutate(seconds: float, seed: int = 0) -> int:
    """Run damaged seeds for so many seconds; return how many were run.

    The file of a fault is kept at KEPT.
    """
    rng = np.random.default_rng(seed)
    seeds = [file.content for pair in islice(good.pairs(seed), 300) for file in pair]
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        one, other = rng.integers(len(seeds), size=2)
        content = damaged(seeds[one], seeds[other], rng)
        KEPT.write_bytes(content)  # a crash of the process leaves it behind
        TestOneInput(content)
        count += 1
    KEPT.unlink()
    return count


def main() -> None:
    """By atheris where it is installed, else by `mutate`."""
    try:
        import atheris
    except ImportError:
        seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
        print(
            f"{mutate(seconds, seed=int(time.time())):,} damaged files in {seconds:.0f} s: no"
            " crash, no hang"
        )
        return
    atheris.Setup(sys.argv, TestOneInput)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
