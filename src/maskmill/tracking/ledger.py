"""The ledger: which version was made champion, when, by whom and why; in MLflow, it only grows.

Each entry is a parameter of one run, named `0001`, `0002`, ... MLflow writes a parameter once and
refuses another value for it, on sqlite as on a shared server: of two workspaces that write entry
17 at once one succeeds, and the other has to look again at what holds. So the ledger is where a
promotion is decided; the alias `champion`, which MLflow overwrites without a question, follows it.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from maskmill.system.errors import MaskmillError
from maskmill.tracking import owners
from maskmill.tracking.owners import Owner
from maskmill.tracking.stores import Store

PROMOTED, REFUSED, WAITING = "promoted", "refused", "waiting"  # what the gate said
CHOSEN, APPROVED, ROLLED_BACK, CHALLENGED = "chosen", "approved", "rolled back", "challenged"
FOUND = "found"  # the alias was elsewhere: moved, or taken off, by other means than maskmill
_MOST_CHARACTERS = 6000  # that MLflow keeps of a parameter
_MOST_WHY = 1000
_TAG = "maskmill.ledger"  # of the run that holds it: the model's name
_SETTLED = "settled"  # NUMBER/settled: the alias is where the entry says
_TAKEN = "INVALID_PARAMETER_VALUE"  # MLflow's answer where a parameter has another value


class TakenError(MaskmillError):
    """Another process wrote the entry of this number; what was decided may not hold any more."""


@dataclass(frozen=True)
class Draft:
    """What an entry is to say; `after` is the champion from then on, None for none."""

    action: str
    version: int
    after: int | None
    why: str
    who: str
    weights_sha256: str = ""
    test_digest: str = ""
    verdict: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: what happened to `version`, and the champion before and after it."""

    number: int
    action: str
    version: int
    before: int | None
    after: int | None
    who: str
    why: str
    time_ms: int  # Unix time, by the clock of who wrote it
    weights_sha256: str
    test_digest: str
    verdict: Mapping[str, Any] | None
    owner: Owner  # the process that moves the alias
    key: str  # no two entries are equal, so that each is written by one process
    previous: str  # digest of the entry before

    @property
    def moves(self) -> bool:
        """Whether the alias has to follow it."""
        return self.before != self.after and self.action != FOUND


@dataclass(frozen=True)
class Record:
    """The ledger as it was read."""

    entries: tuple[Entry, ...]
    settled: bool  # whether the alias was moved to where the last entry says
    digest: str  # of the last entry
    broken: tuple[int, ...] = ()  # entries that do not follow from the one before

    @property
    def champion(self) -> int | None:
        """The version that is to be champion."""
        return self.entries[-1].after if self.entries else None


class Ledger:
    """The ledger of the store's model; it is made with its first entry."""

    def __init__(self, store: Store) -> None:
        self._client, self._model, self._artifacts = store.client, store.model, store.artifacts
        self._run_id: str | None = None

    @property
    def name(self) -> str:
        """Of its experiment in MLflow."""
        return f"{self._model} ledger"

    def read(self) -> Record:
        """All entries."""
        self._run_id = self._run_id or self._find()
        if self._run_id is None:
            return Record((), True, "")
        written = self._client.get_run(self._run_id).data.params
        entries, broken, digest = [], [], ""
        for name in sorted(name for name in written if name.isdecimal()):
            facts = json.loads(written[name])
            entries.append(Entry(int(name), **facts | {"owner": Owner(**facts["owner"])}))
            if facts["previous"] != digest or int(name) != len(entries):
                broken.append(int(name))
            digest = hashlib.sha256(written[name].encode()).hexdigest()
        last = entries[-1] if entries else None
        settled = not last or not last.moves or _settled(last.number) in written
        return Record(tuple(entries), settled, digest, tuple(broken))

    def append(self, record: Record, draft: Draft) -> Entry:
        """Write the entry after the last one of `record`.

        Raises: TakenError where another process wrote one since; MaskmillError for a reason that is
        too long.
        """
        number = record.entries[-1].number + 1 if record.entries else 1
        facts = asdict(draft) | {
            "before": record.champion,
            "time_ms": int(1000 * time.time()),
            "owner": asdict(owners.this_process()),
            "key": uuid.uuid4().hex,
            "previous": record.digest,
        }
        text = _fitting(facts)
        self._run_id = self._run_id or self._find() or self._create()
        self._write(f"{number:04d}", text)
        facts = json.loads(text)
        return Entry(number, **facts | {"owner": Owner(**facts["owner"])})

    def settle(self, number: int) -> None:
        """Note that the alias is where the entry says."""
        self._write(_settled(number), _SETTLED)

    def _write(self, name: str, value: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_param(self._run_id, name, value)
        except MlflowException as error:
            if error.error_code != _TAKEN:
                raise
            raise TakenError(f"the ledger of {self._model} was written meanwhile") from error

    def _find(self) -> str | None:
        """The run that holds it; one that somebody deleted on MLflow's page comes back."""
        from mlflow.entities import ViewType

        experiment = self._client.get_experiment_by_name(self.name)
        if experiment is None:
            return None
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        kept = f"tags.`{_TAG}` = '{self._model}'"
        runs = self._client.search_runs([experiment.experiment_id], kept, ViewType.ALL)
        if not runs:
            raise MaskmillError(
                f"the experiment {self.name!r} in MLflow has no ledger; give it another name on "
                "MLflow's page, or bring the ledger back: `maskmill registry restore`"
            )
        if runs[0].info.lifecycle_stage == "deleted":
            self._client.restore_run(runs[0].info.run_id)
        return str(runs[0].info.run_id)

    def _create(self) -> str:
        """An experiment takes the ledger's name once its run is there; of several, one gets it."""
        from mlflow.exceptions import MlflowException

        draft = self._client.create_experiment(
            f"{self.name} {uuid.uuid4().hex[:8]}", self._artifacts
        )
        run = self._client.create_run(draft, tags={_TAG: self._model}, run_name="ledger")
        self._client.set_terminated(run.info.run_id)
        try:
            self._client.rename_experiment(draft, self.name)
        except MlflowException:
            self._client.delete_experiment(draft)
            found = self._find()
            if found is None:
                raise
            return found
        return str(run.info.run_id)


def one_line(why: str) -> str:
    """A reason that a person gave, without line breaks and control characters.

    Raises: MaskmillError for none, or one that is too long.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in why).split())
    if not line or len(line) > _MOST_WHY:
        raise MaskmillError(
            f"--why: got {len(line)} characters; say in a few words why, 1 to {_MOST_WHY:,}: the "
            "ledger keeps it for those who look at `maskmill history`"
        )
    return line


def _settled(number: int) -> str:
    return f"{number:04d}/{_SETTLED}"


def _fitting(facts: Mapping[str, Any]) -> str:
    """The entry as JSON, in what MLflow keeps of a parameter: checks that passed give way first."""
    verdict = facts["verdict"]
    cuts = [verdict]
    if verdict:
        failed = [check for check in verdict.get("checks", ()) if not check.get("passed")]
        shorter = {"outcome": verdict["outcome"], "reason": str(verdict["reason"])[:_MOST_WHY]}
        cuts += [{**verdict, "checks": failed, "cut": True}, {**shorter, "cut": True}]
    for cut in cuts:
        text = json.dumps({**facts, "verdict": cut}, allow_nan=False)
        if len(text) <= _MOST_CHARACTERS:
            return text
    why = str(facts["why"])[: _MOST_WHY // 2]
    return json.dumps({**facts, "why": why, "verdict": cuts[-1]}, allow_nan=False)


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry for other programs, with its time in words of ISO 8601 (UTC)."""
    return {"time": _when(entry).isoformat()} | asdict(entry)


def in_words(entry: Entry) -> str:
    """An entry as a line: number, time of day here, what happened, who did it and why."""
    before, after = (number or "none" for number in (entry.before, entry.after))
    champion = f"champion {before} -> {after}" if before != after else f"champion stays {after}"
    when = _when(entry).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    what = f"version {entry.version} {entry.action}"
    return f"{entry.number:>4}  {when}  {what}, {champion}; {entry.who}: {entry.why}"


def _when(entry: Entry) -> datetime:
    return datetime.fromtimestamp(entry.time_ms / 1000, UTC)
