"""The outs of the stages in dvc.yaml, and a check that a run deletes no file of the user's.

DVC removes an out before its stage runs, without looking into it. So whatever runs the line looks
first.
"""

import contextlib
import hashlib
import itertools
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskmill.protection.unsaved import Disk
from maskmill.settings import config
from maskmill.settings.config import PARAMS, Params
from maskmill.system import files
from maskmill.system.errors import MaskmillError, few_of

_COMMAND = re.compile(r"maskmill\.stages (.+)")
_VALUE = re.compile(r"\$\{([\w.]+)\}")
_RUNS = "runs"  # below paths.state
_SHOWN = 5
_TITLE, _HEAD_BYTES = " – maskmill ".encode(), 4096  # stands in the title of each page
_BEAT_S = 1.0  # a stage shows that it lives so often ..
_LATE_S = 5.0  # .. or that much later, where its work leaves no turn to the thread that shows it


@dataclass(frozen=True)
class StageRun:
    """What a stage has left of its last run: when it began and when it ended.

    The times are by the clock of the file system.
    """

    stage: str  # as its command names it: train unet
    paths: tuple[str, ...]  # of its outs: with others it is another run
    folder: Path

    @property
    def began(self) -> Path:
        return self.folder / f"{self._name}.began"

    @property
    def ended(self) -> Path:
        return self.folder / f"{self._name}.ended"

    @property
    def alive(self) -> Path:
        """When the run was last seen to live; one that was killed has no end."""
        return self.folder / f"{self._name}.alive"

    @property
    def _name(self) -> str:
        digest = hashlib.sha256("\n".join(self.paths).encode()).hexdigest()[:8]
        return f"{self.stage.replace(' ', '-')}-{digest}"

    def covers(self, changed_ns: int) -> bool:
        """Whether a file that was last changed then (ns) is the stage's own."""
        if not self.began.exists() or changed_ns < self.began.stat().st_mtime_ns:
            return False
        if self.ended.exists():
            return changed_ns <= self.ended.stat().st_mtime_ns
        return (
            changed_ns <= self.alive.stat().st_mtime_ns + _LATE_S * 1e9
            if self.alive.exists()
            else True
        )

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Note the times of a run; one after a run that was killed has begun with that one.

        What lay in the outs between the two has been checked when this is entered.
        """
        cut_off = self.began.exists() and not self.ended.exists()
        since, token = (
            (self.began.stat().st_mtime_ns if cut_off else None),
            f"{os.getpid()} {time.time_ns()}",
        )
        files.write_text(self.began, token)
        if since is not None:
            os.utime(self.began, ns=(since, since))
        self.alive.touch()
        self.ended.unlink(missing_ok=True)
        over = threading.Event()
        threading.Thread(target=self._show_life, args=(over,), daemon=True).start()
        try:
            yield
        finally:
            over.set()
            # else the next one has begun, and waits
            if self.began.exists() and self.began.read_text() == token:
                self.ended.touch()

    def _show_life(self, over: threading.Event) -> None:
        while not over.wait(_BEAT_S):
            # a full disk: the file is there already, and what counts is its time
            with contextlib.suppress(OSError):
                self.alive.touch()


@dataclass(frozen=True)
class Out:
    """A file or folder that a stage writes."""

    path: Path
    name: str  # of the stage, as DVC has it: train@unet
    setting: str  # that the path begins with: paths.models
    run: StageRun


def run_of(stage: str, params: Params) -> StageRun | None:
    """The last run of a stage, by the words of its command; None if dvc.yaml has no such stage."""
    return next((out.run for out in outs_of_stages(params) if out.run.stage == stage), None)


def outs_of_stages(params: Params) -> list[Out]:
    """The outs of all stages of this package, with the paths of params.yaml in them."""
    found: list[Out] = []
    for definition in (Path("dvc.yaml"), Path(params.paths.folds) / "dvc.yaml"):
        content = config.read_yaml(definition) if definition.exists() else {}
        stages = content.get("stages") if isinstance(content, Mapping) else None
        for name, stage in (stages or {}).items():
            # a stage of the user's own writes what he has it write
            if _COMMAND.search(str(stage.get("cmd", ""))):
                found += _outs_of(name, stage, params)
    return found


def _outs_of(name: str, stage: Mapping[str, Any], params: Params) -> Iterator[Out]:
    """Those of one entry of dvc.yaml, for each cell of its matrix."""
    values = params.model_dump(mode="json")
    templates = [
        *itertools.chain.from_iterable(stage.get(kind, ()) for kind in ("outs", "metrics", "plots"))
    ]
    paths = [next(iter(each)) if isinstance(each, Mapping) else each for each in templates]
    matrix = {key: _filled(cells, values) if isinstance(cells, str) else cells
              for key, cells in stage.get("matrix", {}).items()}  # fmt: skip
    for cells in itertools.product(*matrix.values()):
        known = {**values, "item": dict(zip(matrix, cells, strict=True))}
        command = _COMMAND.search(_filled(str(stage["cmd"]), known))
        assert command
        filled = tuple(str(_filled(path, known)) for path in paths)
        run = StageRun(command[1], filled, Path(params.paths.state) / _RUNS)
        suffix = f"@{'-'.join(map(str, cells))}" if cells else ""
        for template, path in zip(paths, filled, strict=True):
            yield Out(Path(path), f"{name}{suffix}", next(iter(_VALUE.findall(template)), ""), run)


def _filled(template: str, values: Mapping[str, Any]) -> Any:
    """The text with values in place of `${section.key}`.

    A text that is nothing but one such key becomes the value itself, of its own kind.
    """
    if whole := _VALUE.fullmatch(template):
        return _value(whole[1], values)
    return _VALUE.sub(lambda match: str(_value(match[1], values)), template)


def _value(key: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise MaskmillError(
                f"dvc.yaml: ${{{key}}} stands in a stage of maskmill, and {PARAMS} has no {key}"
            )
        found = found[part]
    return found


def check_outs(params: Params) -> None:
    """Check that a run would empty no place that holds files of the user's.

    Raises: MaskmillError with the names of such files.
    """
    check_page(Path(params.paths.reports) / "problems.html")
    disk = Disk(Path("dvc.lock"), Path(params.paths.folds) / "dvc.lock")
    for out in outs_of_stages(params):
        tracked = out.path.with_name(f"{out.path.name}.dvc")
        if tracked.exists():
            raise MaskmillError(
                f"{_out_path(out)}: {out.path} is data of your own, versioned by {tracked}, and "
                f"the stage {out.name} would write there; name another folder{_files_under(out)}"
            )
        known = disk.is_locked(out.path) or out.run.began.exists()
        if lost := disk.unsaved(out.path, out.run.covers, known=known):
            raise MaskmillError(_refusal(out, lost, known))


def check_page(path: Path) -> None:
    """Check that no foreign page lies in the place of a page of maskmill's that is no out.

    Raises: MaskmillError where one does.
    """
    if path.exists() and _TITLE not in path.read_bytes()[:_HEAD_BYTES]:
        raise MaskmillError(
            f"{PARAMS}: paths.reports: {path} was not written by maskmill, which writes a page of "
            "that name; move it elsewhere, or name another folder under paths.reports"
        )


def _refusal(out: Out, lost: Sequence[Path], known: bool) -> str:
    named = few_of([str(path) for path in lost], _SHOWN)
    if known:
        place = "it" if list(lost) == [out.path] else str(out.path)
        return (
            f"{named}: not as the stage {out.name} wrote {place}, and a run would delete it; "
            f"move what is yours elsewhere, or have DVC keep it: dvc commit --force {out.name}"
        )
    if list(lost) == [out.path]:
        return (
            f"{_out_path(out)}: {out.path} was written by no stage, and a run would delete it; "
            f"name another place{_files_under(out)}, or move it elsewhere"
        )
    return (
        f"{_out_path(out)}: {out.path} holds files that no stage has written ({named}), and a run "
        f"would delete them; name a folder that is empty or not there{_files_under(out)}, or move "
        "them elsewhere"
    )


def _out_path(out: Out) -> str:
    return f"{PARAMS}: {out.setting}" if out.setting else f"dvc.yaml: stage {out.name}"


def _files_under(out: Out) -> str:
    return f" under {out.setting}" if out.setting else ""
