"""Clones of this repository with tiny settings, in which the real line runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.pipelines import lines

REPOSITORY = Path(__file__).parents[2]
TINY = {
    "variants": ["unet", "resnet18_unet"],
    "models.unet.feature_scale": 16,
    "models.resnet18_unet.width": 8,
    "augmentation.crop_px": None,
    "train.steps": 6,
    "train.val_every_steps": 2,
    "train.warmup_steps": 1,
    "train.batch_size": 2,
    "train.patience": 4,
    "train.precision": "fp32",  # as on every processor
    "train.threads": 1,
    "train.checkpoint_every_s": 0.0,
    "selection.minimum": 0.0,
    "gate.minimum": {"dice_foreground": 0.001},
    "report.gallery": 1,
}
SLABS = {(60, 65): "train", (80, 82): "test", (90, 91): "val"}


def _is_of_the_line(variable: str) -> bool:
    """No SHELL, as in a service; and Python keeps what it has compiled, as it does for a user."""
    return not variable.startswith(("MLFLOW_", "DVC_")) and variable not in {
        "SHELL",
        "PYTHONDONTWRITEBYTECODE",
    }


class Workspace:
    """A cloned repository, and the commands that a user would type in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        bin_folder = str(Path(sys.executable).parent)
        # the clone's own code, and the interpreter of the tests, as in an activated environment
        self.env = {
            **{k: v for k, v in os.environ.items() if _is_of_the_line(k)},
            "PATH": os.pathsep.join([bin_folder, os.environ["PATH"]]),
            "PYTHONPATH": str(root / "src"),
        }

    def run(
        self, *command: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.env | (env or {}),
            text=True,
            capture_output=True,
            timeout=800,
            check=False,
        )

    def pipeline(self) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "pipelines.local")

    def start(self, *command: str) -> subprocess.Popen[str]:
        """In a session of its own, as in a terminal of its own."""
        return subprocess.Popen(
            command, cwd=self.root, env=self.env, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def dvc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def set(self, **values: object) -> None:
        """Change params.yaml; `train__steps=3` stands for train.steps."""
        change_params(self.root, {key.replace("__", "."): value for key, value in values.items()})


def change_params(root: Path, values: dict[str, object]) -> None:
    yaml = YAML()
    params = yaml.load(root / "params.yaml")
    for key, value in values.items():
        section = params
        *path, last = key.split(".")
        for part in path:
            section = section[part]
        section[last] = value
    yaml.dump(params, root / "params.yaml")


def ran(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The stages that a `dvc repro` ran, in order, but for `settings`.

    Any edit of params.yaml runs `settings` first.
    """
    return [stage for stage in stages_of(done.stdout) if stage != "settings"]


def stages_of(said: str) -> list[str]:
    return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")]


def clone(to: Path) -> Workspace:
    """Clone the repository with what is not committed yet, and make it tiny."""
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, to], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, to / name)
    (to / "dvc.lock").unlink(missing_ok=True)  # of a run in this repository
    change_params(to, dict(TINY))
    slabs = "".join(f"  - [{first}, {last}]\n" for first, last in SLABS)
    (to / "data/source.yaml").write_text(f"kind: icbm152\nseed: 0\nslabs:\n{slabs}")
    rows = "".join(f"z{first:03d}-{last:03d},{split}\n" for (first, last), split in SLABS.items())
    (to / "data/splits.csv").write_text(f"group,split\n{rows}")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(to)]
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "tiny settings"], check=True)
    return Workspace(to)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone in which the line has run once, with two variants; to change it, copy it."""

    def make(folder: Path) -> str:
        line = clone(folder / "repository")
        done = line.pipeline()
        assert done.returncode == 0, done.stdout + done.stderr
        assert lines.wait_until_nothing_runs_in(line.root) == []
        return done.stdout

    folder = lines.make_once(tmp_path_factory, make)
    made = Workspace(folder / "repository")
    made.said = (folder / lines.SAID).read_text()
    return made


def copy(line: Workspace, to: Path) -> Workspace:
    """A copy of a line that has run, on its own."""
    lines.copy_repository(line.root, to)
    return Workspace(to)


@pytest.fixture(scope="module")
def workspace(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the finished line, and what its run said."""
    made = copy(finished, tmp_path_factory.mktemp("line") / "repository")
    made.said = finished.said
    return made


@pytest.fixture
def params_kept(workspace: Workspace):
    """params.yaml as the first run had it, before and after a test.

    The outs go back with the next run.
    """
    path = workspace.root / "params.yaml"
    before = path.read_text()
    yield
    path.write_text(before)
