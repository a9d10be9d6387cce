"""The page in a real browser, if there is one: from disk, without network, wide and narrow."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from maskmill.metrics import Labels, create
from maskmill.report import compare, import_page, index_page
from maskmill.report.runs import Outcome, ReportedRun
from maskmill.statistics.scores import Score
from tests.unit.report import import_plans, page_contents

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome is installed"
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr", "--virtual-time-budget=4000",
)  # fmt: skip
# Only the test's copy of the page has this script: it opens what is folded, measures, and tells the
# frame around it.
PROBE = """<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach(d => { d.open = true; });
  const root = document.documentElement, pictures = [...document.images];
  Promise.all(pictures.map(p => { p.loading = "eager"; return p.complete || \
new Promise(done => { p.onload = p.onerror = done; }); })).then(() => {
    const wide = [...document.querySelectorAll("main *")].filter(e =>
      !e.closest(".wide, .scale, .plot, svg") && \
e.getBoundingClientRect().right > root.clientWidth + 1);
    parent.postMessage(JSON.stringify({
      width: innerWidth, overflow: root.scrollWidth - root.clientWidth, \
wide: wide.map(e => e.outerHTML.slice(0, 120)),
      asked: performance.getEntriesByType("resource").map(e => e.name)\
.filter(n => !n.startsWith("data:")),
      whiskers: [...document.querySelectorAll("#classes .plot")].map(e => {
        const box = p => (p = e.querySelector(p).getBoundingClientRect(), [p.left, p.right]), \
[left] = box("em");
        return [...box("i"), box("em")[1]].map(x => 100 * (x - left) \
/ e.getBoundingClientRect().width);
      }),
      pictures: pictures.length, broken: pictures.filter(p => !p.naturalWidth).length,
    }), "*");
  });
});
</script></body>"""
# A window is never narrower than 500 px; a frame is as narrow as a telephone.
FRAME = """<!doctype html><body>
<script>addEventListener("message", e => { document.body.dataset.found = e.data; })</script>
<iframe src="page.html" style="border: 0; width: {width}px; height: 900px"></iframe></body>"""


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """A function: (page as text, width) -> what the browser found, and what it complained of."""

    def probe(text, width):
        folder = tmp_path_factory.mktemp("browser")
        (folder / "page.html").write_text(text.replace("</body>", PROBE), encoding="utf-8")
        path = folder / "frame.html"
        path.write_text(FRAME.replace("{width}", str(width)), encoding="utf-8")
        command = [
            BROWSER,
            *FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=1400,1000",
        ]
        done = subprocess.run(
            [*command, "--dump-dom", path.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        found = re.search(r'data-found="([^"]*)"', done.stdout)
        assert found, done.stderr
        complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return json.loads(html.unescape(found.group(1))), complaints

    return probe


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_from_the_disk_without_a_network_and_nothing_is_wider_than_the_window(
    width, probed, data, make_shard, draw_shapes
):
    long = data.model_copy(update={"title": "a_title_without_a_space_" * 6})
    test, train = make_shard(draw_shapes(6, seed=1), "test"), make_shard(draw_shapes(4), "train")
    names = ("unet", "a_variant_with_quite_a_long_name_of_its_own", "se_resnet18_unet")
    found, complaints = probed(
        index_page.render(page_contents.contents(long, train, test, variants=names)), width
    )
    assert found["width"] == width
    assert found["overflow"] == 0
    assert found["wide"] == []
    assert found["asked"] == []
    assert found["pictures"] > 40
    assert found["broken"] == 0
    assert complaints == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_about_an_import_opens_so_too(width, probed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = import_plans.make(tmp_path, title="a_title_without_a_space_" * 6)
    found, complaints = probed(import_page.render(plan), width)
    assert (found["width"], found["overflow"], found["wide"], found["asked"]) == (width, 0, [], [])
    assert (found["pictures"], found["broken"], complaints) == (36, 0, [])


def test_the_whisker_of_a_class_stands_where_its_interval_is(probed, data, make_shard, draw_shapes):
    test, train = make_shard(draw_shapes(6, seed=1), "test"), make_shard(draw_shapes(4), "train")
    contents = page_contents.contents(data, train, test)
    found, _ = probed(index_page.render(contents), 1280)
    scores = [contents.variants[0].test[f"dice/{name}"] for name in data.classes]
    assert len(found["whiskers"]) == len(scores)
    for drawn, score in zip(found["whiskers"], scores, strict=True):
        assert drawn == pytest.approx(
            [100 * score.low, 100 * score.high, 100 * score.value], abs=0.3
        )


def run(data, name, ids, **params):
    """A made-up run on these test images."""
    fields = create({}, Labels(data.classes, data.foreground, data.ignore_index)).fields
    counts = np.random.default_rng(len(name)).integers(100, 900, (len(ids), len(fields)))
    table = pd.DataFrame({"id": ids, "clean": True}).join(
        pd.DataFrame(counts, columns=list(fields))
    )
    rows = [{"id": i, "split": "test", "group": i, "sequence": "", "order": 0.0,
             "sha256_pixels": i, "sha256_mask": i}
            for i in ids]  # fmt: skip
    both = {"evaluation.primary": page_contents.PRIMARY, "data.classes": list(data.classes)}
    both |= {"data.background": data.background, "data.ignore_index": data.ignore_index} | params
    scores = {
        split: {page_contents.PRIMARY: Score(0.8, 0.7, 0.9, len(ids))} for split in ("val", "test")
    }
    outcome = Outcome(scores, {"val": table, "test": table}, page_contents.Cost(1000, 2.0, 3.0))
    return ReportedRun(
        name, "0123456789ab" * 3, "code", both, "f" * 32, pd.DataFrame(rows), {"unet": outcome}
    )


def test_runs_side_by_side_fit_a_narrow_window_too(probed, data):
    ids = [f"an_image_{i}" for i in range(6)]
    first = run(data, "main", ids, **{"train.seed": 0, "augmentation.transforms": "x" * 300})
    others = [
        run(data, "an-experiment-of-a-long-name", ids, **{"train.seed": 1}),
        run(data, "others", [*ids[:4], "z"]),
    ]
    found, complaints = probed(compare.render([first, *others], page_contents.SETTINGS), 390)
    assert (found["overflow"], found["wide"], found["asked"], complaints) == (0, [], [], [])
