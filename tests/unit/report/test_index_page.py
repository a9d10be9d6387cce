"""The page that people open answers at its top, defines all numbers and needs no other file."""

import math
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from maskmill.evaluation import image_facts
from maskmill.metrics import Labels, create
from maskmill.report import index_page, report_pictures, report_tables
from maskmill.statistics import scores
from maskmill.statistics.scores import Score
from maskmill.statistics.slices import Table
from tests.unit.report import page_contents

MAXIMUM_BYTES = 20_000_000


@pytest.fixture
def shards(make_shard, draw_shapes):
    make_shard(draw_shapes(4), "train")
    return make_shard(draw_shapes(3, seed=2), "train"), make_shard(draw_shapes(6, seed=1), "test")


@pytest.fixture
def contents(data, shards):
    return page_contents.contents(data, *shards)


@pytest.fixture
def page(contents):
    return index_page.render(contents)


def part(page, name):
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def text(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html.partition(">")[2])))


def with_lead(contents, **changes):
    first, *others = contents.variants
    return replace(contents, variants=[replace(first, **changes), *others])


def test_the_top_says_which_variant_how_sure_where_it_fails_and_what_to_try(page, contents):
    answer, lead = text(part(page, "answer")), contents.variants[0]
    score = lead.test[contents.primary]
    assert "unet" in answer
    assert "gate: promoted" in answer
    assert scores.score_in_words(score) in answer
    assert page_contents.CAVEAT in answer
    weakest = min(contents.data.classes, key=lambda name: lead.test[f"dice/{name}"].value)
    assert f"Weakest class: {weakest}" in answer
    assert "Worst slice: brightness 12 to 31" in answer
    assert "csf is taken for grey_matter: Look at the masks first" in answer
    assert "Objects of csf are found unevenly: Images of a higher resolution" in answer


def test_the_two_weaknesses_each_have_a_word_at_the_top_before_a_second_one_of_a_kind(contents):
    exchanged, uneven, _ = page_contents.FINDINGS
    chosen = report_tables.foremost_findings(
        [exchanged, replace(exchanged, title="another"), uneven]
    )
    assert [finding.title for finding in chosen] == [exchanged.title, uneven.title]


def test_the_page_asks_for_nothing_and_runs_nothing(page):
    assert set(re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page)) == {"data.html"}
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    for asking in ("<script", "@import", "url(", "<link", "http://", "https://"):
        assert asking not in page


def test_every_link_to_a_definition_leads_to_one(page):
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_every_score_on_the_page_is_defined_on_the_page(page, contents):
    defined = dict(re.findall(r'<div id="(def-[^"]+)"><dt>[^<]+</dt><dd>([^<]+)</dd>', page))
    named = {name for v in contents.variants for name in (*v.val, *v.test)}
    assert len(named) > 20
    for name in named:
        assert len(defined[report_tables.definition_anchor(name)]) > 10, name
        assert f'href="#{report_tables.definition_anchor(name)}"' in page, name
    assert "less is better" in defined["def-ece"]
    for fact in image_facts.FACTS:
        assert f"def-{fact}" in defined


def test_the_same_contents_give_the_same_bytes(page, contents):
    assert index_page.render(contents) == page


def test_what_comes_from_files_is_escaped(contents, shards):
    evil = '<img src=x onerror="alert(1)">'
    finding = replace(page_contents.FINDINGS[0], title=evil, text=evil, remedy=evil)
    slices = Table((replace(contents.slices[0], value=evil),), contents.slices.whole, 0, evil)
    page = index_page.render(replace(
        with_lead(contents, weaknesses=[finding],
                  run={**contents.variants[0].run, "machine": evil}),
        slices=slices, caveat=evil, notice=evil,
        data=contents.data.model_copy(update={"title": evil}),
        selection={**contents.selection, "reason": evil},
    ))  # fmt: skip
    assert evil not in page
    assert "&lt;img src=x onerror=" in page


def test_variants_are_compared_in_pairs_with_the_leader_in_words(contents):
    clear, chance = Score(-0.05, -0.07, -0.03, 40), Score(-0.01, -0.03, 0.01, 40)
    variants = [
        contents.variants[0],
        replace(contents.variants[1], differences={"test": clear, "val": chance}),
    ]
    comparison = text(part(index_page.render(replace(contents, variants=variants)), "comparison"))
    assert "-0.0500 [-0.070, -0.030] worse" in comparison
    assert "-0.0100 [-0.030, 0.010] not told apart" in comparison


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Score(0.02, 0.01, 0.03, 25), "better"),
        (Score(0.02, 0.01, 0.03, 5), "above, n too small for a claim"),
        (Score(-0.02, -0.03, -0.01, 5), "below, n too small for a claim"),
        (Score(0.0, -0.01, 0.01, 25), "not told apart"),
        (Score(0.02), "no interval"),
    ],
)
def test_a_difference_is_a_claim_only_with_units_enough(score, said):
    assert report_tables.describe_difference(score) == said


def test_what_the_choice_on_validation_cannot_be_relied_on_for_stands_beside_it(contents):
    caveat = "2 blocks of 6: no interval decides here"
    page = index_page.render(replace(contents, selection={**contents.selection, "caveat": caveat}))
    assert f"Validation: {caveat}" in text(part(page, "answer"))
    assert f"Test: {page_contents.CAVEAT}. Validation: {caveat}" in text(part(page, "comparison"))


def test_the_best_of_several_on_validation_comes_with_its_correction(contents):
    said = "0.8789 is the best of 3 on the images that chose it; corrected for that, 0.8721"
    selection = contents.selection | {"winner": {"text": said}}
    page = index_page.render(replace(contents, selection=selection))
    assert f"Validation: {said}." in text(part(page, "answer"))


def test_what_got_worse_against_the_champion_is_shown_by_both_masks(contents):
    test = contents.test
    row = {"id": test.ids[0], "champion": 0.91, "challenger": 0.34}
    masks = [np.ones_like(test[0][1]), test[0][1]]
    section = part(index_page.render(replace(contents, lost=[(row, *masks)])), "lost")
    assert [tile in section for tile in ("image", "truth", "champion", "challenger")] == [True] * 4
    assert section.count("<img ") == 4
    assert len(set(re.findall(r'src="([^"]+)"', section))) == 3, "the challenger's is the truth"
    assert "champion 0.9100, challenger 0.3400" in section
    assert 'id="lost"' not in index_page.render(contents)


def test_a_score_that_fewer_units_tell_than_the_headline_has_its_n_beside_it(contents):
    test = {name: replace(score, n=50) for name, score in contents.variants[0].test.items()}
    test |= {"dice/disc": Score(0.7, 0.6, 0.8, 7)}
    page = index_page.render(with_lead(contents, test=test))
    for section in ("classes", "scores"):
        assert "0.7000 [0.600, 0.800] n = 7" in text(part(page, section))
    assert "n = 50" not in text(part(page, "scores"))


def test_nothing_exchanged_and_next_to_nothing_are_told_apart(contents):
    counts = np.diag(np.full(len(contents.data.classes), 1_000_000))
    counts[0, 1], counts[0, 2] = 3, 2000
    confusion = text(
        part(index_page.render(with_lead(contents, confusion=counts)), "classes")
    ).partition("Confusion")[2]
    assert "99.8 % < 0.01 % 0.20 % 0 %" in confusion


def test_without_calibration_there_is_no_reliability_diagram(contents, page):
    assert "Is it right as often as it is sure?" in part(page, "weaknesses")
    data = contents.data
    plain = create({}, Labels(data.classes, data.foreground, data.ignore_index))
    assert "Is it right as often as it is sure?" not in index_page.render(
        replace(contents, metrics=plain)
    )


def test_one_variant_that_nobody_wants_and_nothing_to_score_still_make_a_page(contents):
    nothing = {name: Score(math.nan) for name in contents.variants[0].test}
    page = index_page.render(replace(
        with_lead(contents, test=nothing, val=nothing, weaknesses=[]),
        variants=[replace(contents.variants[0], test=nothing, val=nothing, weaknesses=[])],
        slices=Table((), Score(math.nan), 4, "No slice has images enough."), caveat="",
        selection={**contents.selection, "challenger": None, "reason": "none is good enough"},
        registration={**contents.registration, "outcome": "refused", "version": None,
                      "champion": None, "checks": []},
    ))  # fmt: skip
    assert "Leads on validation, but is not good enough: none is good enough" in text(
        part(page, "answer")
    )
    assert "gate: refused" in part(page, "answer")
    assert not re.search(
        r"\bnan\b", text(page.split('<section id="definitions"')[0]), re.IGNORECASE
    )
    assert "Against" not in part(page, "comparison")


def test_where_images_leak_the_clean_scores_stand_at_the_top_and_in_the_comparison(contents):
    first = contents.variants[0]
    clean = {f"clean/{name}": score for name, score in first.test.items()} | {
        "clean/images": Score(4.0)
    }
    leak = {
        "kind": "copy",
        "name": "g",
        "splits": ["train", "test"],
        "ids": ["p0"],
        "message": "p0 is p1",
    }
    page = index_page.render(
        replace(with_lead(contents, test={**first.test, **clean}), leaks=[leak])
    )
    assert "on the 4 test images that do not leak" in text(part(page, "answer"))
    assert "unet, clean part" in part(page, "comparison")
    assert "p0 is p1" in part(page, "leaks")
    assert "over the images that do not leak" in part(page, "scores")


def test_of_many_classes_the_confusion_shows_those_that_are_exchanged_most():
    counts = np.diag(np.full(40, 1000))
    counts[7, 31] = 400
    counts[3, 5] = 300
    ids, shares = report_tables.row_shares(counts, [str(i) for i in range(40)])
    assert len(ids) == report_tables.CLASSES
    assert {3, 5, 7, 31} <= set(ids)
    assert shares[ids.index(7), ids.index(31)] == pytest.approx(400 / 1400)


def test_the_galleries_show_worst_least_certain_and_best_with_image_truth_prediction_and_error(
    page,
):
    images = part(page, "images")
    for title in ("Worst 1:", "Least certain 1:", "Best 1:"):
        assert title in images
    for tile in ("image", "truth", "prediction", "errors"):
        # three of each of three variants
        assert images.count(f"<figcaption>{tile}</figcaption>") == 9
    assert images.count("data:image/png") == 9  # errors are exact
    assert images.count("<details open>") == 1


@pytest.mark.slow
def test_twelve_variants_with_large_noisy_images_stay_below_twenty_megabytes(data, make_shard):
    rng = np.random.default_rng(0)
    pairs = [
        (rng.integers(0, 256, (512, 512, 1), np.uint8), rng.integers(0, 4, (512, 512), np.uint8))
        for _ in range(3)
    ]
    test, train = make_shard(pairs, "test"), make_shard(pairs[:1], "train")
    names = tuple(f"variant_{i}" for i in range(12))
    page = index_page.render(page_contents.contents(data, train, test, variants=names, gallery=1))
    assert len(page.encode()) < MAXIMUM_BYTES
    assert all(name in part(page, "comparison") for name in names)


def test_pictures_for_which_there_is_no_room_are_left_out_and_counted(contents, monkeypatch):
    whole = index_page.render(contents)
    monkeypatch.setattr(report_pictures, "_ROOM_BYTES", 10_000)
    small = index_page.render(contents)
    rows = small.count("<figcaption>prediction</figcaption>")
    assert 0 < rows < whole.count("<figcaption>prediction</figcaption>")
    assert f"{9 - rows} images are left out, since the page would grow too large" in part(
        small, "images"
    )
    assert "<h3>Worst 1:" in part(small, "images")  # the leader comes first
