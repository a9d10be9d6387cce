"""Paths with places: what they match, and which cannot be."""

import pytest

from maskmill.sources._templates import PathTemplate
from maskmill.system.errors import MaskmillError


@pytest.mark.parametrize(
    ("text", "path", "places"),
    [
        ("images/{name}", "images/a", {"name": "a"}),
        ("images/{name}", "images/p1/a", {"name": "p1/a"}),
        ("images/{name}", "masks/a", None),
        ("images/{name}_rgb", "images/a_rgb", {"name": "a"}),
        ("{split}/{folder}/{name}", "Valid/p1/a", {"split": "Valid", "folder": "p1", "name": "a"}),
        ("{split}/{name}", "dev/a", None),
        ("masks/{class}/{name}", "masks/cat/a", {"class": "cat", "name": "a"}),
        ("{name}_mask{object}", "a_mask_2", {"name": "a", "object": "_2"}),
        ("{name}_mask{object}", "a_mask", {"name": "a"}),
        ("{folder}/{folder}_{name}", "p1/p1_a", {"folder": "p1", "name": "a"}),
        ("{folder}/{folder}_{name}", "p1/p2_a", None),
        ("*/images/{name}", "x/images/a", {"name": "a"}),
        ("*/images/{name}", "x/y/images/a", None),
        ("a.b/{name}", "a_b/c", None),
    ],
)
def test_what_stands_in_the_places_is_told(text, path, places):
    assert PathTemplate(text, "kind.images").match(path) == places


def test_the_folder_is_what_stands_before_the_first_place():
    assert PathTemplate("data/images/x_{name}", "kind.images").folder == "data/images"
    assert PathTemplate("{split}/images/{name}", "kind.images").folder == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/images/{name}", "kind.images: '/images/{name}' leads out of its folder"),
        ("../{name}", "kind.images: '../{name}' leads out of its folder"),
        (
            "{patient}/{name}",
            (
                "'{patient}/{name}' holds {patient}; allowed are {split}, {folder}, {name}, "
                "{class}, {object} and *"
            ),
        ),
    ],
)
def test_a_path_that_leads_out_or_has_an_unknown_place_is_refused(text, said):
    with pytest.raises(MaskmillError) as raised:
        PathTemplate(text, "kind.images")
    assert said in str(raised.value)
