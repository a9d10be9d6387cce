"""python -m pipelines.local: check, `dvc repro`, and one closing summary, as `make pipeline` runs.

Ended or killed at any moment it can simply be started again: children end with it, a training with
a checkpoint, one run at a time works in a repository, and what DVC leaves half-written when it is
killed is mended first.
"""

import sys
from pathlib import Path

from maskmill.protection.outs import check_outs
from maskmill.settings import config
from maskmill.system import quick
from maskmill.system.errors import MaskmillError
from maskmill.system.files import full_disk_in_words
from maskmill.system.processes import die_with_parent, exit_on_sigterm, report_interrupt
from maskmill.system.repository import check_git
from pipelines import registry, workspace
from pipelines.frozen_splits import freeze_after_experiment


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
        return report_interrupt()


def _run() -> int:
    check_git()
    params = config.load()
    asked = workspace.registry_question("pipelines.registry")
    with workspace.Dvc() as dvc:  # both import beside the check
        with quick.imports_without_gc():
            from maskmill.checks.params import check
        check(params)
        with workspace.exclusive_lock(Path(params.paths.state), _say):
            workspace.mend_after_kill(_say)
            check_outs(params)  # again: it may have waited for another run
            freeze_after_experiment(params, _say)
            before = workspace.read_lock_file()
            code = dvc.run("repro") or _register_again(
                asked, restored=workspace.read_lock_file() != before
            )
            if code:
                print(f"error: {workspace.put_back(before)}", file=sys.stderr)
                return code
    with quick.imports_without_gc():
        from pipelines import summary
    print(summary.summary_text(params))
    return 0


def _register_again(asked: workspace.Question, *, restored: bool) -> int:
    """Run `register` where the registry is behind what registration.json says.

    The registry was `asked` before the run.
    """
    if not registry.must_register_again(asked, restored=restored):
        return 0
    _say("register: the registry does not hold what registration.json says; registering again")
    return workspace.run_dvc("repro", "--single-item", "--force", "register") or workspace.run_dvc(
        "repro", "report"
    )


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    quick.exit_at_once(main())
