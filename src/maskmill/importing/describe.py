"""What an import found and guessed, in words: a line each, with the setting that changes it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from maskmill.importing import meaning
from maskmill.importing.file_facts import Value
from maskmill.importing.plan import Plan
from maskmill.importing.propose import groups_in_several_splits
from maskmill.settings import config
from maskmill.settings.config import IGNORE, PARAMS
from maskmill.system.errors import few_of

Say = Callable[[str], None]
_SHOWN = 5
_TRIVIAL = 0.6  # of dice_foreground, by one class for every pixel; more is told
_VALUES_SHOWN = 300
_MOST = 0.5  # of the pixels; a class of so many may be a background


class ValueRow(NamedTuple):
    """What a stored value means."""

    value: Value | str
    name: str  # of the class, or `ignore`
    share: float  # of all pixels
    masks: int  # that hold it
    setting: str  # that says so


def value_rows(plan: Plan) -> Iterator[ValueRow]:
    """Each stored value, or each of two ranges, in order."""
    found, meant = plan.contents, plan.meaning
    total = max(1, sum(found.values.values()))
    if meant.threshold is not None:
        parts = meaning.pixels_of_classes(found.values, meant)
        names = (f"below {meant.threshold}", f"{meant.threshold} and above")
        for text, name in zip(names, meant.classes, strict=True):
            yield ValueRow(text, name, parts[name] / total, 0, "data.threshold")
        return
    ignored = {plan.settings["data.ignore_index"]: IGNORE}
    table = meant.values or dict(enumerate(meant.classes)) | ignored
    coloured = any(isinstance(value, str) for value in found.values)
    for value in sorted(found.values, key=str if coloured else None)[:_VALUES_SHOWN]:
        name = table.get(value, "the nearest" if meant.nearest_colour else "?")
        share = found.values[value] / total
        yield ValueRow(value, name, share, found.holding[value], "data.values")


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
    for row in value_rows(plan):
        say(
            f"class       {row.value} -> {row.name}, {row.share:.2%} of pixels (data.classes, "
            f"{row.setting})"
        )
    if meaning.are_numbered(plan.meaning.classes):
        say(
            "names       none were found: --classes A,B,.. gives them in this order, --ignore VALUE"
            " leaves one out"
        )
    if note := _of_background(plan):
        say(f"doubtful    {note}")
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
    for why, unused in plan.unused.items():
        say(f"not used    {len(unused)}: {why}: {few_of([path.name for path in unused], 3)}")
    for line in plan.notes:
        say(f"doubtful    {line}")
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
    if plan.contents.unlike:
        told.append(
            f"{len(plan.contents.unlike)} masks have another size than their image: "
            f"{few_of(plan.contents.unlike, _SHOWN)}; `make pipeline` will stop there"
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


def _of_background(plan: Plan) -> str:
    """What is said where the commonest value would count as foreground, unnamed."""
    meant = plan.meaning
    if meant.background is not None or not meaning.are_numbered(meant.classes):
        return ""
    pixels = meaning.pixels_of_classes(plan.contents.values, meant)
    first = max(pixels, key=pixels.__getitem__)
    share = pixels[first] / max(1, sum(pixels.values()))
    if share < _MOST:
        return ""
    return (
        f"{first} holds {share:.0%} of the pixels and counts as foreground; if it is the "
        f"background: --background {first}"
    )


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
    if given.get("pages"):
        return f"{count}, each a stack of pages"
    if count < len(plan.pairs) or any(pair.group != pair.id for pair in plan.pairs):
        return f"{count} of the list"
    return "each image alone: groups, blocks"
