"""Where a result comes from: the commit of the code and DVC's hash of the data."""

import subprocess
from pathlib import Path

from maskmill.settings import config

FLOW_VARIABLE = "MASKMILL_FLOW_RUN"  # in the environment of a flow's stages: the id of its run


def git_commit(root: Path) -> str:
    """The commit of the working tree, with `-dirty` after it where tracked files differ.

    "" outside a repository. dvc.lock does not count: the stages before this one have just written
    it.
    """
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":!dvc.lock")
    return f"{commit}-dirty" if commit and changed else commit


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # a machine without git
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def data_hash(root: Path, paths: config.Paths) -> str:
    """DVC's hash of the manifest in dvc.lock, which covers all pixels, masks and splits.

    "" where DVC did not make it.
    """
    lock, manifest = root / "dvc.lock", f"{paths.prepared}/manifest.parquet"
    stages = config.read_yaml(lock).get("stages", {}) if lock.exists() else {}
    for out in (out for stage in stages.values() for out in stage.get("outs", [])):
        if out["path"] == manifest:
            return str(out.get("md5", ""))
    return ""
