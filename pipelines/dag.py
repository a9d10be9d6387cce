"""The DAG of dvc.yaml as DVC reads it, and what of it must run.

The working folder is the repository: DVC names stages relative to it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import networkx
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage, Stage

from maskmill.protection.unsaved import Disk

_LINE = "dvc.yaml"  # stages of other files, as of `make folds`, are not the line's


@dataclass(frozen=True)
class DagStep:
    """A stage: its name for `dvc repro`, the stages that it needs, its slot.

    The slot is what `meta` in dvc.yaml asks for.
    """

    name: str
    upstream: tuple[str, ...]
    changed: bool  # itself, or something upstream
    slot: str | None


@dataclass(frozen=True)
class DataFiles:
    """Where data comes from beside the stages.

    The .dvc files, which of them follow a source, and the default remote.
    """

    files: tuple[str, ...]
    imports: frozenset[str]
    # files of an import that are in no version and would go with its update
    edited: tuple[str, ...]
    remote: str | None


def dag_steps() -> tuple[DagStep, ...]:
    """All stages, each after those that it needs, and of equals in the order of dvc.yaml."""
    with Repo(_wait_for_lock=True) as repo, repo.lock:
        graph = repo.index.graph
        line = [
            stage
            for stage in graph
            if not isinstance(stage, PipelineStage) or stage.path_in_repo == _LINE
        ]
        graph = graph.subgraph(line)
        rank = {stage: i for i, stage in enumerate(line)}
        changed: set[str] = set()
        found = []
        for stage in networkx.lexicographical_topological_sort(
            graph.reverse(), key=rank.__getitem__
        ):
            upstream = tuple(sorted(_name(needed) for needed in graph.successors(stage)))
            if not changed.isdisjoint(upstream) or stage.changed():
                changed.add(_name(stage))
            slot = (stage.meta or {}).get("slot")
            found.append(DagStep(_name(stage), upstream, _name(stage) in changed, slot))
        return tuple(found)


def data_files() -> DataFiles:
    """The .dvc files of the repository, and its default remote."""
    with Repo() as repo:
        files = [stage for stage in repo.index.stages if not isinstance(stage, PipelineStage)]
        imports = [stage for stage in files if stage.is_import]
        edited = tuple(
            path for stage in imports for out in stage.outs for path in _edited(repo, out)
        )
        names = frozenset(map(_name, imports))
        return DataFiles(tuple(map(_name, files)), names, edited, repo.config["core"].get("remote"))


def _edited(repo: Repo, out: Output) -> list[str]:
    """Files that somebody has added to an out or changed in it, and DVC's cache does not hold."""
    if not out.exists or not out.changed_checksum():
        return []
    found = repo.data_status(targets=[out.fs_path], granular=True, untracked_files="no")[
        "uncommitted"
    ]
    files = [
        path
        for kind in ("added", "modified")
        for path in found.get(kind, ())
        if not path.endswith(os.sep)
    ]
    disk = Disk()
    return [path for path in files if not disk.is_cached(Path(path))]


def _name(stage: Stage) -> str:
    return str(stage.name if isinstance(stage, PipelineStage) else Path(stage.relpath).as_posix())
