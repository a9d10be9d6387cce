"""Names that say which images belong together, and names that seem to."""

from pathlib import Path

import numpy as np

from tests.strangers.pictures import Drawn, Scene, pairs, save, scene

EDGE = 36  # px, of a tile


def tiles_of_scenes(top: Path) -> Drawn:
    """Six scenes, cut into 3 x 4 tiles that overlap: scene_row_column."""
    drawn: Drawn = {}
    for place in range(6):
        large = scene(place, 3, (90, 120))
        for row in range(3):
            for column in range(4):
                tile = (slice(27 * row, 27 * row + EDGE), slice(28 * column, 28 * column + EDGE))
                _put(top, f"scene{place}_{row}_{column}", Scene(*(side[tile] for side in large)),
                     drawn)  # fmt: skip
    return drawn


def both_sides_of_patients(top: Path) -> Drawn:
    """Six patients, two sides, three slices: P01_L_003."""
    drawn: Drawn = {}
    for patient in range(6):
        for place, side in enumerate("LR"):
            for cut in range(3):
                seed = 10 * patient + 5 * place + cut
                _put(top, f"P{patient:02d}_{side}_{cut:03d}", scene(seed), drawn)
    return drawn


def kinds_of_damage(top: Path) -> Drawn:
    """crack_001, rust_001, stain_001: what is seen, not where."""
    return _kinds(top, "crack", "rust", "stain")


def two_cameras(top: Path) -> Drawn:
    """camera_001, phone_001: two groups cannot fill three splits."""
    return _kinds(top, "camera", "phone")


def augmented_copies(top: Path) -> Drawn:
    """Each image as it is, flipped, and darker, under names as Roboflow makes them."""
    drawn: Drawn = {}
    for place in range(8):
        made = scene(place)
        copies = (
            made,
            Scene(made.image[:, ::-1], made.ids[:, ::-1]),
            Scene((made.image * 0.8).astype(np.uint8), made.ids),
        )
        for turn, copy in enumerate(copies):
            _put(top, f"im{place}_jpg.rf.{place * 7919 + turn * 104729:08x}", copy, drawn)
    return drawn


def patients_without_separator(top: Path) -> Drawn:
    """p01s003: patient and slice, whose neighbours are alike."""
    drawn: Drawn = {}
    for patient in range(6):
        first = scene(40 + patient)
        for cut in range(4):
            moved = Scene(*(np.roll(side, 4 * cut, axis=1) for side in first))
            _put(top, f"p{patient:02d}s{cut:03d}", moved, drawn)
    return drawn


def two_seasons(top: Path) -> Drawn:
    """Each place in summer and in winter: two photographs, one outline."""
    drawn: Drawn = {}
    for place in range(12):
        made = scene(place)
        winter = Scene(255 - made.image[..., ::-1] // 2, made.ids)
        for season, each in (("summer", made), ("winter", winter)):
            _put(top, f"{season}{place:03d}x", each, drawn)
    return drawn


def _kinds(top: Path, *kinds: str) -> Drawn:
    drawn: Drawn = {}
    for place, kind in enumerate(kinds):
        drawn |= pairs(top, 8, name=f"{kind}_{{:03d}}", first=10 * place)
    return drawn


def _put(top: Path, name: str, made: Scene, drawn: Drawn) -> None:
    save(top / f"images/{name}.png", made.image)
    save(top / f"masks/{name}.png", made.ids)
    drawn[name] = made
