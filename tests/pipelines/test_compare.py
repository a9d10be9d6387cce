"""Runs of several revisions side by side: a real git and DVC repository, made-up results."""

import contextlib
import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from maskmill.evaluation.cost import Cost, write_cost
from maskmill.metrics import Labels, create
from maskmill.report import compare
from maskmill.report.runs import ReportedRun, load
from maskmill.settings import config
from maskmill.settings.config import Intervals
from maskmill.statistics import scores
from maskmill.statistics.scores import Score
from maskmill.system.errors import MaskmillError

REPOSITORY = Path(__file__).parents[2]
GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
IDS = [f"z{i:03d}" for i in range(6)]


class Repository:
    """A repository whose outs are made by hand and committed, as if its line had run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run(*GIT, "init", "--quiet", "--initial-branch", "main")
        self.run(sys.executable, "-m", "dvc", "init", "--quiet")
        (root / "src").mkdir()
        (root / "src/code.py").write_text("")
        self.params = YAML(typ="safe").load(REPOSITORY / "params.yaml")
        self.params["variants"] = ["unet"]
        self.params["slices"]["minimum"] = 1
        outs = ["metrics/val/unet.parquet", "metrics/test/unet.parquet", "metrics/cost/unet.json",
                "metrics/val/unet.json", "metrics/test/unet.json",
                "data/prepared/manifest.parquet"]  # fmt: skip
        plots = YAML(typ="safe").load(REPOSITORY / "dvc.yaml")["stages"]["report"]["plots"]
        self.plots = [
            {key.replace("${paths.reports}", "reports"): how for key, how in plot.items()}
            for plot in plots
        ]
        stage = {"cmd": "true", "outs": outs, "plots": self.plots}
        with (root / "dvc.yaml").open("w") as file:
            YAML().dump({"stages": {"all": stage}}, file)

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(
        self, tag: str, right: float, *, seed: int = 0, ids: list[str] = IDS, pixels: str = ""
    ) -> None:
        """Results with `right` of each class's 1000 pixels right, as a commit with a tag."""
        self.params["train"]["seed"] = seed
        with (self.root / "params.yaml").open("w") as file:
            YAML().dump(self.params, file)
        data = config.load(self.root / "params.yaml").data
        rows = [
            {
                "id": i,
                "split": split,
                "group": i,
                "sequence": "s",
                "order": n,
                "sha256_pixels": f"{i}{pixels}",
                "sha256_mask": i,
            }
            for split in ("val", "test")
            for n, i in enumerate(ids)
        ]
        write_parquet(self.root / "data/prepared/manifest.parquet", pd.DataFrame(rows))
        for split in ("val", "test"):
            write_scores(self.root / "metrics" / split, data, ids, right)
        write_cost(self.root / "metrics/cost/unet.json", Cost(100, 2.5, 1.0))
        (self.root / "reports/plots").mkdir(parents=True, exist_ok=True)
        (self.root / "reports/plots/classes.csv").write_text(f"class,dice\nsky,{right}\n")
        (self.root / "reports/plots/confusion.csv").write_text(
            "truth,predicted\nsky,sky\nsky,road\n"
        )
        self.run(sys.executable, "-m", "dvc", "commit", "--force", "--quiet")
        self.run(*GIT, "add", "--all")
        self.run(*GIT, "commit", "--quiet", "--message", tag)
        self.run(*GIT, "tag", tag)


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)


def write_scores(folder: Path, data: config.Data, ids: list[str], right: float) -> None:
    metrics = create({}, Labels(data.classes, data.foreground, data.ignore_index))
    wobble = np.random.default_rng(int(100 * right)).uniform(-0.05, 0.05, len(ids))
    rows = [
        {"id": i, "clean": True}
        | {f: 1000.0 if "hits" not in f else 1000 * (right + w) for f in metrics.fields}
        for i, w in zip(ids, wobble, strict=True)
    ]
    write_parquet(folder / "unet.parquet", pd.DataFrame(rows))
    scores.write_scores(
        folder / "unet.json",
        {"dice_foreground": Score(right, right - 0.02, right + 0.02, len(ids))},
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("compared"))
    made.run(*GIT, "add", "--all")
    made.run(*GIT, "commit", "--quiet", "--message", "nothing has run")
    made.run(*GIT, "tag", "empty")
    made.commit("first", 0.80)
    made.commit("seed7", 0.82, seed=7)
    made.params["train"]["learning_rate"] = 0.002
    made.commit("slower", 0.9)
    made.commit("other-images", 0.9, ids=[*IDS[:4], "n1", "n2"])
    made.commit("other-pixels", 0.9, pixels="x")
    return made


@pytest.fixture(scope="module")
def runs(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ReportedRun]:
    """Each run as it was loaded."""
    names = ("first", "seed7", "slower", "other-images", "other-pixels")
    with contextlib.chdir(repository.root):
        return {name: load(name, tmp_path_factory.mktemp(name)) for name in names}


@pytest.fixture(scope="module")
def settings() -> Intervals:
    return config.load(REPOSITORY / "params.yaml").intervals


@pytest.fixture
def inside(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(repository.root)
    return repository


def maskmill(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "maskmill", *arguments]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def part(page: str, name: str) -> str:
    html = page.split(f'<section id="{name}"')[1].split("</section>", maxsplit=1)[0]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_two_runs_stand_side_by_side_with_what_changed_and_whether_it_matters(inside: Repository):
    done = maskmill("report", "--compare", "first", "slower")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "look at reports/compare.html\n"
    page = (inside.root / "reports/compare.html").read_text()
    assert part(page, "changed").endswith("train.learning_rate 0.004 0.002 ")
    assert "0.8000 [0.780, 0.820]" in part(page, "scores")
    assert "0.9000 [0.880, 0.920]" in part(page, "scores")
    value, low, high = re.search(
        r"unet slower (0\.\d+) \[(0\.\d+), (0\.\d+)\] above, n too small for a claim test",
        part(page, "differences"),
    ).groups()
    assert 0 < float(low) < float(value) < float(high) < 0.2
    commit = inside.run("git", "rev-parse", "first").strip()
    assert commit[:10] in part(page, "runs")
    assert "too few independent units" in page
    for asking in ("<script", "http://", "https://", "url(", "src="):
        assert asking not in page


def test_runs_that_differ_in_their_seed_alone_are_shown_over_seeds(
    runs: dict[str, ReportedRun], settings: Intervals
):
    first, second, slower = (runs[name] for name in ("first", "seed7", "slower"))
    rows = compare.means_over_seeds([first, second, slower], 0.95)
    assert [(row.variant, row.run) for row in rows] == [("unet", "first + seed7")]
    assert rows[0].test.value == pytest.approx(0.81)
    assert rows[0].test.n == 2
    assert rows[0].test.low < 0.80
    assert rows[0].test.high > 0.82
    assert compare.means_over_seeds([first, slower], 0.95) == []
    assert "Over seeds" in compare.render([first, second], settings)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("other-images", "not the same test images: 4 of 6 are also in first"),
        ("other-pixels", "the same test images by name, but other pixels or masks"),
    ],
)
def test_other_test_pixels_are_not_compared_and_the_page_says_why(
    runs: dict[str, ReportedRun], settings: Intervals, other: str, reason: str
):
    pair = [runs["first"], runs[other]]
    test = next(gap for gap in compare.differences_to_first(pair, settings) if gap.split == "test")
    assert test.score is None
    assert test.reason == reason
    assert f"not comparable: {reason}" in part(compare.render(pair, settings), "differences")


@pytest.mark.usefixtures("inside")
def test_what_is_on_the_disk_is_a_run_too(
    runs: dict[str, ReportedRun], settings: Intervals, tmp_path: Path
):
    here, there = load("workspace", tmp_path), runs["other-pixels"]
    assert here.commit == ""
    assert here.params == there.params
    assert here.code == there.code
    assert [gap.score.value for gap in compare.differences_to_first([there, here], settings)] == [
        0.0,
        0.0,
    ]


def test_a_dvc_experiment_is_a_run(inside: Repository, tmp_path: Path):
    commit = inside.run("git", "rev-parse", "seed7").strip()
    base = inside.run("git", "rev-parse", "first").strip()
    inside.run("git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/warm-toad", commit)
    assert load("warm-toad", tmp_path).seed == 7


@pytest.mark.parametrize(
    ("revisions", "said"),
    [
        (
            ["first"],
            (
                r"got first; two or more different ones are needed, each a git revision, a DVC"
                r" experiment"
            ),
        ),
        (["first", "first"], r"got first, first; two or more different ones are needed"),
        (
            ["first", "frist"],
            r"got 'frist', which is no git revision and no DVC experiment; there are main, .*first",
        ),
        (["first", "--all"], r"got '--all', which is no git revision"),
        (
            ["empty", "first"],
            r"empty \(\w{10}\) has no results: its dvc.lock names none of metrics/test/\*.parquet",
        ),
    ],
)
def test_a_revision_that_cannot_be_compared_is_named(
    inside: Repository, revisions: list[str], said: str
):
    with pytest.raises(MaskmillError, match=said):
        compare.write_comparison(revisions, config.load())


def test_results_that_no_cache_holds_are_named(inside: Repository, tmp_path: Path):
    cache = inside.root / ".dvc/cache"
    cache.rename(inside.root / "away")
    try:
        with pytest.raises(MaskmillError, match=r"report --compare: first \(\w{10}\): `dvc get"):
            load("first", tmp_path)
    finally:
        (inside.root / "away").rename(cache)


def test_without_revisions_it_says_where_the_page_is(inside: Repository):
    assert "reports/index.html: no such file; `make pipeline` draws it" in maskmill("report").stderr
    (inside.root / "reports/index.html").write_text("")
    assert maskmill("report").stdout == "look at reports/index.html\n"
    assert (
        "got first; to compare runs: maskmill report --compare REV_A REV_B"
        in maskmill("report", "first").stderr
    )
    (inside.root / "reports/index.html").unlink()


def test_dvc_draws_the_plots_of_the_line(inside: Repository):
    shown = json.loads(inside.run(sys.executable, "-m", "dvc", "plots", "show", "--json"))
    assert not shown.get("errors")
    assert set(shown["data"]) == {next(iter(plot)) for plot in inside.plots}
    diff = json.loads(
        inside.run(sys.executable, "-m", "dvc", "plots", "diff", "first", "slower", "--json")
    )
    assert not diff.get("errors")
    assert set(diff["data"]) == set(shown["data"])
