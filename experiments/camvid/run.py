"""python experiments/camvid/run.py DIR --recipe short|full [--minutes 9]: run the line on CamVid.

DIR holds CamVid. The line runs in a clone of this repository, .maskmill/camvid/RECIPE; params.yaml
and data here stay as they are. With `--minutes` a training ends after so long, at a checkpoint,
with status 75: the same command goes on there.
"""

import argparse
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from maskmill.curation import manifest
from maskmill.settings import config, configure
from maskmill.statistics import scores
from maskmill.system.errors import MaskmillError
from maskmill.system.processes import search_path

ROOT = Path(__file__).resolve().parents[2]
# 0..10 in the masks
CLASSES = "sky,building,pole,road,pavement,tree,sign_symbol,fence,car,pedestrian,bicyclist"
VOID = "11"
AGAIN = 75  # EX_TEMPFAIL of sysexits.h
_POLL_S = 0.5


class Line:
    """The clone, and the commands that run in it with its own code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._env = os.environ | {"PATH": search_path(), "PYTHONPATH": str(root / "src")}

    def start(self, *module: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", *module], cwd=self.root, env=self._env)

    def prepare(self, data: Path, settings: dict[str, object]) -> None:
        """Clone, import and set what is not there yet.

        Raises: MaskmillError for no data, or no clone.
        """
        if not data.is_dir():
            raise MaskmillError(
                f"{data}: no such folder; name the one with CamVid's train, val and test"
            )
        if not self.root.exists():
            self.root.parent.mkdir(parents=True, exist_ok=True)
            partial = self.root.with_name(f"{self.root.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            if subprocess.run(["git", "clone", "--quiet", ROOT, partial], check=False).returncode:
                raise MaskmillError(
                    f"{ROOT}: git could not clone it to {partial}, where the line would run; "
                    "see above"
                )
            partial.rename(self.root)
        if not (self.root / "data/source.dvc").exists():  # what an import writes last
            named = (
                "--classes",
                CLASSES,
                "--ignore",
                VOID,
                "--background",
                "none",
                "--title",
                "CamVid",
            )
            if code := self.start("maskmill", "data", "import", str(data.resolve()), *named).wait():
                sys.exit(code)
        configure.change(settings, self.root / config.PARAMS)

    def run(self, minutes: float) -> int:
        """Run what `make pipeline` runs, and return its status.

        The status is AGAIN where the minutes were over before the training was.
        """
        until = time.monotonic() + 60 * minutes
        process, ended = self.start("pipelines.local"), set[int]()
        while process.poll() is None:
            if time.monotonic() > until:
                for training in _trainings(process.pid) - ended:
                    os.kill(training, signal.SIGTERM)
                    ended.add(training)
            time.sleep(_POLL_S)
        return AGAIN if ended and process.returncode else process.returncode


def _trainings(pid: int) -> set[int]:
    """Processes below `pid` that train."""
    found = set[int]()
    for process in psutil.Process(pid).children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:  # it has just ended
            continue
        if words[1:4] == ["-m", "maskmill.stages", "train"]:
            found.add(process.pid)
    return found


def recipe(name: str) -> dict[str, object]:
    """The settings of a recipe, by their names in params.yaml.

    Raises: MaskmillError for a recipe that does not exist.
    """
    known = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
    if name not in known:
        raise MaskmillError(
            f"--recipe: got {name!r}; there are {', '.join(known)} (experiments/camvid/*.yaml)"
        )
    found: dict[str, object] = config.read_yaml(known[name])
    return found


def table(root: Path) -> str:
    """The mean IoU and that of each class, on val, on test and on clean test.

    Clean test frames are those that nothing ties to training.
    """
    params = config.load(root / config.PARAMS)
    [variant] = params.variants
    val, test = (
        scores.read_scores(root / params.paths.metrics / split / f"{variant}.json")
        for split in ("val", "test")
    )
    frames = manifest.read(root / params.paths.prepared / "manifest.parquet")
    clean = (frames["clean"] & (frames["split"] == "test")).sum()
    counts = [(frames["split"] == "val").sum(), (frames["split"] == "test").sum(), clean]
    heads = (
        f"{name}, {count} frames"
        for name, count in zip(("val", "test", "clean test"), counts, strict=True)
    )
    lines = [f"| IoU | {' | '.join(heads)} |", "|---|---|---|---|"]
    for name in ("miou", *(f"iou/{name}" for name in params.data.classes)):
        cells = (
            scores.score_in_words(score)
            for score in (val[name], test[name], test[scores.clean_name(name)])
        )
        lines.append(
            f"| {name.removeprefix('iou/').replace('miou', '**mean**')} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, AGAIN, that of the line, or 2 when the user has something to mend."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "dir", type=Path, metavar="DIR", help="CamVid: train, val and test with images and masks"
    )
    parser.add_argument("--recipe", required=True, help="short or full")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="end training after so long; 9, say"
    )
    given = parser.parse_args(arguments)
    line = Line(ROOT / ".maskmill/camvid" / given.recipe)
    try:
        line.prepare(given.dir, recipe(given.recipe))
        code = line.run(given.minutes)
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # the line has had it, too, and says so
        return 128 + signal.SIGINT
    if code:
        if code == AGAIN:
            print(
                "training stopped at a checkpoint; start the same command again to go on there",
                file=sys.stderr,
            )
        return code
    print(f"\n{table(line.root)}\n\nall of it: {line.root / 'reports/index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
