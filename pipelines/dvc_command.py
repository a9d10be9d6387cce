"""DVC's command with a record of what became of each stage, taken from DVC's own objects."""

import logging
from pathlib import Path
from typing import Any

from dvc.cli import main
from dvc.commands import repro, update
from dvc.repo import Repo
from dvc.stage import Stage
from dvc.stage import run as stage_run
from dvc.stage.cache import StageCache
from dvc.stage.exceptions import StageCmdFailedError

from maskmill.system import exits
from maskmill.system.events import record_event
from maskmill.system.files import disk_full


def run_command(arguments: list[str]) -> int:
    """Run `dvc ARGUMENTS`; DVC's exit status."""
    repro.CmdRepro = _RecordedRepro  # what the parser takes for `repro`
    update.CmdUpdate = _RecordedUpdate
    stage_run.StageCmdFailedError = _CommandFailedError
    logging.getLogger("dvc.cli").addFilter(PlainErrors())  # it counts from now on
    return int(main(arguments))


class _CommandFailedError(StageCmdFailedError):  # type: ignore[misc]
    """DVC's error for a stage whose command failed, with its exit status as a number."""

    def __init__(self, cmd: str, status: int | None = None) -> None:
        super().__init__(cmd, status)
        self.status = status or 0
        self.stage = ""


class _RecordedCache(StageCache):  # type: ignore[misc]
    """DVC's cache of runs, which knows the stages that it has restored."""

    def __init__(self, repo: Repo) -> None:
        super().__init__(repo)
        self.restored: set[str] = set()

    def restore(self, stage: Stage, *arguments: Any, **options: Any) -> None:
        """Bring back the outs of a run. Raises: DVC's RunCacheNotFoundError where none is known."""
        super().restore(stage, *arguments, **options)
        self.restored.add(stage.addressing)


class _RecordedRepro(repro.CmdRepro):  # type: ignore[misc]
    """`dvc repro` that records each stage that it has looked at."""

    def run(self) -> int:
        """DVC's exit status."""
        self.repo.stage_cache = _RecordedCache(self.repo)
        return int(super().run())

    @property
    def _repro_kwargs(self) -> dict[str, Any]:
        return {**super()._repro_kwargs, "repro_fn": _reproduce}


class _RecordedUpdate(update.CmdUpdate):  # type: ignore[misc]
    """`dvc update` that records whether it has brought anything."""

    def run(self) -> int:
        """DVC's exit status."""
        targets = [Path(target) for target in self.args.targets]
        before = [path.read_bytes() for path in targets if path.is_file()]
        status = int(super().run())
        after = [path.read_bytes() for path in targets if path.is_file()]
        outcome = "Completed" if status or before != after else "Cached"
        record_event("stage", name=" ".join(map(str, targets)), outcome=outcome)
        return status


def _reproduce(stage: Stage, **options: Any) -> Stage | None:
    """Bring a stage up to date, as DVC does, and record what that took."""
    outcome = "Failed"
    try:
        done = stage.reproduce(**options)
        if done and not options.get("dry"):
            stage.dump(update_pipeline=False)
        restored = stage.addressing in stage.repo.stage_cache.restored
        outcome = "Cached" if not done else "Restored" if restored else "Completed"
    except _CommandFailedError as error:
        error.stage = stage.addressing
        raise
    finally:
        record_event("stage", name=stage.addressing, outcome=outcome)
    return done


class PlainErrors(logging.Filter):
    """Puts DVC's error into a user's words, for a killed stage or a full disk, and records it."""

    def __init__(self) -> None:
        super().__init__()
        self._kills = exits.memory_kills()

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error and (words := self._killed(error.__cause__) or disk_full(error)):
            record.msg, record.args, record.exc_info = str(words), (), None
        if record.levelno >= logging.ERROR:
            causes = _causes(record.exc_info[1] if record.exc_info else None)
            text = " - ".join(filter(None, (record.getMessage(), ": ".join(causes))))
            record_event("dvc_error", text=text)
        return True

    def _killed(self, error: BaseException | None) -> str:
        """Which stage was killed, by what, and how to go on; "" where none was."""
        if not isinstance(error, _CommandFailedError) or error.status >= 0:
            return ""
        how = exits.describe_exit(error.status, self._kills)
        return f"{error.stage} {how}. {exits.GO_ON}"


def _causes(error: BaseException | None) -> list[str]:
    """What an error says, and those that it came from."""
    said = []
    while error:
        said.append(str(error))
        error = error.__cause__
    return said
