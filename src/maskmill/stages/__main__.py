"""python -m maskmill.stages NAME [VARIANT]: run one stage of dvc.yaml in the repository's top folder."""

import inspect
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from maskmill import components, config, stages
from maskmill.errors import MaskmillError
from maskmill.files import NO_SPACE
from maskmill.processes import die_with_parent
from maskmill.repository import check_inside


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 when the stage's outs are written, 2 when the user has something to mend."""
    die_with_parent()
    if len(arguments) not in (1, 2):
        print(f"error: {__doc__}", file=sys.stderr)
        return 2
    try:
        _run(*arguments)
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        free_mb = shutil.disk_usage(".").free / 1e6
        print(f"error: no space left on the disk ({free_mb:.0f} MB free): {error}", file=sys.stderr)
        return 2
    return 0


def _run(name: str, variant: str | None = None) -> None:
    stage = components.factory(stages.__name__, name, "stage")
    params = config.load()
    check_inside(params.paths.versioned)
    if "variant" not in inspect.signature(stage).parameters:
        if variant is not None:
            raise MaskmillError(f"stage {name} runs once, without a variant; got {variant!r}")
    elif variant not in params.variants:
        raise MaskmillError(
            f"stage {name}: got variant {variant!r}; allowed are {', '.join(params.variants)} (variants in params.yaml)"
        )
    given: dict[str, Any] = {
        section: variant if section == "variant" else getattr(params, section)
        for section in inspect.signature(stage).parameters
    }
    stage(**given)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
