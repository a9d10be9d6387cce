"""`maskmill models`: list networks, show their cost, export a trained one for other programs."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskmill.settings import config
from maskmill.settings.network_names import names
from maskmill.system.components import suggest
from maskmill.system.errors import MaskmillError

if TYPE_CHECKING:
    from maskmill.models.describe import Description

app = typer.Typer(help="The networks there are; a trained one as a file for other programs.")
_SIZE = "256x256"
_CHANNELS, _CLASSES = 3, 2  # outside a repository

Size = Annotated[str, typer.Option(help="Height x width of an image in px.")]
Defaults = Annotated[
    bool, typer.Option("--defaults", help="The options of the papers, not those of params.yaml.")
]


@app.callback(invoke_without_command=True)
def listing(context: typer.Context, size: Size = _SIZE, defaults: Defaults = False) -> None:
    """List networks and variants with their parameters, multiply-adds for one image, and paper."""
    if context.invoked_subcommand:
        if defaults or size != _SIZE:
            raise MaskmillError(
                f"maskmill models: --size and --defaults come after {context.invoked_subcommand},"
                " which they are for"
            )
        return
    from maskmill import models
    from maskmill.models.describe import paper_of

    sides, rows = _sides(size), [("name", "parameters", "multiply-adds", "paper", "options")]
    params = _settings(defaults)
    own = [name for name in (params.models if params else ()) if name not in models.names()]
    for name in [*models.names(), *own]:
        made, network, options = _describe(name, sides, params)
        told = ", ".join(f"{key}: {value}" for key, value in options.items())
        rows.append(
            (name, f"{made.parameters:,}", _short(made.multiply_adds), paper_of(network), told)
        )
    _table(rows, right=(1, 2))
    print(_measured(sides, params))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A network or variant, as `maskmill models` lists them.")
    ],
    size: Size = _SIZE,
    defaults: Defaults = False,
) -> None:
    """Print the shape of each level, what it costs, and how its size comes about."""
    from maskmill import models
    from maskmill.models.describe import paper_of

    sides, params = _sides(size), _settings(defaults)
    made, network, options = _describe(name, sides, params)
    rows = [("level", "channels", "height x width", "parameters", "multiply-adds", "from")]
    rows += [
        (level.name, str(level.channels), f"{level.sides[0]} x {level.sides[1]}",
         f"{level.parameters:,}", _short(level.multiply_adds), level.origin)
        for level in made.levels
    ]  # fmt: skip
    _table(rows, right=(1, 2, 3, 4))
    told = "".join(f", {key} {value}" for key, value in options.items())
    cost = f"{made.parameters:,} parameters, {_short(made.multiply_adds)} multiply-adds"
    print(f"{name} ({paper_of(network)}{told}): {cost}")
    print(f"options: {', '.join(models.network_options(network))} (docs/settings.md)")
    print(_measured(sides, params))


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(help="A trained variant, or models:/NAME@ALIAS, or models:/NAME/NUMBER."),
    ],
    out: Annotated[Path, typer.Option(help="The file to write: .onnx or .pt2.")],
    form: Annotated[str, typer.Option("--format", help="onnx or torch.")] = "onnx",
) -> None:
    """Write a trained network for other programs.

    The file is compared with the network at two other image sizes.
    """
    import maskmill
    from maskmill.inference.export import INPUT, OUTPUT, export_network
    from maskmill.inference.predict import Predictor

    if model.startswith("models:/"):
        predictor = maskmill.load(model)
    else:
        params = config.load()
        if model not in params.models:
            raise MaskmillError(
                f"export: got {model!r}; allowed are {', '.join(params.models)} (models in"
                " params.yaml), once trained, and models:/NAME@ALIAS or models:/NAME/NUMBER"
            )
        predictor = Predictor(Path(params.paths.models) / model)
    difference = export_network(predictor, out, form)
    card = predictor.card
    print(
        f"{out} ({out.stat().st_size / 1e6:.1f} MB): {INPUT} (N, {card.in_channels}, H, W) uint8"
        f" -> {OUTPUT} (N, {len(card.classes)}, H, W) float32, H and W from 33 px;"
        f" at two sizes within {difference:.1g} of the network"
    )


def _settings(defaults: bool) -> config.Params | None:
    """Those of params.yaml, where there is one and they are wanted."""
    return config.load() if config.PARAMS.exists() and not defaults else None


def _describe(
    name: str, sides: tuple[int, int], params: config.Params | None
) -> tuple["Description", str, dict[str, Any]]:
    """Return the network or variant, the name of its network, and its options.

    They are as params.yaml has them, where it names the variant.
    """
    from maskmill.models.describe import describe_by_name

    variants = params.models if params else {}
    variant = variants.get(name)
    network, options = (variant.network, variant.options) if variant else (name, {})
    known = list(dict.fromkeys([*names(), *variants]))
    if name not in known:
        near = suggest(name, known)
        raise MaskmillError(
            f"maskmill models: {name!r} is no network or variant{near}; there are"
            f" {', '.join(known)}"
        )
    in_channels = params.data.in_channels if params else _CHANNELS
    num_classes = len(params.data.classes) if params else _CLASSES
    made = describe_by_name(
        network,
        options,
        f"params.yaml: models.{name}",
        in_channels=in_channels,
        num_classes=num_classes,
        sides=sides,
    )
    shown = options if network == name else {"network": network} | options
    return made, network, shown


def _measured(sides: tuple[int, int], params: config.Params | None) -> str:
    height, width = sides
    if params:
        data = params.data
        return (
            f"one image of {height} x {width} px; channels {data.in_channels}, classes"
            f" {len(data.classes)}: params.yaml"
        )
    return (
        f"one image of {height} x {width} px; channels {_CHANNELS}, classes {_CLASSES}, options of"
        " the papers"
    )


def _sides(size: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", size)
    if not found:
        raise MaskmillError(
            f"--size: got {size!r}; needed is HEIGHTxWIDTH in px, 256x512 say, up to 99999x99999"
        )
    return int(found[1]), int(found[2] or found[1])


def _short(count: int) -> str:
    """1.2 G, 35 M: three digits, as papers print it."""
    for unit, name in ((1e9, "G"), (1e6, "M")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:,}"


def _table(rows: Sequence[tuple[str, ...]], right: tuple[int, ...]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            text.rjust(w) if i in right else text.ljust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
