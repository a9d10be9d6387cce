"""`maskmill data import DIR`: guess, say, write the settings, bring the files under DVC."""

import io
import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from maskmill.curation.frozen import read_frozen_splits
from maskmill.importing import placing, propose, recognise
from maskmill.importing.describe import Say, describe_plan
from maskmill.importing.plan import Plan, Wishes
from maskmill.settings import config
from maskmill.settings.config import PARAMS, Params, Paths
from maskmill.sources import _files
from maskmill.system import files, repository
from maskmill.system.errors import MaskmillError

PAGE = "import.html"
Draw = Callable[[Plan, Path], None]
_HEAD = (
    "# Where images and masks come from; written by `maskmill data import`, explained in"
    " docs/own-data.md.\n"
)


def import_folder(
    folder: Path,
    wishes: Wishes,
    *,
    link: bool = False,
    replace: bool = False,
    update: bool = False,
    dry_run: bool = False,
    draw: Draw | None = None,
    command: str = "",
    say: Say = print,
) -> None:
    """Make the images and masks of `folder` this repository's data.

    Nothing is written before all is checked. Killed at any moment, it can be started again.
    `update` adds the files to those of the import before, in place of the same names; `dry_run`
    says and draws what would be; `draw` draws the page; `command` repeats the import.

    Raises: MaskmillError for what a user has to mend first.
    """
    params = config.load()
    paths, target = params.paths, Path(params.paths.source)
    repository.check_inside(paths.versioned)
    if update:
        folder, replace = _merge(folder, target, params, say), True
    plan = propose.make_plan(folder, wishes, params)
    if update and not plan.again:
        raise MaskmillError(
            f"--update: the new files would change what is there: {plan.layout.told}, "
            f"{'; '.join(plan.changes) or 'another layout'}. Import all files together, without "
            "--update"
        )
    frozen = read_frozen_splits(Path(paths.splits)).split_of
    describe_plan(plan, say)
    page = Path(paths.reports) / PAGE
    if draw is not None:
        draw(plan, page)
    if dry_run:
        say(f"dry run     nothing is written but {page}; without --dry-run the import is made")
        return
    if copied := placing.check_free(folder, target, plan.files, replace=replace):
        moved = placing.place_files(
            folder, target, plan.files, Path(paths.state) / "replaced", link=link or update
        )
        if moved:
            say(f"kept        what stood in {target} is in {moved}; delete it when nobody needs it")
    _write_settings(plan, frozen, paths, command, say)
    elsewhere = placing.followed_address(target)
    if elsewhere and not copied:
        say(f"versioned   by DVC already, which brings {target} from {elsewhere}")
    else:
        placing.version_folder(target)
        say(
            f"versioned   {len(plan.files)} files by DVC; commit what says so: git add"
            f" {target.parent} {PARAMS}"
        )
    if command:
        say(f"again       {command}")
    say(f"next        make pipeline{f', after a look at {page}' if draw else ''}")


def _merge(folder: Path, target: Path, params: Params, say: Say) -> Path:
    """A folder of hard links: the files of data/source, with those of `folder` in their places.

    Raises: MaskmillError where there is nothing to add to, or `folder` is no folder of pictures.
    """
    there = placing.present_files(target)
    if not there:
        raise MaskmillError(f"--update: {target} holds nothing to update; leave --update out")
    recognise.check_folder(folder)
    new = [path for path in _files.regular_files(folder) if _is_wanted(path, folder, target)]
    merged = Path(params.paths.state) / "update" / folder.resolve().name
    shutil.rmtree(merged, ignore_errors=True)
    for path in there:
        _link(path, merged / path.relative_to(target))
    changed = added = 0
    for path in new:
        place = merged / path.relative_to(folder)
        changed += place.exists() and place.read_bytes() != path.read_bytes()
        added += not place.exists()
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
    say(f"update      {added} new files, {changed} corrected, of {len(there)} that were there")
    if not added and not changed:
        raise MaskmillError(f"--update: {folder} holds no new and no corrected file")
    return merged


def _is_wanted(path: Path, folder: Path, target: Path) -> bool:
    """Whether it is a picture, or a file that stands in data/source, too."""
    return path.suffix.lower() in _files.SUFFIXES or (target / path.relative_to(folder)).is_file()


def _link(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path.resolve(), place)
    except OSError:
        shutil.copy2(path, place)


def repeated_command(arguments: list[str]) -> str:
    """The command line that repeats this import."""
    return shlex.join(["maskmill", "data", "import", *arguments])


def _write_settings(
    plan: Plan, frozen: Mapping[str, str], paths: Paths, command: str, say: Say
) -> None:
    buffer = io.StringIO()
    YAML().dump(plan.layout.config, buffer)
    if plan.changes:
        _write(PARAMS, plan.params_yaml, say)
    for change in plan.changes:
        say(f"changed     {change}")
    # after params.yaml: the next import takes those settings for this source's own once the source
    # is written
    _write(
        Path(paths.source_config),
        _HEAD + (f"# {command}\n" if command else "") + buffer.getvalue(),
        say,
    )
    _free_splits(frozen, {pair.group for pair in plan.pairs}, Path(paths.splits), say)


def _write(path: Path, text: str, say: Say) -> None:
    """Write it, and keep what stood there before where that was another text."""
    if path.exists() and path.read_bytes() != text.encode():
        say(f"kept        {path} of before as {_copied(path)}")
    files.write_text(path, text)


def _copied(path: Path) -> Path:
    kept = placing.free_path(path.with_name(f"{path.name}.bak"))
    files.write_bytes(kept, path.read_bytes())
    return kept


def _free_splits(frozen: Mapping[str, str], groups: set[str], path: Path, say: Say) -> None:
    """Start data/splits.csv anew where it names none of the groups: it is of other data."""
    if frozen.keys() & groups:
        say(
            f"kept        {path}: it names {len(frozen.keys() & groups)} of the {len(groups)}"
            " groups, whose splits stay"
        )
    else:
        _write(path, "group,split\n", say)
