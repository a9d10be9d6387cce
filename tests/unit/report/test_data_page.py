"""The data page in its three situations, and that it needs nothing but itself."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from maskmill.curation.expectations import Finding
from maskmill.report import data_facts, data_page
from maskmill.report.data_page import DataPage

SECTIONS = [
    "verdict",
    "findings",
    "leaks",
    "splits",
    "classes",
    "formats",
    "groups",
    "samples",
    "unseen",
]


def row(number, data, **changes):
    px = {
        f"px_{name}": float(16 * (place != number % 4)) for place, name in enumerate(data.classes)
    }
    return {
        "id": f"p{number}", "image": f"i{number}.png", "mask": f"m{number}.png",
        "group": f"g{number // 2}", "format": "PNG", "height": 8.0, "width": 8.0, "channels": 1.0,
        "dtype": "uint8", "mean": 20.0 * number, "std": 9.0 * number, "mask_height": 8.0,
        "mask_width": 8.0, "ignored_px": 16.0, **px, "error": None,
    } | changes  # fmt: skip


@pytest.fixture
def table(data):
    splits = ["train"] * 4 + ["val", "test", "", "test"]
    return pd.DataFrame(
        [row(i, data, split=split, fold=-1, clean=i != 7) for i, split in enumerate(splits)]
    )


@pytest.fixture
def read(draw_shapes):
    pairs = draw_shapes(8)
    return lambda name: pairs[int(name[1:])]


def finding(name="masks_filled", severity="warning", ids=("p0",), pairs=(), files=None):
    named = [f"{i}.png" for i in ids] if files is None else files
    return Finding(name, f"meaning of {name}", severity, not named, named, list(ids), list(pairs))


def leak(kind="copy", allowed=False):
    return SimpleNamespace(
        kind=kind, name="g0", splits=("train", "test"), ids=["p0", "p7"], pairs=[("p0", "p7")],
        allowed=allowed, message="p7 of test is p0 of train, flipped",
    )  # fmt: skip


def part(page, name):
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def test_the_page_has_every_section_and_asks_for_nothing(table, data, read):
    page = data_page.render(DataPage(data, table, [finding()], read, leaks=[leak()], stopped="no"))
    for name in SECTIONS:
        assert f'<section id="{name}"' in page
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page) == []
    for asking in ("<script", "@import", "url(", "<link"):
        assert asking not in page


def test_names_and_messages_are_escaped(table, data, read):
    evil = "<img src=x onerror=alert(1)>"
    table.loc[0, ["id", "group", "format"]] = evil
    page = data_page.render(
        DataPage(
            data.model_copy(update={"title": evil}),
            table,
            [finding(ids=[evil])],
            lambda name: None if name == evil else read(name),
            note=evil,
            leaks=[leak()],
            stopped=evil,
        )
    )
    assert evil not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_stopped_by_the_expectations_there_are_no_splits_and_no_leaks_yet(table, data, read):
    early = table.drop(columns=["split", "fold", "clean"])
    broken = finding("readable", "critical", ["p3"], files=["i3.png: truncated"])
    page = data_page.render(
        DataPage(data, early, [broken], read, stopped="the data cannot be trained on")
    )
    assert "The line stopped here" in part(page, "verdict")
    assert "the data cannot be trained on" in part(page, "verdict")
    assert "Not looked for yet" in part(page, "leaks")
    assert "None yet" in part(page, "splits")
    assert "i3.png: truncated" in part(page, "findings")


def test_stopped_by_a_leak_its_pair_stands_side_by_side_with_their_splits(table, data, read):
    page = data_page.render(
        DataPage(data, table, [], read, leaks=[leak(), leak("mask", allowed=True)], stopped="leak")
    )
    leaks = part(page, "leaks")
    assert "p7 of test is p0 of train, flipped" in leaks
    assert leaks.index("stops the line") < leaks.index("allowed")
    assert leaks.count("<img ") == 2 + 4  # of a mask that leaks the masks are shown, too
    assert "p0, train" in leaks
    assert "p7, test" in leaks


def test_the_pictures_of_a_leak_show_many_images_rather_than_one_beside_many(table, data, read):
    torn = leak("group")
    torn.pairs = [("p0", f"p{i}") for i in (7, 2, 3, 4)] + [("p1", "p5")]
    leaks = part(data_page.render(DataPage(data, table, [], read, leaks=[torn])), "leaks")
    assert re.findall(r"<figcaption>(p\d)", leaks) == [
        "p0", "p7", "p1", "p5", "p0", "p2", "p0", "p3",
    ]  # fmt: skip


def test_all_well_says_so_and_shows_samples_of_every_split(table, data, read):
    page = data_page.render(DataPage(data, table, [finding(files=[])], read, leaks=[]))
    assert "Fit to train on" in part(page, "verdict")
    assert "None: all 1 expectations hold" in part(page, "findings")
    assert "None: no image, copy" in part(page, "leaks")
    assert part(page, "samples").count("<img ") == 2 * 7  # the guard is not shown
    assert "1 pairs are left out as guards between neighbours: p6" in part(page, "splits")
    assert "1 validation and test images are touched by a leak" in part(page, "splits")
    assert "clean of leaks" in part(page, "splits")
    assert "clean of leaks" not in data_page.render(
        DataPage(data, table.assign(clean=True), [], read, leaks=[])
    )


@pytest.mark.parametrize(
    ("found", "tiles"),
    [
        (finding(ids=["p1", "p2"]), 4),
        (finding("images_unique", ids=["p1", "p2"], pairs=[("p1", "p2")]), 4),
        (finding(ids=[f"p{i % 8}" for i in range(90)]), 12),
    ],
    ids=["single", "pair", "many"],
)
def test_every_finding_has_its_pictures_but_not_too_many(table, data, read, found, tiles):
    shown = part(data_page.render(DataPage(data, table, [found], read)), "findings")
    assert shown.count("<img ") == tiles
    assert ("The first 100" in shown) == (len(found.files) > 100)


def test_what_cannot_be_read_shows_its_error_in_place_of_a_picture(table, data, read):
    table.loc[1, "error"] = "i1.png: truncated"
    found = finding("readable", "critical", ["p1"], files=["i1.png: truncated"])
    page = data_page.render(
        DataPage(data, table, [found], lambda name: None if name == "p1" else read(name))
    )
    assert '<div class="missing">i1.png: truncated</div>' in part(page, "findings")
    half = data_page.render(DataPage(data, table, [finding()], lambda name: (read(name)[0], None)))
    assert '<div class="missing">no mask</div>' in part(half, "findings")


def test_critical_findings_come_first(table, data, read):
    found = [finding("masks_filled", "info"), finding("copies"), finding("readable", "critical")]
    shown = part(data_page.render(DataPage(data, table, found, read)), "findings")
    places = [
        shown.index(f'id="finding-{name}"') for name in ("readable", "copies", "masks_filled")
    ]
    assert places == sorted(places)


def test_a_large_data_set_makes_a_page_below_five_megabytes_and_reads_few_files(data):
    asked = []
    # the worst to compress
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 1), dtype=np.uint8)
    mask = np.random.default_rng(1).integers(0, 4, (512, 512), dtype=np.uint8)

    def read(name):
        asked.append(name)
        return noise, mask

    table = pd.DataFrame([row(0, data)] * 20_000)
    table["id"] = [f"p{i}" for i in range(20_000)]
    table["group"] = table["id"]
    found = [finding(f"x{i}", ids=table["id"].tolist()) for i in range(12)]
    leaks = [leak() for _ in range(300)]
    page = data_page.render(DataPage(data, table, found, read, leaks=leaks))
    assert len(page) < 5_000_000
    assert len(asked) < 250
    assert "and 19,900 more" in page


def test_of_many_leaks_the_first_are_shown_and_the_others_counted(table, data, read):
    leaks = [leak(allowed=True)] * 19_000 + [leak()] * 1000
    page = data_page.render(DataPage(data, table, [], read, leaks=leaks))
    shown = part(page, "leaks")
    assert shown.count('<div class="leak">') == shown.count("stops the line") == 200
    assert "<p>19,800 more in reports/leakage.json.</p>" in shown
    assert "<b>20,000</b><span>leaks over splits, 19,000 of them allowed</span>" in page
    assert len(page) < 1_000_000
    assert "more in reports" not in data_page.render(
        DataPage(data, table, [], read, leaks=[leak()] * 200)
    )


def test_a_picture_that_does_not_fit_is_left_out_and_counted(table, data, read, monkeypatch):
    monkeypatch.setattr(data_page, "_PICTURES_BYTES", 3000)
    page = data_page.render(DataPage(data, table, [finding()], read))
    assert "left out: the page would grow too large" in page
    assert "pictures are left out" in part(page, "unseen")


def test_the_same_contents_give_the_same_page(table, data, read):
    contents = DataPage(
        data, table, [finding()], read, leaks=[leak()], note="9 images were not searched"
    )
    assert data_page.render(contents) == data_page.render(contents)
    assert "9 images were not searched" in part(data_page.render(contents), "unseen")


def test_of_data_of_which_nothing_can_be_read_there_is_a_page_too(data):
    empty = dict.fromkeys(row(0, data).keys() - {"id", "group", "image", "mask"}) | {
        "error": "i0.png: broken"
    }
    table = pd.DataFrame([row(0, data) | empty])
    page = data_page.render(
        DataPage(data, table, [finding("readable", "critical")], lambda _: None, stopped="all")
    )
    assert "i0.png: broken" in part(page, "findings")


def test_class_shares_are_of_labelled_pixels_and_images_are_counted(table, data):
    name, pixels, share, images = data_facts.classes(table, data)[1]
    assert (name, pixels, images) == ("disc", 16 * 6, 6)
    assert share == pytest.approx(0.25)
    assert data_facts.ignored(table) == pytest.approx(0.25)


def test_groups_folds_and_long_tables(table, data):
    assert data_facts.groups(table)[:3] == [
        ("g0", 2, "train"),
        ("g1", 2, "train"),
        ("g2", 2, "val, test"),
    ]
    assert data_facts.folds(table, data) == []
    assert [
        p.name for p in data_facts.folds(table.assign(fold=[0, 0, 1, 1, 2, -1, -1, -1]), data)
    ] == ["0", "1", "2"]
    many = pd.concat([table] * 3, ignore_index=True).assign(height=np.arange(24.0) + 1)
    assert data_facts.sizes(many)[-1] == ("12 others", 12)
