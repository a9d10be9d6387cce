"""A state folder beside the repository's own.

With it many trainings do not push out each other's checkpoints.
"""

from collections.abc import Iterable
from pathlib import Path

VERIFIED, WEIGHTS, SPOOL = "verified", "weights", "spool"  # folders below paths.state


def state_folder_beside(folder: Path, main: Path, shared: Iterable[str]) -> Path:
    """Make `folder` a state folder in which `shared` are those of `main`; gives it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in shared:
        (main / name).mkdir(parents=True, exist_ok=True)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to((main / name).absolute())
    return folder
