"""python -m pipelines.local: check, `dvc repro`, and one closing summary; what `make pipeline` runs.

Killed at any moment it can simply be started again: children die with it, one run at a time works in a repository, and
what DVC leaves half-written when it is killed is mended first.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from maskmill import config
from maskmill.check import check
from maskmill.errors import MaskmillError
from maskmill.evaluation import baselines
from maskmill.evaluation.evaluate import read_metrics
from maskmill.files import read_json, write_bytes
from maskmill.processes import RUN, die_with_parent

_DVC = [sys.executable, "-m", "dvc"]
_LOCK = Path("dvc.lock")


def main() -> int:
    """Exit status: DVC's, or 2 when the user has something to mend before DVC can run."""
    die_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        params = config.load()
        check(params)
        with _alone(Path(params.paths.state)):
            _mend_dvc()
            before = _LOCK.read_bytes() if _LOCK.exists() else b""
            code = _repro(params, before)
            if code:
                _put_back(before)
                return code
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; start it again and it goes on from here", file=sys.stderr)
        return 128 + signal.SIGINT
    print(summary(params))
    return 0


def _repro(params: config.Params, before: bytes) -> int:
    """Run what has changed; `register` also where the registry is behind what registration.json says."""
    code = _dvc("repro")
    if code == 0 and _registry_is_behind(params, restored=_LOCK.read_bytes() != before):
        print("register: the registry does not hold what registration.json says; registering again", flush=True)
        code = _dvc("repro", "--single-item", "--force", "register") or _dvc("repro", "report")
    return code


def _registry_is_behind(params: config.Params, *, restored: bool) -> bool:
    """Whether a version or the champion is missing, or a verdict was restored or taken over from an experiment.

    A champion that somebody has set by hand is left alone: the file has not changed then.
    """
    from maskmill.tracking import registry
    from maskmill.tracking import store as stores

    said = read_json(Path(params.paths.metrics) / "registration.json")
    if said["outcome"] == "recorded":  # by an experiment, which never promotes; this is none
        return True
    store = stores.connect(params.tracking, params.paths)
    champion = registry.champion(store)
    expected = {row["weights_sha256"] for row in (said, said["champion"]) if row and row.get("weights_sha256")}
    missing = not expected <= registry.weights(store)
    moved = said["champion"] and (champion is None or champion.tags.get(registry.SHA256) not in expected)
    return bool(missing or (moved and (champion is None or restored)))


def _put_back(lock: bytes) -> None:
    """Bring back dvc.lock and the outs of all stages as they were; never the user's own data/source.

    What ran well before the failure is in DVC's cache of runs: the next run takes it from there.
    """
    if lock:
        write_bytes(_LOCK, lock)
    if _dvc("checkout", "--quiet", "--force", "dvc.yaml") == 0:
        outs = "what stood on disk before is back in place"
    else:
        outs = "`dvc checkout dvc.yaml` says which outs are missing"
    print(f"error: the pipeline stopped; {outs}", file=sys.stderr)


def _dvc(*arguments: str) -> int:
    """Run DVC in a process group of its own, which is killed whole when this process ends for any reason."""
    # stages are started as `python`: it must be the one that this runs in, also where no environment is activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    process = subprocess.Popen(
        [*_DVC, *arguments],
        env={**os.environ, "PATH": path, RUN: str(os.getpid())},
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Wait until no other run works in this repository."""
    state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state / "pipeline.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("another run works in this repository; waiting for it to end", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _mend_dvc() -> None:
    """Put aside what a killed DVC may leave half-written; its cache of runs restores what is lost thereby."""
    for path, readable in ((_LOCK, _is_lock), (Path(".dvc/tmp/rwlock"), _is_json)):
        if path.exists() and not readable(path):
            aside = path.with_name(f"{path.name}.broken")
            path.replace(aside)
            print(f"{path} was cut off by a kill; put aside as {aside}", flush=True)


def _is_lock(path: Path) -> bool:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe", pure=True).load(path))
    except (YAMLError, UnicodeDecodeError, Invalid):
        return False
    return True


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text()), dict)
    except ValueError:
        return False


def summary(params: config.Params) -> str:
    """A table of the variants, the best rule, the verdict, and where to look."""
    metrics, primary = Path(params.paths.metrics), params.evaluation.primary
    verdict = read_json(metrics / "registration.json")
    scores: list[float] = []
    rows = [("variant", f"{primary} val", "test", "parameters")]
    for variant in params.variants:
        val, test = (read_metrics(metrics / split / f"{variant}.json") for split in ("val", "test"))
        scores.append(test[primary])
        rows.append((variant, f"{val[primary]:.4f}", f"{test[primary]:.4f}", f"{int(test['parameters']):,}"))
    best = max(scores)
    rule, score = baselines.best(read_metrics(metrics / "baselines.json"))
    rows.append((f"(rule: {rule.replace('_', ' ')})", "", f"{score:.4f}", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    table = [f"  {row[0]:<{widths[0]}}" + "".join(f"  {row[i]:>{widths[i]}}" for i in (1, 2, 3)) for row in rows]
    champion = verdict["champion"]
    serving = f"champion: version {champion['version']} ({champion['variant']})" if champion else "no champion yet"
    version = f"{verdict['model']} version {verdict['version']}" if verdict["version"] else verdict["model"]
    weak = [] if best > score else ["warning: no variant is better than the best rule without a network"]
    then = "; then: make predict IMAGE=x.png" if champion else ""
    return "\n".join([
        "", *table, "", *weak, f"gate: {version} {verdict['outcome']}: {verdict['reason']}", serving,
        f"look at {Path(params.paths.reports) / 'index.html'}{then}",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
