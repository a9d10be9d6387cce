"""python benchmarks/leaks.py: how many planted near duplicates the search finds, and at what cost.

Copies of 1 % of the images (at least --copies, at most one of each) are planted, one kind at a
time, in the embedded slices and, where MASKMILL_DATA names a folder that holds them, in camvid/ and
membrane/. Without a planted copy every pair found is counted by where it lies. Then the search by
hashes alone over 100,000 made thumbnails. Times are of the processor, so that a busy machine gives
the same. Prints the tables of docs/benchmarks.md.
"""

import argparse
import hashlib
import io
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from maskmill.curation import duplicates
from maskmill.curation.duplicates import candidates, near, views
from maskmill.settings import config
from maskmill.sources import icbm152

ROOT = Path(__file__).parents[1]
BUDGET_S = 600.0
Images = dict[str, np.ndarray]


def embedded() -> tuple[Images, dict[str, str]]:
    """The slices of the embedded data set, and the slab of each."""
    source = config.read_yaml(ROOT / "data" / "source.yaml")
    data = config.load(ROOT / "params.yaml").data
    pairs = list(
        icbm152.icbm152(folder=Path(), data=data, slabs=source["slabs"], seed=source["seed"])
    )
    return {pair.id: pair.image() for pair in pairs if callable(pair.image)}, {
        pair.id: pair.group for pair in pairs
    }


def folder(path: Path, mode: str, group: Callable[[str], str]) -> tuple[Images, dict[str, str]]:
    """Every image below a folder, and the group that its name says."""
    found = sorted(p for p in path.rglob("images/*") if p.is_file())
    pixels = {p.stem: np.atleast_3d(np.asarray(Image.open(p).convert(mode))) for p in found}
    return pixels, {name: group(name) for name in pixels}


def saved(pixels: np.ndarray, kind: str, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, kind, quality=quality)
    return np.atleast_3d(
        np.asarray(Image.open(buffer).convert("L" if pixels.shape[2] == 1 else "RGB"))
    )


def resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.atleast_3d(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how))


def turned(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Turned about the middle in a frame of the same size, black outside."""
    height, width = pixels.shape[:2]
    move = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return np.atleast_3d(cv2.warpAffine(pixels, move, (width, height), flags=cv2.INTER_LINEAR))


def cropped(pixels: np.ndarray, rng: np.random.Generator, stretch: float) -> np.ndarray:
    """80 % of the area anywhere; height and width keep shares whose ratio is at most `stretch`."""
    ratio = np.exp(rng.uniform(-1, 1) * np.log(stretch))
    shares = np.sqrt(0.8) * np.sqrt([ratio, 1 / ratio])
    height, width = (round(float(s) * n) for s, n in zip(shares, pixels.shape[:2], strict=True))
    y, x = rng.integers(pixels.shape[0] - height + 1), rng.integers(pixels.shape[1] - width + 1)
    return np.ascontiguousarray(pixels[y : y + height, x : x + width])


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
KINDS: dict[str, Change] = {
    "exact": lambda p, _: p.copy(),
    "JPEG, quality 30 to 95": lambda p, rng: saved(p, "JPEG", int(rng.integers(30, 96))),
    "JPEG, quality 30": lambda p, _: saved(p, "JPEG", 30),
    "WebP, quality 30 to 95": lambda p, rng: saved(p, "WEBP", int(rng.integers(30, 96))),
    "resized, 0.25x to 2x": lambda p, rng: resized(p, float(rng.uniform(0.25, 2))),
    "resized, 0.25x": lambda p, _: resized(p, 0.25),
    "flipped": lambda p, rng: np.ascontiguousarray(np.flip(p, int(rng.integers(2)))),
    "turned by 90, 180 or 270 degrees": lambda p, rng: np.ascontiguousarray(
        np.rot90(p, int(rng.integers(1, 4)))
    ),
    "turned by any angle": lambda p, rng: turned(p, float(rng.uniform(0, 360))),
    "turned by up to 5 degrees": lambda p, rng: turned(p, float(rng.uniform(-5, 5))),
    "brightness and contrast": lambda p, rng: np.uint8(
        (p * rng.uniform(0.6, 1) + rng.uniform(0, 50)).clip(0, 255)
    ),
    "crop of 80 %": lambda p, rng: cropped(p, rng, 1.0),
    "crop of 80 %, shares up to 1.25 : 1": lambda p, rng: cropped(p, rng, 1.25),
    "crop of 80 %, then JPEG, quality 75": lambda p, rng: saved(cropped(p, rng, 1.1), "JPEG", 75),
    "crop of 80 %, then flipped": lambda p, rng: np.ascontiguousarray(
        cropped(p, rng, 1.1)[:, ::-1]
    ),
}


def search(images: Images) -> tuple[duplicates.DuplicateSearch, float]:
    """The search as validate runs it, on images in memory, and the processor's seconds for it."""
    pixels = list(images.values())
    rows = {
        "id": list(images),
        "height": [p.shape[0] for p in pixels],
        "width": [p.shape[1] for p in pixels],
        "sha256_pixels": [
            hashlib.sha256(str(p.shape).encode() + p.tobytes()).hexdigest() for p in pixels
        ],
    }
    thumbnails = np.stack([duplicates.thumbnail(p) for p in pixels])
    start = time.process_time()
    result = duplicates.find_duplicates(
        pd.DataFrame(rows), thumbnails, pixels.__getitem__, BUDGET_S
    )
    if any(part.startswith("time") for part in result.note.split("; ")):
        raise RuntimeError(f"{BUDGET_S:g} s are too few on this machine: {result.note}")
    return result, time.process_time() - start


def planted(
    images: Images, change: Change, least: int, before: set[tuple[str, str]]
) -> tuple[int, int, set[tuple[str, str]], float]:
    """Copies planted and found, pairs that tie other pictures than were tied before, seconds."""
    rng = np.random.default_rng(0)
    count = min(len(images), max(least, round(0.01 * len(images))))
    originals = [str(name) for name in rng.choice(sorted(images), count, replace=False)]
    copies = {f"{name} copy": change(images[name], rng) for name in originals}
    result, seconds = search(images | copies)
    pairs = set(zip(result.pairs["a"], result.pairs["b"], strict=True))
    found = sum((name, f"{name} copy") in pairs for name in originals)
    bare = {
        (a, b): tuple(sorted((a.removesuffix(" copy"), b.removesuffix(" copy")))) for a, b in pairs
    }
    false = {pair for pair, shown in bare.items() if len(set(shown)) == 2 and shown not in before}
    return count, found, false, seconds


def detection(
    name: str, images: Images, group: dict[str, str], kinds: list[str], least: int
) -> None:
    """One table: without copies, then every kind."""
    plain, seconds = search(images)
    before = set(zip(plain.pairs["a"], plain.pairs["b"], strict=True))
    across = [(a, b) for a, b in before if group[a] != group[b]]
    height, width = next(iter(images.values())).shape[:2]
    print(
        f"\n{name}: {len(images)} images of {height} x {width} px. Nothing planted:"
        f" {seconds:.1f} s;",
        end=" ",
    )
    print(
        f"{len(before)} pairs found, {len(across)} of them across groups"
        f" {sorted(across)[:5] or ''}\n"
    )
    print("| planted | copies | found | other pairs | of them across groups | search, s |")
    print("|---|---|---|---|---|---|")
    others: set[str] = set()
    for kind in kinds:
        count, found, false, seconds = planted(images, KINDS[kind], least, before)
        torn = sum(
            group[a.removesuffix(" copy")] != group[b.removesuffix(" copy")] for a, b in false
        )
        share = 100 * found / count
        print(
            f"| {kind} | {count} | {share:.1f} % | {len(false)} | {torn} | {seconds:.1f} |",
            flush=True,
        )
        others |= {f"- {kind}: {a}, {b}" for a, b in false}
    print("\n" + "\n".join(["Other pairs:", *sorted(others)] if others else ["No other pairs."]))


def made(count: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thumbnails with the spectrum of photographs around 200 scenes.

    The last `share` of them are changed copies of others.
    """
    rng = np.random.default_rng(0)
    falloff = 1 / np.maximum(
        np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.rfftfreq(64), indexing="ij")), 1 / 64
    )

    def clouds(n: int) -> np.ndarray:
        noise = np.fft.irfft2(
            np.fft.rfft2(rng.standard_normal((n, 64, 64), dtype=np.float32)) * falloff
        )
        return (noise / noise.std(axis=(1, 2), keepdims=True)).astype(np.float32)

    scenes, copies = clouds(200), round(share * count)
    thumbnails = np.empty((count, 64, 64), np.uint8)
    for first in range(0, count - copies, 1000):
        n = min(1000, count - copies - first)
        own = 0.7 * scenes[rng.integers(200, size=n)] + 0.7 * clouds(n)
        thumbnails[first : first + n] = (128 + 45 * own).clip(0, 255)
    originals = rng.choice(count - copies, copies, replace=False)
    turns = rng.integers(8, size=copies)
    for k, (i, turn) in enumerate(zip(originals.tolist(), turns.tolist(), strict=True)):
        picture = saved(thumbnails[i][..., None], "JPEG", 40)[..., 0]
        picture = np.rot90(picture.T if turn > 3 else picture, turn % 4)
        thumbnails[count - copies + k] = (picture * 0.8 + 20 + rng.normal(0, 3, (64, 64))).clip(
            0, 255
        )
    return thumbnails, originals, np.arange(count - copies, count)


def propose(whole: np.ndarray) -> np.ndarray:
    """Likely pairs of whole images, as the search of duplicates makes them."""
    found, _ = candidates.of_whole(candidates.Index(whole), near.LEAST_COSINE, near.PER_IMAGE)
    return candidates.best_candidates(found, near.PER_IMAGE)[0]


def hashes(counts: list[int]) -> None:
    """The search of whole images in eight orientations, by hashes alone."""
    print(
        "\n| thumbnails | copies | found | coefficients, s | search, s | likely pairs | memory of"
        " the search, MB |"
    )
    print("|---|---|---|---|---|---|---|")
    for count in counts:
        thumbnails, originals, copies = made(count, 0.01)
        start = time.process_time()
        whole = np.concatenate(
            [views.frequency_coefficients(thumbnails[i : i + 256]) for i in range(0, count, 256)]
        )
        mid = time.process_time()
        likely = propose(whole)
        end = time.process_time()
        tracemalloc.start()
        propose(whole)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        pairs = {
            tuple(sorted(pair))
            for pair in zip(likely["a"].tolist(), likely["b"].tolist(), strict=True)
        }
        hits = sum(
            (a, b) in pairs for a, b in zip(originals.tolist(), copies.tolist(), strict=True)
        )
        print(
            f"| {count:,} | {len(copies)} | {100 * hits / len(copies):.1f} % | {mid - start:.1f} |"
            f" {end - mid:.1f} | {len(likely)} | {peak / 1e6:.0f} |",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=["hashes", "icbm152", "membrane", "camvid"])
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--copies", type=int, default=100, help="of each kind, at least")
    asked = parser.parse_args()
    if "hashes" in asked.only:
        hashes([25_000, 50_000, 100_000])
    if "icbm152" in asked.only:
        detection("icbm152", *embedded(), asked.kinds, asked.copies)
    data = os.environ.get("MASKMILL_DATA")
    if data and "membrane" in asked.only:
        detection(
            "membrane",
            *folder(Path(data) / "membrane", "L", lambda name: name),
            asked.kinds,
            asked.copies,
        )
    if data and "camvid" in asked.only:
        detection(
            "camvid",
            *folder(Path(data) / "camvid", "RGB", lambda name: name.split("_")[0]),
            asked.kinds,
            asked.copies,
        )


if __name__ == "__main__":
    main()
