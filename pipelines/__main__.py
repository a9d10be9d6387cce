"""python -m pipelines: run the flow `training` now, in this process; what `make flow` runs."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from maskmill.services.environment import prefect_environment
from maskmill.services.up import ensure_services
from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.system.files import check_room, full_disk_in_words
from maskmill.system.processes import report_interrupt
from maskmill.system.repository import check_git
from pipelines import workspace

_FAILED = 1


def main(
    parallel: Annotated[
        int, typer.Option(min=1, max=64, help="Stages that may run at the same time.")
    ] = 1,
    update_data: Annotated[bool, typer.Option(help="First bring the data up to date.")] = True,
) -> None:
    """Bring every stage of dvc.yaml up to date through Prefect, and start servers that are down."""
    check_git()
    params, root = config.load(), Path.cwd()
    # both are asked while Prefect is imported
    for command in (("pipelines.registry",), ("maskmill", "check")):
        workspace.registry_question(*command)
    check_room(root / params.paths.state)
    ensure_services(params, root)
    os.environ.update(prefect_environment(params, root))  # Prefect reads it when it is imported
    from pipelines import summary
    from pipelines.training import training

    try:
        state = training(update_data=update_data, parallel=parallel, return_state=True)
    except KeyboardInterrupt:
        raise typer.Exit(report_interrupt()) from None
    if not state.is_completed():
        print(f"error: {state.message}", file=sys.stderr)
        raise typer.Exit(_FAILED)
    print(summary.summary_text(config.load()))


if __name__ == "__main__":
    try:
        with full_disk_in_words():
            typer.run(main)
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
