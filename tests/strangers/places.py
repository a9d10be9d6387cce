"""Where people put images and masks, and what they call them."""

import zipfile
from pathlib import Path

import numpy as np

from tests.strangers.pictures import (
    SIZE,
    Drawn,
    Scene,
    opaque,
    pairs,
    save,
    scene,
    times_255,
    write,
)


def retinas(top: Path) -> Drawn:
    """HRF: images, `manual1` (the vessels) and `mask` (what the camera saw)."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    drawn: Drawn = {}
    for seed in range(12):
        made, name = scene(seed), f"{seed // 3 + 1:02d}_{'hdg'[seed % 3]}"
        seen = (rows - 23) ** 2 + (columns - 31) ** 2 < (20 + seed % 4) ** 2
        save(top / f"images/{name}.JPG", made.image)
        save(top / f"manual1/{name}.tif", times_255(made.ids))
        save(top / f"mask/{name}_mask.tif", times_255(seen.astype(np.uint8)))
        drawn[name] = made
    return drawn


def two_annotators(top: Path) -> Drawn:
    """masks_annotator1 and masks_annotator2."""
    drawn = pairs(top, masks="masks_annotator1/{}.png", name="{}")
    for name, made in drawn.items():
        save(top / f"masks_annotator2/{name}.png", np.roll(made.ids, 2, axis=0))
    return drawn


def nuclei(top: Path, count: int = 12) -> Drawn:
    """DSB 2018: a folder per image, in it one image and a mask per nucleus."""
    drawn: Drawn = {}
    for seed in range(count):
        made, name = scene(seed, 4), f"{(seed + 1) * 0x9E3779B97F4A7C15 % 2**64:032x}"
        inner = top / "stage1_train" / name
        save(inner / f"images/{name}.png", opaque(made.image))
        for number in (1, 2, 3):
            mask = times_255((made.ids == number).astype(np.uint8))
            save(inner / f"masks/{(7 * seed + number) * 0xD1B54A32D192ED03 % 2**64:032x}.png", mask)
        drawn[name] = Scene(made.image, (made.ids > 0).astype(np.uint8))
    write(top / "stage1_train_labels.csv", "ImageId,EncodedPixels\nabc,1 2 5 3\n")
    return drawn


def many_nuclei(top: Path) -> Drawn:
    """The same with sixty folders."""
    return nuclei(top, 60)


def breast_ultrasound(top: Path) -> Drawn:
    """BUSI: `benign (1).png` and its `_mask`, of two images a `_mask_1` as well."""
    drawn: Drawn = {}
    for place, (kind, count) in enumerate((("benign", 6), ("malignant", 4), ("normal", 3))):
        for number in range(1, count + 1):
            made = scene(10 * place + number, 1 if kind == "normal" else 3)
            name = f"{kind}/{kind} ({number})"
            lesions = [(made.ids == 1).astype(np.uint8)]
            if kind == "benign" and number in (2, 5):
                lesions.append((made.ids == 2).astype(np.uint8))
            save(top / f"{name}.png", made.image[..., 0])
            for suffix, lesion in zip(("", "_1"), lesions, strict=False):
                save(top / f"{name}_mask{suffix}.png", times_255(lesion))
            image = np.repeat(made.image[..., :1], 3, axis=2)
            drawn[name.replace("/", "__")] = Scene(image, np.maximum.reduce(lesions))
    return drawn


def a_folder_per_class(top: Path) -> Drawn:
    """masks/cat/001.png and masks/dog/001.png of images/001.jpg."""
    drawn = pairs(top, name="{:03d}", classes=3)
    for path in (top / "masks").iterdir():
        path.unlink()
    for name, made in drawn.items():
        for number, label in ((1, "cat"), (2, "dog")):
            mask = times_255((made.ids == number).astype(np.uint8))
            save(top / f"masks/{label}/{name}.png", mask)
    return drawn


def test_without_masks(top: Path) -> Drawn:
    """train/images and train/masks, test/images alone."""
    for seed in range(4):
        save(top / f"test/images/test{seed}.jpg", scene(900 + seed).image)
    return pairs(top / "train", name="train{}")


def masks_of_train_alone(top: Path) -> Drawn:
    """images/train, images/test, masks/train."""
    for seed in range(4):
        save(top / f"images/test/test{seed}.jpg", scene(900 + seed).image)
    return pairs(top, images="images/train/{}.jpg", masks="masks/train/{}.png", name="train{}")


def in_german(top: Path) -> Drawn:
    """Fotos and Masken."""
    return pairs(top, images="Fotos/{}.jpg", masks="Masken/{}.png", classes=3)


def prefixes(top: Path) -> Drawn:
    """image_1 and mask_1."""
    return pairs(top, images="images/image_{}.jpg", masks="masks/mask_{}.png", name="{}")


def two_suffixes(top: Path) -> Drawn:
    """001_image and 001_label in one folder."""
    return pairs(top, images="{}_image.jpg", masks="{}_label.png", name="{:03d}")


def padded_numbers(top: Path) -> Drawn:
    """1.jpg and 0001.png."""
    drawn = pairs(top, name="{}")
    for name in drawn:
        (top / f"masks/{name}.png").rename(top / f"masks/{int(name):04d}.png")
    return drawn


def capitals(top: Path) -> Drawn:
    """Img_1.jpg and img_1.png."""
    drawn = pairs(top, images="images/Img_{}.jpg", masks="masks/img_{}.png", name="{}")
    return {f"Img_{name}": made for name, made in drawn.items()}


def linked_folders(top: Path) -> Drawn:
    """Links that lead to the folders of another place."""
    drawn = pairs(top.parent / "elsewhere")
    for side in ("images", "masks"):
        (top / side).symlink_to(top.parent / "elsewhere" / side)
    return drawn


def an_archive(top: Path) -> Drawn:
    """A ZIP file."""
    drawn = pairs(top.parent / "elsewhere")
    with zipfile.ZipFile(top / "data.zip", "w") as archive:
        for path in sorted((top.parent / "elsewhere").rglob("*.*")):
            archive.write(path, path.relative_to(top.parent / "elsewhere"))
    return drawn
