"""`maskmill data import DIR`: guess, say, write the settings, bring the files under DVC."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from maskmill.curation.frozen import read_frozen_splits
from maskmill.importing import meaning, placing
from maskmill.importing.plan import Plan, Wishes, groups_in_several_splits, make_plan
from maskmill.settings import config
from maskmill.settings.config import IGNORE, PARAMS, Paths
from maskmill.system import files, repository
from maskmill.system.errors import MaskmillError, few_of

Say = Callable[[str], None]
_SHOWN = 5
_TRIVIAL = 0.6  # of dice_foreground, by one class for every pixel; more is told
_HEAD = (
    "# Where images and masks come from; written by `maskmill data import`, explained in"
    " docs/own-data.md.\n"
)


def import_folder(
    folder: Path, wishes: Wishes, *, link: bool = False, replace: bool = False, say: Say = print
) -> None:
    """Make the images and masks of `folder` this repository's data.

    Nothing is written before all is checked. Killed at any moment, it can be started again.

    Raises: MaskmillError for what a user has to mend first.
    """
    params = config.load()
    paths, target = params.paths, Path(params.paths.source)
    repository.check_inside(paths.versioned)
    if not folder.is_dir():
        raise MaskmillError(
            f"{folder}: no such folder; name the one that holds the images and masks"
        )
    plan, frozen = (
        make_plan(folder, wishes, params),
        read_frozen_splits(Path(paths.splits)).split_of,
    )
    describe_plan(plan, say)
    if copied := placing.check_free(folder, target, plan.files, replace=replace):
        moved = placing.place_files(
            folder, target, plan.files, Path(paths.state) / "replaced", link=link
        )
        if moved:
            say(f"kept        what stood in {target} is in {moved}; delete it when nobody needs it")
    _write_settings(plan, frozen, paths, say)
    elsewhere = placing.followed_address(target)
    if elsewhere and not copied:
        say(f"versioned   by DVC already, which brings {target} from {elsewhere}")
    else:
        placing.version_folder(target)
        say(
            f"versioned   {len(plan.files)} files by DVC; commit what says so: git add"
            f" {target.parent} {PARAMS}"
        )
    say("next        make pipeline")


def describe_plan(plan: Plan, say: Say) -> None:
    """What was found and guessed, a line each, with the setting that changes it."""
    pairs, settings, found = plan.pairs, plan.settings, plan.contents
    say(f"found       {plan.layout.told}: {len(pairs)} pairs (data/source.yaml)")
    given = {name: sum(pair.split == name for pair in pairs) for name in config.SPLITS}
    if settings["splits.given"]:
        say(
            f"split       given: {', '.join(f'{name} {count}' for name, count in given.items())}"
            " (splits.given)"
        )
    elif any(given.values()):
        lacking = ", ".join(name for name, count in given.items() if not count)
        say(f"split       new, by maskmill: the source gives no {lacking} (splits)")
    total = sum(found.values.values())
    ids = dict(enumerate(plan.meaning.classes))
    for value in sorted(
        found.values, key=str if any(isinstance(v, str) for v in found.values) else None
    ):
        name = (plan.meaning.values or ids | {settings["data.ignore_index"]: IGNORE}).get(
            value, "?"
        )
        say(
            f"class       {value} -> {name}, {found.values[value] / total:.2%} of pixels"
            " (data.classes, data.values)"
        )
    if meaning.are_numbered(plan.meaning.classes):
        say(
            "names       none were found: --classes A,B,.. gives them in this order, --ignore VALUE"
            " leaves one out"
        )
    say(
        f"background  {plan.meaning.background or 'none: every class counts as foreground'}"
        " (data.background)"
    )
    colour = {1: "grey", 3: "colour"}.get(
        settings["data.in_channels"], f"{settings['data.in_channels']} bands"
    )
    sizes = ", ".join(f"{width} x {height}" for height, width in list(found.sizes)[:3])
    more = f" and {len(found.sizes) - 3} more sizes" if len(found.sizes) > 3 else ""
    crop = settings["augmentation.crop_px"]
    trained = f"crops of {crop[1]} x {crop[0]}" if crop else "whole images"
    say(
        f"images      {colour} (data.in_channels), {sizes}{more} px; trained on {trained}"
        " (augmentation.crop_px)"
    )
    say(f"groups      {_groups(plan)} (data/source.yaml)")
    least = (
        ", ".join(f"{metric} {value}" for metric, value in settings["gate.minimum"].items())
        or "any score"
    )
    say(
        f"model       {settings['tracking.model']} (tracking.model), promoted from {least} on"
        " (gate.minimum)"
    )
    if plan.again:
        say(
            f"as before   source and stored values: in {PARAMS}, names and colours of classes,"
            " crops, gate, selection and model stay, but for what an option asked for"
        )
    for line in plan_warnings(plan):
        say(f"warning     {line}")


def plan_warnings(plan: Plan) -> list[str]:
    """What the user should know before the line runs."""
    pairs = plan.pairs
    told = []
    for kind, other, lacking in (
        ("images", "a mask", [pair.image for pair in pairs if pair.mask is None]),
        ("masks", "an image", [pair.mask for pair in pairs if pair.image is None]),
    ):
        if lacking:
            told.append(
                f"{len(lacking)} {kind} without {other}: {few_of(lacking, _SHOWN)}; `make pipeline`"
                " will stop there"
            )
    if plan.settings["splits.given"] and (torn := groups_in_several_splits(pairs)):
        each = "; ".join(
            f"{group}"
            f" ({', '.join(f'{name} {counts[name]}' for name in config.SPLITS if counts[name])})"
            for group, counts in list(torn.items())[:_SHOWN]
        )
        told.append(
            f"the given split tears {len(torn)} groups:"
            f" {each}{' ..' if len(torn) > _SHOWN else ''}; `make pipeline` will stop there:"
            " splits.given: false makes a new split, splits.allow_leaks names what may leak"
        )
    if plan.contents.broken:
        told.append(
            f"{len(plan.contents.broken)} files cannot be read:"
            f" {few_of(plan.contents.broken, _SHOWN)}"
        )
    for reason, named in plan.contents.refused(
        plan.settings["data.in_channels"], plan.decoding
    ).items():
        told.append(f"{len(named)} images will be refused: {few_of(named, _SHOWN)}: {reason}")
    told += _of_crops(plan) + _of_majority(plan)
    groups = len({pair.group for pair in pairs})
    if groups < len(config.SPLITS) and not plan.settings["splits.given"]:
        told.append(
            f"{groups} groups cannot fill train, val and test; give --groups, or `blocks` in"
            " data/source.yaml"
        )
    return told


def _of_majority(plan: Plan) -> list[str]:
    """Where foreground is what most of the images are: its score is high without any learning."""
    meant, gate = plan.meaning, plan.settings["gate.minimum"]
    name, score = meaning.best_constant_class(plan.contents.values, meant)
    if meant.background is None or score <= _TRIVIAL or "dice_foreground" not in gate:
        return []
    told = (
        f"{name} for every pixel would score {score:.2f} already (gate.minimum is"
        f" {gate['dice_foreground']})"
    )
    if len(meant.classes) == 2:
        names = ",".join("NAME" if each == meant.background else "rest" for each in meant.classes)
        told += (
            f"; if {meant.background} is what you look for, import again with --classes {names}"
            " --background rest"
        )
    return [told]


def _of_crops(plan: Plan) -> list[str]:
    crop, found = plan.settings["augmentation.crop_px"], plan.contents
    if crop is None:
        several = (
            f"images have {len(found.sizes)} sizes and augmentation.crop_px is null: set [height,"
            " width] there"
        )
        return [several] if len(found.sizes) > 1 else []
    small = found.smaller(min(crop) / 2)
    wide = f"{crop[1]} x {crop[0]} px (augmentation.crop_px)"
    return (
        [f"{len(small)} images are padded to a crop of {wide}, far larger: {few_of(small, _SHOWN)}"]
        if small
        else []
    )


def _groups(plan: Plan) -> str:
    count, given = len({pair.group for pair in plan.pairs}), plan.layout.config
    if "blocks" in given:
        return f"one stack of alike neighbours, cut into {count} blocks: blocks: {given['blocks']}"
    if "groups" in given:
        pair = plan.pairs[0]
        return f"{count} by name, {pair.id} is of {pair.group}: groups: {given['groups']}"
    return (
        f"{count} of the list"
        if "group" in plan.layout.columns
        else "each image alone: groups, blocks"
    )


def _write_settings(plan: Plan, frozen: Mapping[str, str], paths: Paths, say: Say) -> None:
    buffer = io.StringIO()
    YAML().dump(plan.layout.config, buffer)
    if plan.changes:
        _write(PARAMS, plan.params_yaml, say)
    for change in plan.changes:
        say(f"changed     {change}")
    # after params.yaml: the next import takes those settings for this source's own once the source
    # is written
    _write(Path(paths.source_config), _HEAD + buffer.getvalue(), say)
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
