"""The results of a run at a revision of git and DVC.

They are settings, scores, statistics and test images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from maskmill.curation import manifest
from maskmill.evaluation import cost
from maskmill.evaluation.cost import Cost
from maskmill.evaluation.evaluate import read_statistics
from maskmill.settings import config
from maskmill.statistics import scores
from maskmill.statistics.scores import Score
from maskmill.system import files, repository
from maskmill.system.errors import MaskmillError

WHAT = "report --compare"
WORKSPACE = "workspace"  # the name of what is on the disk now, as in `dvc exp show`
_SPLITS = ("val", "test")
_SEED = "train.seed"


@dataclass(frozen=True)
class Outcome:
    """One variant of a run."""

    scores: Mapping[str, Mapping[str, Score]]  # split -> score by name
    statistics: Mapping[str, pd.DataFrame]  # split -> statistic of each image
    cost: Cost


@dataclass(frozen=True)
class ReportedRun:
    """What a revision holds."""

    name: str  # as it was asked for
    commit: str
    code: str  # git's digest of the code
    params: Mapping[str, Any]  # params.yaml, `section.key` -> value
    data_hash: str  # DVC's, of the manifest
    table: pd.DataFrame  # the manifest
    variants: Mapping[str, Outcome]

    @property
    def primary(self) -> str:
        """The headline."""
        return str(self.params["evaluation.primary"])

    @property
    def seed(self) -> Any:
        """Of the training."""
        return self.params.get(_SEED)

    @property
    def recipe(self) -> tuple[Any, ...]:
        """All that the results follow from, but the seed of the training."""
        return (
            self.code,
            self.data_hash,
            sorted((k, str(v)) for k, v in self.params.items() if k != _SEED),
        )

    def digest(self, split: str) -> str:
        """Digest of a split's pixels and their meaning; scores compare only where it is equal."""
        meaning = [
            str(self.params.get(f"data.{key}")) for key in ("classes", "background", "ignore_index")
        ]
        return "\n".join([manifest.split_digest(self.table, split), *meaning])


def load(revision: str, folder: Path) -> ReportedRun:
    """The run of a git revision, a DVC experiment, or `workspace`.

    Its files are brought to `folder`.

    Raises: MaskmillError for an unknown revision, one without results, or results that no cache
        holds.
    """
    here = revision == WORKSPACE
    commit = "" if here else repository.commit_of(revision, WHAT)
    named = revision if here else f"{revision} ({commit[:10]})"
    root = Path.cwd() if here else folder
    values, lock = (_yaml(root, commit, name) for name in ("params.yaml", "dvc.lock"))
    outs = {
        out["path"]: out
        for stage in lock.get("stages", {}).values()
        for out in stage.get("outs", ())
    }
    paths = values.get("paths", {})
    metrics, table = paths.get("metrics", "metrics"), f"{paths.get('prepared')}/manifest.parquet"
    done = [
        v
        for v in values.get("variants", ())
        if all(f"{metrics}/{s}/{v}.parquet" in outs for s in _SPLITS)
    ]
    if not done or table not in outs:
        raise MaskmillError(
            f"{WHAT}: {named} has no results: its dvc.lock names none of {metrics}/test/*.parquet; "
            "run `make pipeline` there and commit dvc.lock, or name an experiment (`dvc exp list`)"
        )
    for path in () if here else (metrics, table):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        out = ("--rev", commit, "--out", str(root / path), "--quiet")
        repository.run_dvc("get", ".", path, *out, what=f"{WHAT}: {named}")
    return ReportedRun(
        revision, commit, repository.folder_digest(commit, "src"), _in_effect(values),
        str(outs[table].get("md5", "")), manifest.read(root / table),
        {variant: _outcome(root / metrics, variant) for variant in done},
    )  # fmt: skip


def _outcome(metrics: Path, variant: str) -> Outcome:
    return Outcome(
        {split: scores.read_scores(metrics / split / f"{variant}.json") for split in _SPLITS},
        {split: read_statistics(metrics / split / f"{variant}.parquet") for split in _SPLITS},
        cost.read_cost(metrics / "cost" / f"{variant}.json"),
    )


def _yaml(root: Path, commit: str, name: str) -> dict[str, Any]:
    """A YAML file at a commit, or on the disk; empty where there is none."""
    text = repository.file_in_commit(commit, name) if commit else None
    if text is not None:
        files.write_text(root / name, text)
    return dict(config.read_yaml(root / name)) if (root / name).exists() else {}


def _in_effect(values: Mapping[str, Any]) -> dict[str, Any]:
    """`section.key` -> value, with the defaults of what the file leaves out."""
    left_out = TypeAdapter(dict[str, Any]).dump_python(config.left_out(values), mode="json")
    return _flat(left_out) | _flat(values)


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`section.key` -> value; lists stay whole."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        inner = (
            _flat(value, f"{before}{key}.")
            if isinstance(value, Mapping) and value
            else {f"{before}{key}": value}
        )
        made |= inner
    return made
