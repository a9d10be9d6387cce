"""python -m pipelines.registry: one word for whether the registry holds metrics/registration.json.

The registry is no DVC dependency, so each run compares. In a process of its own, beside other work:
MLflow takes seconds to import.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

from maskmill.settings import config
from maskmill.system import quick
from maskmill.system.errors import MaskmillError
from maskmill.system.files import full_disk_in_words, read_json
from maskmill.system.processes import die_with_parent
from pipelines import workspace

RegistryState = Literal["holds", "moved", "behind"]


def registry_state(params: config.Params) -> RegistryState:
    """Compare the registry with what registration.json says.

    `behind`: a version or the champion is missing, or an experiment was taken over; `moved`:
    another version is champion.
    """
    path = said_in(params)
    if not path.exists():
        return "behind"
    said = read_json(path)
    if said["outcome"] == "recorded":  # by an experiment, which never promotes; this is none
        return "behind"
    with quick.imports_without_gc():
        from maskmill.tracking import registry, stores

    store = stores.connect_store(params.tracking, params.paths)
    champion = registry.champion(store)
    expected = {
        row["weights_sha256"]
        for row in (said, said["champion"])
        if row and row.get("weights_sha256")
    }
    if not expected <= registry.registered_weights(store) or (
        said["champion"] and champion is None
    ):
        return "behind"
    if (
        said["champion"]
        and champion is not None
        and champion.tags.get(registry.SHA256) not in expected
    ):
        return "moved"
    return "holds"


def must_register_again(asked: workspace.Question, *, restored: bool) -> bool:
    """Whether the registry is behind what registration.json says.

    It was `asked` before the run, and is asked again where the answer may not hold any more.

    Raises: MaskmillError when the registry cannot be asked.
    """
    # the registry was asked early, perhaps before MLflow was up or another run had registered
    with suppress(MaskmillError):
        if not restored and asked.answer() == "holds":
            return False
    return is_behind(workspace.Question("pipelines.registry").answer(), restored=restored)


def is_behind(found: str, *, restored: bool) -> bool:
    """Whether to register again.

    A champion set by hand is left alone, unless the verdict was `restored` since.
    """
    return found == "behind" or (found == "moved" and restored)


def said_in(params: config.Params) -> Path:
    """The file with the verdict."""
    return Path(params.paths.metrics) / "registration.json"


def main() -> int:
    """Exit status 2 when the registry cannot be asked."""
    die_with_parent()
    try:
        with full_disk_in_words():
            print(registry_state(config.load()))
    except MaskmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    quick.exit_at_once(main())
