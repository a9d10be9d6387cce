"""python -m maskmill.stages NAME [VARIANT] [FOLD] [FOLDS]: run one stage in dvc.yaml's folder."""

import contextlib
import inspect
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from maskmill import stages
from maskmill.protection.outs import check_outs, run_of
from maskmill.settings import config
from maskmill.stages.settings import check_code_unchanged, check_settings_unchanged
from maskmill.system import components, quick
from maskmill.system.errors import MaskmillError
from maskmill.system.events import record_event
from maskmill.system.files import full_disk_in_words
from maskmill.system.logs import log_to_stdout
from maskmill.system.processes import die_with_parent, is_first_of_training, report_interrupt
from maskmill.system.repository import check_inside


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 when the stage's outs are written, 2 when the user has something to mend."""
    die_with_parent()
    log_to_stdout()
    if not arguments:
        print(f"error: {__doc__}", file=sys.stderr)
        return 2
    try:
        with full_disk_in_words():
            _run(*arguments)
    except MaskmillError as error:
        record_event("error", text=str(error))
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return report_interrupt()
    return 0


def _run(name: str, *arguments: str) -> None:
    with quick.imports_without_gc():
        stage = components.factory(stages.__name__, name, "stage")
    params = config.load()
    check_inside(params.paths.versioned)
    parameters = inspect.signature(stage).parameters
    named = [parameter for parameter in parameters if parameter not in config.Params.model_fields]
    if not named and arguments:
        raise MaskmillError(f"stage {name} runs once, without a variant; got {arguments[0]!r}")
    if len(arguments) > len(named):
        raise MaskmillError(
            f"stage {name} takes {', '.join(named)}; got {' '.join(arguments)}: {__doc__}"
        )
    given: dict[str, Any] = dict(itertools.zip_longest(named, arguments))
    if "variant" in given and given["variant"] not in params.variants:
        raise MaskmillError(
            f"stage {name}: got variant {given['variant']!r}; allowed are"
            f" {', '.join(params.variants)} (variants in params.yaml)"
        )
    for number in ("fold", "folds"):
        if number in given:
            given[number] = _number(name, number, given[number])
    variant = given.get("variant") or ""
    # by hand, both may be newer than what was noted
    checked = "DVC_STAGE" in os.environ and is_first_of_training()
    with _recorded_run(" ".join([name, *arguments]), params):
        if checked:
            check_settings_unchanged(name, variant, params)
        stage(
            **{part: given[part] if part in given else getattr(params, part) for part in parameters}
        )
        if checked:
            check_code_unchanged(name, variant, params)


@contextlib.contextmanager
def _recorded_run(stage: str, params: config.Params) -> Iterator[None]:
    """While this is entered, what the stage writes is recorded as its own.

    Before that, nothing of the user's may lie where stages write.
    """
    run = run_of(stage, params) if is_first_of_training() else None
    if run is None:
        yield
        return
    check_outs(params)
    with run.recorded():
        yield


def _number(stage: str, name: str, given: str | None) -> int:
    if given is None or not given.isdecimal():
        raise MaskmillError(f"stage {stage}: got {name} {given!r}; needed is a number: {__doc__}")
    return int(given)


if __name__ == "__main__":
    quick.exit_at_once(main(sys.argv[1:]))
