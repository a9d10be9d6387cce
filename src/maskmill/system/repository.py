"""The git and DVC repository that everything runs in: its commands, and its borders.

Nothing is written outside of it.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from platformdirs import site_config_dir, user_config_dir

from maskmill.system.errors import MaskmillError, few_of


def run_dvc(*arguments: str, what: str) -> None:
    """Run DVC. Raises: MaskmillError that begins with `what` and says what DVC said."""
    check_git()
    _run([sys.executable, "-m", "dvc", *arguments], f"dvc {' '.join(arguments)}", what)


def check_git() -> None:
    """Check that this folder is in a git repository, which DVC needs.

    Raises: MaskmillError where it is in none.
    """
    if _run_git("rev-parse", "--git-dir") is None:
        raise MaskmillError(
            f"{Path.cwd()} is in no git repository, which DVC needs; a ZIP of this repository holds"
            " none. Make one, and run the same command again: git init && git add --all && git"
            " commit --message start"
        )


def cache_folder() -> Path:
    """Where DVC keeps what it has versioned: its setting `cache.dir`."""
    if Path(".dvc/config").exists() and not any("[cache]" in text for text in _dvc_settings()):
        return Path(".dvc/cache")  # without a question to DVC, which takes half a second to import
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Path(done.stdout.strip() or ".dvc/cache")


def _dvc_settings() -> Iterator[str]:
    """The texts of DVC's settings: of this repository, this user and this machine."""
    places = [Path(".dvc/config"), Path(".dvc/config.local")]
    for variable, folder in (
        ("DVC_GLOBAL_CONFIG_DIR", user_config_dir("dvc", "iterative")),
        ("DVC_SYSTEM_CONFIG_DIR", site_config_dir("dvc", "iterative")),
    ):
        places.append(Path(os.environ.get(variable, folder)) / "config")
    for place in places:
        with contextlib.suppress(OSError):
            yield place.read_text()


def commit_of(revision: str, what: str) -> str:
    """The commit that a git revision or a DVC experiment names.

    Raises: MaskmillError that begins with `what`, with the names there are.
    """
    if not revision.startswith("-"):
        for pattern in (f"{revision}^{{commit}}", _experiment(revision)):
            if pattern and (found := _run_git("rev-parse", "--verify", "--quiet", pattern)):
                return found.strip()
    # refs/exps: two parts of the base commit, then the name
    kinds = ("refs/heads", "refs/tags", "refs/exps/[0-9a-f]*/*/*")
    names = [
        name
        for kind in kinds
        for name in (_run_git("for-each-ref", "--format=%(refname)", kind) or "").split()
    ]
    there = few_of([name.rpartition("/")[2] for name in names], 12)
    raise MaskmillError(
        f"{what}: got {revision!r}, which is no git revision and no DVC experiment; there are"
        f" {there or 'none'} (`git log --oneline`, `dvc exp list`)"
    )


def file_in_commit(commit: str, path: str) -> str | None:
    """A file of this folder as git has it in `commit`; None where it is not there."""
    return _run_git("show", f"{commit}:./{path}")


def folder_digest(commit: str, path: str) -> str:
    """Git's digest of a folder in `commit`, or of what is on the disk now for "".

    "" where the folder is not there.
    """
    changed = "" if commit else _run_git("status", "--porcelain", "--", path)
    return (
        changed
        or (
            _run_git("rev-parse", "--verify", "--quiet", f"{commit or 'HEAD'}:./{path}") or ""
        ).strip()
    )


def untrack(path: Path) -> None:
    """Take a file out of git's index, where git tracks it.

    It stays on the disk, and DVC can version its folder.
    """
    listed = subprocess.run(
        ["git", "ls-files", "--error-unmatch", str(path)], capture_output=True, check=False
    )
    if listed.returncode == 0:
        _run(["git", "rm", "--quiet", "--cached", str(path)], f"git rm --cached {path}", "import")


def check_inside(paths: Mapping[str, str]) -> None:
    """Check that the settings `paths` stay in this folder.

    `dvc pull` follows a folder that is a link, and writes elsewhere.

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
                f"params.yaml: paths.{key}: {path} leads to {real}, out of the repository, through"
                " a link; DVC would write there: put the folder itself in the link's place, or"
                f" copy it: maskmill data import {real}"
            )


def _experiment(name: str) -> str:
    """The reference of a DVC experiment; "" for no such name, or more than one."""
    found = (
        _run_git("for-each-ref", "--format=%(refname)", f"refs/exps/[0-9a-f]*/*/{name}") or ""
    ).split()
    return found[0] if len(found) == 1 else ""


def _run_git(*arguments: str) -> str | None:
    """What git says; None where it ends with an error."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _run(command: list[str], said: str, what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MaskmillError(f"{what}: `{said}` ended with {done.returncode}: {done.stderr.strip()}")
