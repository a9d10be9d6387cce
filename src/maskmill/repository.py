"""The git and DVC repository that everything runs in: its commands, and that nothing is written outside of it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from maskmill.errors import MaskmillError


def dvc(*arguments: str, what: str) -> None:
    """Run DVC. Raises: MaskmillError that begins with `what` and says what DVC said."""
    _run([sys.executable, "-m", "dvc", *arguments], f"dvc {' '.join(arguments)}", what)


def forget(path: Path) -> None:
    """Take a file out of git's index, where git tracks it; it stays on the disk, and DVC can version its folder."""
    listed = subprocess.run(["git", "ls-files", "--error-unmatch", str(path)], capture_output=True, check=False)
    if listed.returncode == 0:
        _run(["git", "rm", "--quiet", "--cached", str(path)], f"git rm --cached {path}", "import")


def check_inside(paths: Mapping[str, str]) -> None:
    """Hold the settings `paths` against the disk: `dvc pull` follows a folder that is a link, and writes elsewhere.

    Raises: MaskmillError for one that leads out of this folder.
    """
    root = Path.cwd().resolve()
    for key, path in paths.items():
        try:
            real = Path(path).resolve()
        except (OSError, RuntimeError) as error:
            raise MaskmillError(
                f"params.yaml: paths.{key}: {path} leads in a circle: {error}; delete the link"
            ) from None
        if not real.is_relative_to(root):
            raise MaskmillError(
                f"params.yaml: paths.{key}: {path} leads to {real}, out of the repository, through a link; DVC would "
                f"write there: put the folder itself in the link's place, or copy it: maskmill data import {real}"
            )


def _run(command: list[str], said: str, what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MaskmillError(f"{what}: `{said}` ended with {done.returncode}: {done.stderr.strip()}")
