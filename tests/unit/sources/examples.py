"""A small folder for each source, as people have it: three images of 4 x 6 px and their masks."""

import base64
import json
from xml.sax.saxutils import quoteattr

import numpy as np

from maskmill.images import decode

SIZE = (4, 6)  # height, width
SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]  # x 1..3, y 1..2
DRAWN = [[0] * 6, [0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [0] * 6]


def put(folder, name, content=None):
    """Write text, JSON, or a picture (of pixels, or grey) below the folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, dict | list):
        path.write_text(json.dumps(content))
    else:
        path.write_bytes(
            decode.png_bytes(np.full(SIZE, 7, np.uint8) if content is None else content)
        )
    return path


def points(flat):
    return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]


def folder(top):
    for name in "abc":
        put(top, f"images/{name}.png")
        put(top, f"masks/{name}.png", np.array(DRAWN, np.uint8))


def table(top):
    for name in "abc":
        put(top, f"foto/{name}.png")
        put(top, f"drawn/{name}.png", np.array(DRAWN, np.uint8))
    rows = [f"foto/{name}.png,drawn/{name}.png" for name in "abc"]
    put(top, "pairs.csv", "\n".join(["image,mask", *rows]))


def coco(top, *, segmentation=lambda: [SQUARE], **changes):
    for name in "abc":
        put(top, f"train/{name}.png")
    content = {
        "images": [
            {"id": n, "file_name": f"{name}.png", "height": 4, "width": 6}
            for n, name in enumerate("abc")
        ],
        "categories": [{"id": 7, "name": "disc"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 7, "segmentation": segmentation()}
            for n in range(3)
        ],
    }
    put(top, "annotations/instances_train.json", content | changes)
    return content


def labelme_shape(kind="polygon", flat=SQUARE, label="disc", **more):
    return {"label": label, "points": points(flat), "shape_type": kind, "flags": {}} | more


def labelme(top, *shapes, **changes):
    for name in "abc":
        put(top, f"{name}.png")
        content = {
            "version": "5.0.1",
            "shapes": list(shapes) or [labelme_shape()],
            "imagePath": f"{name}.png",
            "imageData": "not read",
            "imageHeight": 4,
            "imageWidth": 6,
        }
        put(top, f"{name}.json", content | changes)


def yolo(top, line="0 0.1667 0.25 0.6667 0.25 0.6667 0.75 0.1667 0.75"):
    put(top, "data.yaml", "train: images/train\nval: images/val\nnc: 1\nnames: [disc]\n")
    for split, name in (("train", "a"), ("train", "b"), ("val", "a")):
        put(top, f"images/{split}/{name}.png")
        put(top, f"labels/{split}/{name}.txt", f"{line}\n")


def cvat(top, *shapes, head="", **size):
    listed = shapes or ('<polygon label="disc" points="1,1;4,1;4,3;1,3" z_order="0"/>',)
    sides = "".join(
        f" {k}={quoteattr(v)}" for k, v in ({"width": "6", "height": "4"} | size).items()
    )
    images = []
    for number, name in enumerate("abc"):
        put(top, f"images/{name}.png")
        images.append(f'<image id="{number}" name="{name}.png"{sides}>{"".join(listed)}</image>')
    text = f"<annotations><version>1.1</version>{''.join(images)}</annotations>"
    put(top, "annotations.xml", f"<?xml version='1.0' encoding='utf-8'?>{head}{text}")


def region(value, **more):
    return {"id": "r1", "original_width": 6, "original_height": 4, "value": value} | more


def percents(flat=SQUARE):
    return points([v * 100 / (6, 4)[place % 2] for place, v in enumerate(flat)])


def label_studio(top, *regions, **task):
    listed = list(regions) or [region({"points": percents(), "polygonlabels": ["disc"]})]
    tasks = []
    for number, name in enumerate("abc", start=1):
        put(top, f"images/{name}.png")
        address = f"/data/upload/1/0a1b2c3d-{name}.png"
        made = {"id": number, "annotations": [{"result": listed}], "data": {"image": address}}
        tasks.append(made | task)
    put(top, "export.json", tasks)


def label_studio_brush(top):
    stroke = np.array(DRAWN, np.uint8) * 255
    for number, name in ((3, "a"), (10, "b"), (11, "c")):
        put(top, f"images/{name}.png")
        put(top, f"masks/task-{number}-annotation-{number + 6}-by-1-tag-disc-0.png", stroke)


def run_lengths(top, runs="6 2 10 2 14 2", header="ImageId,ClassId,EncodedPixels", image="{}.png"):
    for name in "abc":
        put(top, f"train_images/{name}.png")
    label = ",1," if "ClassId" in header.split(",") else ","
    rows = [f"{image.format(name)}{label}{runs}" for name in "abc"]
    put(top, "train.csv", "\n".join([header, *rows]) + "\n")


def base64_png(pixels):
    return base64.b64encode(decode.png_bytes(np.asarray(pixels, np.uint8))).decode()


def packed(alpha):
    """(H, W) alpha as Label Studio packs strokes: raw values, 4 to a run, or one long run."""
    values = np.zeros((np.size(alpha), 4), np.uint8)  # red, green, blue, alpha
    values[:, 3] = np.ravel(alpha)
    values = values.ravel()
    bits = (
        format(values.size, "032b")
        + format(7, "05b")
        + "".join(format(width - 1, "04b") for width in (3, 4, 8, 16))
    )
    place = 0
    while place < values.size:
        same = 1
        while place + same < values.size and values[place + same] == values[place]:
            same += 1
        if same > 4:
            bits += "1" + "11" + format(same - 1, "016b") + format(values[place], "08b")
        else:
            bits += "0" + "00" + format(same - 1, "03b")
            bits += "".join(format(values[place], "08b") for _ in range(same))
        place += same
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


ALL = {
    make.__name__: make
    for make in (
        folder, table, coco, labelme, yolo, cvat, label_studio, label_studio_brush, run_lengths,
    )
}  # fmt: skip
