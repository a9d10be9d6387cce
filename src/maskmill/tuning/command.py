"""The search from its first trial to the command that runs the whole line with what it found."""

import hashlib
import json
import shlex
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from maskmill.checks.params import check
from maskmill.curation import manifest
from maskmill.settings import config, space
from maskmill.settings.config import Params
from maskmill.settings.network_names import spelt_out
from maskmill.system import code_digest, files
from maskmill.system.errors import MaskmillError
from maskmill.tuning import record, search, trial
from maskmill.tuning.search import Attempt, Tried, TuningSearch

FOLDER = "tune"  # below paths.state
# sections; others change no score
_DECISIVE = ("data", "augmentation", "variants", "models", "train", "evaluation")
_FAILURES = 3  # one behind the other: then it is no accident
_FREE = ("trials",)  # of section tune: may be raised later


def run_search(params: Params) -> Tried:
    """Try until there are `tune.trials`, and return the best.

    Started again after a kill, or with more trials, it goes on.

    Raises: MaskmillError when settings are wrong, no trial was done, or another search runs in this
        repository.
    """
    check(params)
    prepared = Path(params.paths.prepared)
    if not (prepared / "augmentation.json").exists():
        raise MaskmillError(
            f"tune: {prepared}/augmentation.json is not there; make the data: `dvc repro augment`"
        )
    folder = Path(params.paths.state) / FOLDER / _search_name(params, prepared)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.parent / "lock", timeout=0):
            return _run(params, folder)
    except Timeout:
        raise MaskmillError(
            f"tune: another `maskmill tune` works in {folder.parent}; wait for it, or stop it"
        ) from None


def _run(params: Params, folder: Path) -> Tried:
    found = TuningSearch(folder, params.tune, space.search_axes(params), params.variants)
    book = record.Book(params, folder)
    print(
        f"tune: {search.count_endings(found.tried())}; {params.tune.trials} wanted; all in"
        f" {folder}",
        flush=True,
    )
    failed = 0
    while (attempt := found.next()) is not None:
        failed = (
            0 if _try(found, attempt, params, folder / f"trial-{attempt.number}") else failed + 1
        )
        if failed == _FAILURES:
            raise MaskmillError(
                f"tune: {failed} trials failed one behind the other; what each said stands above;"
                " mend it, or change tune.space in params.yaml, and start `maskmill tune` again:"
                " it goes on"
            )
        book.write(found.tried())
    book.write(found.tried(), last=True)
    best = search.best_trial(found.tried())
    assert best is not None  # the first trial is never cut short
    print(_summary(best, found.tried(), params))
    return best


def _try(found: TuningSearch, attempt: Attempt, params: Params, folder: Path) -> bool:
    """Run one trial; whether it was of use."""
    title = f"tune: trial {attempt.number}"
    print(f"{title}: {attempt.choice}", flush=True)
    if known := found.same(attempt.choice):
        attempt.end(search.DONE, known.score)
        print(f"{title}: as trial {known.number}, {known.score:.4f}", flush=True)
        return True
    try:
        own = trial.prepare_trial(folder, space.apply_choice(attempt.choice, params))
        score = trial.run_trial(folder, own.variants[0], own.evaluation.primary, attempt.report)
    except MaskmillError as error:
        attempt.end(search.FAILED)
        print(f"{title} failed: {error}", file=sys.stderr, flush=True)
        return False
    attempt.end(search.CUT_SHORT if score is None else search.DONE, score)
    said = search.CUT_SHORT if score is None else f"val {own.evaluation.primary} {score:.4f}"
    trial.tidy_trial(folder)
    print(f"{title}: {said}", flush=True)
    return True


def _search_name(params: Params, prepared: Path) -> str:
    """Of the search: other settings, data, space, code or given weights make another one."""
    table = manifest.read(prepared / "manifest.parquet")
    parts = [
        json.dumps(
            {name: params.model_dump(mode="json")[name] for name in _DECISIVE}, sort_keys=True
        ),
        params.tune.model_copy(update=dict.fromkeys(_FREE)).model_dump_json(warnings=False),
        manifest.split_digest(table, "train"), manifest.split_digest(table, "val"),
        *(_code_and_weights(params, name) for name in params.variants),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _code_and_weights(params: Params, name: str) -> str:
    """What the trials of a variant follow from beside settings and data.

    That is code, and a file of given weights.
    """
    variant = params.models[name]
    words = code_digest.strings_in(
        params.model_dump(mode="json", include={"data", "train", "evaluation", "tune"})
    )
    words |= {spelt_out(variant.network)[0], *code_digest.strings_in(variant.options)}
    given = Path(variant.weights or "").is_file() and files.sha256(Path(variant.weights or ""))
    return f"{name} {code_digest.digest(code_digest.TRAINING, words)} {given}"


def _summary(best: Tried, tried: list[Tried], params: Params) -> str:
    assert best.score is not None
    command = " ".join(
        f"-S {shlex.quote(part)}"
        for part in space.experiment_overrides(best.choice, config.read_yaml(config.PARAMS))
    )
    return (
        f"tune: best val {params.evaluation.primary} {best.score:.4f} in trial {best.number} of"
        f" {len(tried)} ({search.count_endings(tried)}): {best.choice}\nrun the whole line with it:"
        f" dvc exp run {command}"
    )
