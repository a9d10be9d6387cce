"""python -m pipelines.local: check, `dvc repro`, and one closing summary; what `make pipeline` runs.

Ended or killed at any moment it can simply be started again: children end with it, a training with a checkpoint, one
run at a time works in a repository, and what DVC leaves half-written when it is killed is mended first.
"""

import sys
from pathlib import Path

from maskmill import config
from maskmill.check import check
from maskmill.errors import MaskmillError
from maskmill.files import full_disk_in_words
from maskmill.outs import check_outs
from maskmill.processes import die_with_parent, exit_on_sigterm, stopped
from maskmill.repository import check_git
from pipelines import registry, summary, workspace


def main() -> int:
    """Exit status: DVC's, or 2 when the user has something to mend before DVC can run."""
    die_with_parent()
    exit_on_sigterm()
    try:
        with full_disk_in_words():
            return _run()
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return stopped()


def _run() -> int:
    check_git()
    params = config.load()
    check(params)
    with workspace.alone(Path(params.paths.state), _say):
        workspace.mend(_say)
        check_outs(params)  # again: it may have waited for another run
        before = workspace.snapshot()
        code = _repro(params, before)
        if code:
            print(f"error: {workspace.put_back(before)}", file=sys.stderr)
            return code
    print(summary.text(params))
    return 0


def _repro(params: config.Params, before: bytes) -> int:
    """Run what has changed; `register` also where the registry is behind what registration.json says."""
    code = workspace.dvc("repro")
    if code == 0 and registry.is_behind(registry.state(params), restored=workspace.snapshot() != before):
        _say("register: the registry does not hold what registration.json says; registering again")
        code = workspace.dvc("repro", "--single-item", "--force", "register") or workspace.dvc("repro", "report")
    return code


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
