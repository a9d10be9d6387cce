"""The page about an import says what the plan holds, and nothing from a file's name runs in it."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskmill.importing import describe
from maskmill.report import import_page
from tests.unit.report import import_plans


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return import_plans.make(tmp_path, classes=("wall", "cell"))


class _Text(HTMLParser):
    """Tags, and the text of each section by its id."""

    def __init__(self):
        super().__init__()
        self.tags, self.sections, self.inside = [], {}, ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "section":
            self.inside = dict(attrs)["id"]

    def handle_data(self, data):
        self.sections[self.inside] = self.sections.get(self.inside, "") + data


def read(page):
    found = _Text()
    found.feed(page)
    return found


def test_what_every_value_means_and_in_how_many_masks_is_told(plan):
    values = read(import_page.render(plan)).sections["values"]
    rows = list(describe.value_rows(plan))
    assert [(row.value, row.name, row.masks) for row in rows] == [(0, "wall", 15), (1, "cell", 15)]
    for row in rows:
        assert row.name in values
        assert f"{100 * row.share:.1f} %" in values


def test_groups_unused_files_and_doubts_are_told(plan):
    sections = read(import_page.render(plan)).sections
    assert "p0" in sections["groups"]
    assert "(?P<group>" in sections["groups"]
    assert "p0_unlabelled.png" in sections["unused"]
    assert "1: images without a mask" in sections["unused"]
    assert "&<i>.txt" in sections["unused"]
    for line in (*plan.notes, *describe.plan_warnings(plan)):
        assert line in sections["verdict"]
    assert "images without a mask are left out" in sections["verdict"]


def test_no_name_of_a_file_becomes_a_tag_and_no_address_is_outside(plan):
    page = import_page.render(plan)
    assert not {"script", "i>", "b>"} & {*read(page).tags}
    assert "<i>.txt" not in page
    assert "<b>walls" not in page
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']*""", page) == []
    assert "http" not in re.sub(r"data:[^\"']*", "", page)


def test_pairs_from_all_parts_of_the_list_are_drawn_with_their_classes(plan):
    page = import_page.render(plan)
    assert page.count("with its mask</figcaption>") == 12
    shown = re.findall(r'src="data:image/png;base64,([^"]+)" alt="mask of ([^"]+)"', page)
    assert (shown[0][1], shown[-1][1]) == (plan.pairs[0].id, plan.pairs[-1].id)
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(shown[0][0]), np.uint8), cv2.IMREAD_COLOR)
    colours = {f"#{r:02X}{g:02X}{b:02X}" for b, g, r in pixels.reshape(-1, 3)}
    assert colours == {*plan.data.colours.values()}


def test_a_file_that_cannot_be_read_is_named_in_its_place(plan):
    path = plan.pairs[0].image
    path.write_bytes(path.read_bytes()[:60])
    assert f"{path.name}: " in read(import_page.render(plan)).sections["samples"]


def test_the_same_plan_gives_the_same_page_and_many_pairs_no_longer_one(plan, tmp_path):
    page = import_page.render(plan)
    assert page == import_page.render(plan)
    many = replace(plan, pairs=plan.pairs * 1000)
    assert len(import_page.render(many)) < 1.2 * len(page) + 20_000
    import_page.write(plan, Path(tmp_path / "reports/import.html"))
    assert (tmp_path / "reports/import.html").read_text() == page
