"""Folders as public data sets have them after their download."""

from pathlib import Path

import numpy as np

from tests.strangers.pictures import (
    Drawn,
    Scene,
    in_colours,
    opaque,
    pairs,
    save,
    save_indexed,
    scene,
    times_255,
    write,
)


def pascal_voc(top: Path) -> Drawn:
    """VOC: lists give the split, 255 rims every object, and six photographs have no mask."""
    top = top / "VOCdevkit" / "VOC2012"
    drawn: Drawn = {}
    for seed in range(18):
        made, name = scene(seed, 4), f"2007_{seed * 37 + 33:06d}"
        save(top / f"JPEGImages/{name}.jpg", made.image)
        write(top / f"Annotations/{name}.xml", "<annotation/>")
        if seed < 12:
            edge = np.diff(made.ids.astype(int), axis=1, prepend=0) != 0
            rimmed = np.where(edge, 255, made.ids).astype(np.uint8)
            save_indexed(top / f"SegmentationClass/{name}.png", rimmed)
            save_indexed(top / f"SegmentationObject/{name}.png", made.ids + (made.ids > 1))
            drawn[name] = Scene(made.image, rimmed)
    names = list(drawn)
    for split, part in (("train", names[:8]), ("val", names[8:]), ("trainval", names)):
        write(top / f"ImageSets/Segmentation/{split}.txt", "\n".join(part) + "\n")
    return drawn


def pascal_voc_inside(top: Path) -> Drawn:
    """The same without the two outer folders."""
    drawn = pascal_voc(top)
    inner = top / "VOCdevkit" / "VOC2012"
    for path in list(inner.iterdir()):
        path.rename(top / path.name)
    inner.rmdir()
    inner.parent.rmdir()
    return drawn


def cvat_mask(top: Path) -> Drawn:
    """CVAT's `Segmentation mask`: colours by labelmap.txt, a list, numbers of objects beside."""
    names = ("background", "cat", "dog")
    lines = [
        f"{name}:{','.join(map(str, colour))}::"
        for name, colour in zip(names, ((0, 0, 0), (0, 128, 0), (128, 0, 0)), strict=True)
    ]
    write(top / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines]))
    drawn = pairs(
        top, images="JPEGImages/{}.jpg", masks="SegmentationClass/{}.png", name="a{}",
        classes=3, form=in_colours,
    )  # fmt: skip
    for name, made in drawn.items():
        save(top / f"SegmentationObject/{name}.png", in_colours(made.ids + (made.ids > 0)))
    write(top / "ImageSets/Segmentation/default.txt", "\n".join(drawn))
    return drawn


def cityscapes(top: Path) -> Drawn:
    """Cityscapes: three renderings of each mask, a city a folder."""
    drawn: Drawn = {}
    cities = (("train", "aachen"), ("train", "bochum"), ("val", "lindau"), ("test", "bonn"))
    for place, (split, city) in enumerate(cities):
        for seed in range(3):
            made, stem = scene(10 * place + seed, 4), f"{city}_{seed:06d}_000019"
            mask = f"gtFine/{split}/{city}/{stem}_gtFine"
            labels = np.array([7, 8, 11, 26], np.uint8)[made.ids]
            numbers = np.where(labels == 26, 26001, labels).astype(np.uint16)
            save(top / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", made.image)
            save(top / f"{mask}_labelIds.png", labels)
            save(top / f"{mask}_instanceIds.png", numbers)
            save(top / f"{mask}_color.png", opaque(in_colours(made.ids)))
            write(top / f"{mask}_polygons.json", '{"imgHeight": 48, "imgWidth": 64}')
            drawn[f"{city}__{stem}"] = made
    return drawn


def cityscapes_labels_alone(top: Path) -> Drawn:
    """The same with one rendering."""
    drawn = cityscapes(top)
    for path in top.rglob("*_gtFine_*"):
        if not path.name.endswith("_labelIds.png"):
            path.unlink()
    return drawn


def roboflow_png(top: Path) -> Drawn:
    """Roboflow's `Semantic segmentation masks`: names of classes in each split's folder."""
    drawn: Drawn = {}
    for split, count, first in (("train", 6, 0), ("valid", 3, 20), ("test", 3, 40)):
        write(top / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, crack\n2, rust")
        drawn |= pairs(
            top, count, images=f"{split}/{{}}.jpg", masks=f"{split}/{{}}_mask.png",
            name="site_{0}_jpg.rf.{0:08x}", classes=3, first=first,
        )  # fmt: skip
    write(top / "README.dataset.txt", "x")
    return drawn


def oxford_pets(top: Path) -> Drawn:
    """Oxford pets: trimaps 1 (animal), 2 (ground), 3 (rim); macOS's and MATLAB's files beside."""
    write(top / "annotations/list.txt", "#Image CLASS-ID\n")
    write(top / "annotations/xmls/a.xml", "<a/>")
    write(top / "images/Bengal_100.mat", "MATLAB 5.0")
    drawn: Drawn = {}
    for place, breed in enumerate(("Abyssinian", "Bengal", "beagle", "pug")):
        for seed in range(3):
            made, name = scene(10 * place + seed), f"{breed}_{seed + 1}"
            trimap = np.where(made.ids == 1, 1, 2).astype(np.uint8)
            trimap[np.diff(made.ids.astype(int), axis=1, prepend=0) != 0] = 3
            save(top / f"images/{name}.jpg", made.image)
            save(top / f"annotations/trimaps/{name}.png", trimap)
            write(top / f"annotations/trimaps/._{name}.png", b"\0\5\x16\7" + b"x" * 60)
            drawn[name] = Scene(made.image, trimap - 1)
    return drawn


def penn_fudan(top: Path) -> Drawn:
    """Penn-Fudan: a number per pedestrian, from one to four of them."""
    write(top / "added-object-list.txt", "x")
    drawn: Drawn = {}
    for seed in range(12):
        made, name = scene(seed, 2 + seed % 4), f"FudanPed{seed + 1:05d}"
        save(top / f"PNGImages/{name}.png", made.image)
        save(top / f"PedMasks/{name}_mask.png", made.ids)
        write(top / f"Annotation/{name}.txt", "x")
        drawn[name] = Scene(made.image, (made.ids > 0).astype(np.uint8))
    return drawn


def a_folder_per_patient(top: Path) -> Drawn:
    """patient01/images/slice_000.png, patient01/masks/slice_000.png."""
    drawn: Drawn = {}
    for patient in range(1, 6):
        made = pairs(
            top / f"patient{patient:02d}", 3, images="images/{}.png", name="slice_{:03d}",
            first=10 * patient,
        )  # fmt: skip
        drawn |= {f"patient{patient:02d}__{name}": each for name, each in made.items()}
    return drawn


def nnunet(top: Path) -> Drawn:
    """nnU-Net, 2D: a channel's number behind the image's name, classes in dataset.json."""
    write(top / "dataset.json", '{"labels": {"background": 0, "road": 1}, "file_ending": ".png"}')
    save(top / "imagesTs/road_900_0000.png", scene(900).image)
    return pairs(
        top, 10, images="imagesTr/{}_0000.png", masks="labelsTr/{}.png", name="road_{:03d}"
    )


def glas(top: Path) -> Drawn:
    """GlaS: BMP files and `_anno` beside, a number per gland."""
    write(top / "Grade.csv", "name, patient ID, grade (GlaS)\ntrain_1, 1, benign\n")
    drawn: Drawn = {}
    for part, count, first in (("train", 8, 0), ("testA", 4, 50)):
        for seed in range(1, count + 1):
            made, name = scene(first + seed, 3 + seed % 3), f"{part}_{seed}"
            save(top / f"{name}.bmp", made.image)
            save(top / f"{name}_anno.bmp", made.ids)
            drawn[name] = Scene(made.image, (made.ids > 0).astype(np.uint8))
    return drawn


def inria(top: Path) -> Drawn:
    """Inria: three cities in `train/images` and `train/gt`, test images without masks."""
    top = top / "AerialImageDataset"
    drawn: Drawn = {}
    for place, city in enumerate(("austin", "chicago", "vienna")):
        drawn |= pairs(
            top, 4, images="train/images/{}.tif", masks="train/gt/{}.tif", name=f"{city}{{}}",
            form=times_255, first=10 * place,
        )  # fmt: skip
    for seed in range(3):
        save(top / f"test/images/bellingham{seed}.tif", scene(900 + seed).image)
    return drawn


def loveda(top: Path) -> Drawn:
    """LoveDA: Train and Val, each with Urban and Rural."""
    drawn: Drawn = {}
    for split, zone, first in (
        ("Train", "Urban", 0), ("Train", "Rural", 20), ("Val", "Urban", 40), ("Val", "Rural", 60),
    ):  # fmt: skip
        made = pairs(
            top / split / zone, 4, images="images_png/{}.png", masks="masks_png/{}.png",
            name="{}", classes=3, first=first,
        )  # fmt: skip
        drawn |= {f"{zone}__{name}": each for name, each in made.items()}
    return drawn


def kitti(top: Path) -> Drawn:
    """KITTI: `semantic`, and its colours and objects under equal names; test images alone."""
    drawn = pairs(
        top / "training", images="image_2/{}.png", masks="semantic/{}.png", name="{:06d}_10",
        classes=4, form=lambda ids: np.array([7, 8, 21, 26], np.uint8)[ids],
    )  # fmt: skip
    for name, made in drawn.items():
        save(top / f"training/semantic_rgb/{name}.png", in_colours(made.ids))
        save(top / f"training/instance/{name}.png", made.ids.astype(np.uint16) * 256)
    for seed in range(3):
        save(top / f"testing/image_2/{seed:06d}_10.png", scene(70 + seed).image)
    return drawn


def drone(top: Path) -> Drawn:
    """The drone data: photographs and ids three folders deep, their colours and names beside."""
    inner = top / "dataset" / "semantic_drone_dataset"
    drawn = pairs(
        inner, images="original_images/{}.jpg", masks="label_images_semantic/{}.png",
        name="{:03d}", classes=4,
    )  # fmt: skip
    for name, made in drawn.items():
        save(top / f"RGB_color_image_masks/{name}.png", in_colours(made.ids))
    table = (
        "name, r, g, b\nunlabeled, 0, 0, 0\npaved, 0, 128, 0\ndirt, 128, 0, 0\ngrass, 128, 128, 0"
    )
    write(top / "class_dict_seg.csv", table)
    return {  # what is unlabelled is ignored
        name: Scene(made.image, np.where(made.ids, made.ids - 1, 255).astype(np.uint8))
        for name, made in drawn.items()
    }


def massachusetts_roads(top: Path) -> Drawn:
    """Massachusetts roads: tiff/train and tiff/train_labels, names by colours in a table."""
    write(top / "label_class_dict.csv", "name,r,g,b\nbackground,0,0,0\nroad,255,255,255\n")
    write(top / "metadata.csv", "image_id,split,tiff_image_path\n1,train,a\n")
    drawn: Drawn = {}
    for split, count, first in (("train", 6, 100), ("val", 3, 200), ("test", 3, 300)):
        drawn |= pairs(
            top / "tiff", count, images=f"{split}/{{}}_15.tiff",
            masks=f"{split}_labels/{{}}_15.tif", name="{}", form=times_255, first=first,
        )  # fmt: skip
    return {f"{name}_15": made for name, made in drawn.items()}


def potsdam(top: Path) -> Drawn:
    """ISPRS Potsdam: `_RGB` and `_label`, colours without a table, a grid of tiles."""
    drawn: Drawn = {}
    for row in (2, 3):
        made = pairs(
            top, 4, images="2_Ortho_RGB/{}_RGB.tif", masks="5_Labels_all/{}_label.tif",
            name=f"top_potsdam_{row}_{{}}", classes=4, form=in_colours, first=10 * row,
        )  # fmt: skip
        drawn |= made
    return drawn


def mmsegmentation(top: Path) -> Drawn:
    """What mmsegmentation's converters write: img_dir and ann_dir, each with train and val."""
    drawn: Drawn = {}
    for split, count, first in (("train", 8, 0), ("val", 4, 40)):
        drawn |= pairs(
            top, count, images=f"img_dir/{split}/{{}}.jpg", masks=f"ann_dir/{split}/{{}}.png",
            name="{:03d}q", classes=3, first=first,
        )  # fmt: skip
    return drawn


def coco_stuff(top: Path) -> Drawn:
    """COCO-Stuff: images/train2017 and stuffthingmaps/train2017."""
    drawn: Drawn = {}
    for split, count, first in (("train2017", 8, 900), ("val2017", 4, 700)):
        drawn |= pairs(
            top, count, images=f"images/{split}/{{}}.jpg", masks=f"stuffthingmaps/{split}/{{}}.png",
            name="{:012d}", classes=3, first=first,
        )  # fmt: skip
    return drawn


def cellpose(top: Path) -> Drawn:
    """Cellpose: `_img` and `_masks` of 16 bits in one folder, a number per cell."""
    drawn: Drawn = {}
    for seed in range(12):
        made = scene(seed, 2 + seed % 4)
        save(top / f"{seed:03d}_img.png", made.image)
        save(top / f"{seed:03d}_masks.png", made.ids.astype(np.uint16))
        drawn[f"{seed:03d}"] = Scene(made.image, (made.ids > 0).astype(np.uint8))
    return drawn
