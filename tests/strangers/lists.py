"""Lists of images and masks as spreadsheets and scripts write them."""

from pathlib import Path

from tests.strangers.pictures import Drawn, pairs, write


def semicolons_and_bom(top: Path) -> Drawn:
    """A German Excel's: semicolons, a byte order mark, a column `patient`."""
    drawn = pairs(top, images="foto/{}.jpg", masks="maske/{}.png", name="{}")
    rows = [f"foto/{name}.jpg;maske/{name}.png;p{int(name) // 3}" for name in drawn]
    text = "\ufeff" + "\r\n".join(["image;mask;patient", *rows])
    write(top / "liste.csv", text.encode("utf-8"))
    return _in_folder("foto", drawn)


def windows_paths(top: Path) -> Drawn:
    """Backslashes between folders."""
    drawn = pairs(top, images="photos/{}.jpg", masks="drawn/{}.png", name="{}")
    rows = [f"photos\\{name}.jpg,drawn\\{name}.png" for name in drawn]
    write(top / "list.csv", "\r\n".join(["image,mask", *rows]))
    return _in_folder("photos", drawn)


def columns_of_paths(top: Path) -> Drawn:
    """image_path, mask_path and a fold, in train.csv alone."""
    drawn = pairs(top, images="photos/{}.jpg", masks="drawn/{}.png", name="{}")
    rows = [f"photos/{name}.jpg,drawn/{name}.png,{int(name) % 5}" for name in drawn]
    write(top / "train.csv", "\n".join(["image_path,mask_path,fold", *rows]))
    return _in_folder("photos", drawn)


def bare_names(top: Path) -> Drawn:
    """Names without their folders, and a split."""
    drawn = pairs(top, name="{}")
    splits = ("train", "train", "val", "test")
    rows = [f"{name}.jpg,{name}.png,{splits[int(name) % 4]}" for name in drawn]
    write(top / "split.csv", "\n".join(["image,mask,split", *rows]))
    return drawn


def a_list_per_split(top: Path) -> Drawn:
    """train.csv, val.csv, test.csv."""
    drawn = pairs(top, name="{}")
    names = list(drawn)
    for split, part in (("train", names[:8]), ("val", names[8:10]), ("test", names[10:])):
        rows = [f"images/{name}.jpg,masks/{name}.png" for name in part]
        write(top / f"{split}.csv", "\n".join(["image,mask", *rows]))
    return _in_folder("images", drawn)


def utf_16(top: Path) -> Drawn:
    """Excel's `Unicode text`: UTF-16, tabulators, and an ending that says csv."""
    drawn = pairs(top, images="photos/{}.jpg", masks="drawn/{}.png", name="{}")
    rows = [f"photos/{name}.jpg\tdrawn/{name}.png" for name in drawn]
    write(top / "list.csv", "\r\n".join(["image\tmask", *rows]).encode("utf-16"))
    return _in_folder("photos", drawn)


def _in_folder(folder: str, drawn: Drawn) -> Drawn:
    """The pairs as lists name them: by the image's path."""
    return {f"{folder}__{name}": made for name, made in drawn.items()}
