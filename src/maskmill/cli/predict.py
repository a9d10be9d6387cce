"""`maskmill predict`: masks of files, folders, patterns and lists, by the champion."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskmill.settings import config
from maskmill.system import processes
from maskmill.system.errors import MaskmillError, few_of

if TYPE_CHECKING:
    from maskmill.inference.batch.run import Draw, Model, Outcome
    from maskmill.inference.predict import Card

_SOME_FAILED = 1
_SHOWN = 5


class Confidence(StrEnum):
    """Of which a map is written."""

    NONE, MARGIN, ENTROPY = "none", "margin", "entropy"


class Format(StrEnum):
    """Of the masks."""

    AUTO, PNG, TIF = "auto", "png", "tif"


def predict(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH..", help="Image files of any size, folders, or patterns in quotes."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("predictions"),
    model: Annotated[
        str,
        typer.Option(help="models:/NAME@ALIAS or models:/NAME/NUMBER; the champion if not given."),
    ] = "",
    lists: Annotated[
        list[Path] | None,
        typer.Option("--list", metavar="FILE", help="A text file with a path in each line."),
    ] = None,
    confidence: Annotated[
        Confidence, typer.Option(help="A map of how sure each pixel is, 0 to 255.")
    ] = Confidence.NONE,
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="Of masks; auto: GeoTIFF of images with a place on the Earth, or PNG."
        ),
    ] = Format.AUTO,
    overlay: Annotated[
        bool, typer.Option("--overlay/--no-overlay", help="The image with its mask over it.")
    ] = True,
) -> None:
    """Write the masks of images, and each image with its mask over it.

    What is done already is left out, so the same command goes on where a killed one was.
    """
    from maskmill.inference.batch import geotiff
    from maskmill.inference.batch.inputs import find_inputs
    from maskmill.inference.batch.run import Wanted, predict_all

    if not images and not lists:
        raise MaskmillError("predict: which images? maskmill predict PATH.., or --list FILE")
    if form == Format.TIF:
        geotiff.check_installed()
    inputs = find_inputs(images or [], lists or [], out)
    processes.exit_on_sigterm()
    uri = model or f"models:/{config.load().tracking.model}@champion"
    loaded = _load(uri)
    sure = "" if confidence == Confidence.NONE else confidence.value
    wanted = Wanted(form.value, sure, _drawing(loaded.predictor.card) if overlay else None)
    try:
        outcome = predict_all(inputs, out, loaded, wanted)
    except KeyboardInterrupt:
        raise typer.Exit(processes.report_interrupt()) from None
    if len(inputs) == 1:
        _print_one(uri, loaded.predictor.card, out, outcome)
    else:
        _print_many(uri, loaded.predictor.card, out, outcome)


def add_to(app: typer.Typer) -> None:
    """Make this a command of `app`."""
    app.command()(predict)


def _load(uri: str) -> "Model":
    from maskmill.inference.batch.run import Model
    from maskmill.tracking import registry

    version = registry.resolve(uri)
    predictor = registry.predictor(version).with_settings(config.load().inference)
    name = f"{version.name} version {version.version}"
    return Model(predictor, name, version.tags.get("data_hash", ""))


def _drawing(card: "Card") -> "Draw":
    from maskmill.report import pictures

    colours = [tuple(bytes.fromhex(card.colours[name][1:])) for name in card.classes]
    background = None if card.background is None else card.classes.index(card.background)
    return lambda image, mask: pictures.overlay(image, mask, colours, background)  # type: ignore[arg-type]


def _print_one(uri: str, card: "Card", out: Path, outcome: "Outcome") -> None:
    """Raises: MaskmillError where the image was refused."""
    for error in outcome.failed.values():
        raise MaskmillError(error)
    shares = ", ".join(f"{name} {share:.1%}" for name, share in outcome.last["shares"].items())
    print(f"{uri} ({card.variant}): {shares}")
    mask, *others = (out / name for name in outcome.last["results"])
    look = [path for path in others if path.stem.endswith("_overlay")]
    print(f"look at {look[0]}; class ids are in {mask}" if look else f"class ids are in {mask}")
    _print_place(outcome)


def _print_many(uri: str, card: "Card", out: Path, outcome: "Outcome") -> None:
    from maskmill.inference.batch.journal import NAME

    parts = [f"{outcome.predicted:,} images predicted"]
    if outcome.skipped:
        parts.append(f"{outcome.skipped:,} were predicted before")
    if outcome.failed:
        parts.append(f"{len(outcome.failed):,} failed")
    print(f"{uri} ({card.variant}): {', '.join(parts)}")
    print(f"look at {out}; {out / NAME} says what became of each image")
    _print_place(outcome)
    if outcome.failed:
        print(f"failed:\n  {few_of(list(outcome.failed.values()), _SHOWN, chr(10) + '  ')}")
        raise typer.Exit(_SOME_FAILED)


def _print_place(outcome: "Outcome") -> None:
    from maskmill.inference.batch import geotiff

    if outcome.without_place:
        print(
            f"{outcome.without_place:,} GeoTIFF: PNG does not keep their place on the Earth; for"
            f" masks that do, install: {geotiff.INSTALL}"
        )
