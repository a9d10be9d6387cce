"""python docs/draw_rooms.py: draw docs/rooms.svg, the rooms in layers and what each imports."""

import tomllib
from html import escape
from importlib import import_module
from pathlib import Path
from textwrap import wrap

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = Path(__file__).with_name("rooms.svg")
WIDTH, GAP, MARGIN, LINE = 1000, 10, 14, 13  # px
CHARACTER = 6.1  # px of a letter of 11 px
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #24292f } .name { font-weight: 600; font-size: 14px }
.imports { fill: #57606a } rect { fill: #f6f8fa; stroke: #8c959f } svg { background: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .imports { fill: #9198a1 } rect { fill: #161b22; stroke: #656c76 } \
svg { background: #0d1117 }
}
"""


def layers() -> list[list[str]]:
    """The rooms of each layer in pyproject.toml, highest first, below `pipelines`."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (found,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = [[name for name in layer.split(" | ") if name != "__main__"] for layer in found]
    return [["pipelines"], *filter(None, rooms)]


def imports() -> dict[str, set[str]]:
    """What each room imports of the others."""
    graph = grimp.build_graph("maskmill", "pipelines")
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if room(imported) not in ("", room(module)):
                found.setdefault(room(module), set()).add(room(imported))
    return found


def room(module: str) -> str:
    """The room of a module; "" of the package itself."""
    package, _, rest = module.partition(".")
    return package if package == "pipelines" else rest.partition(".")[0]


def purpose(name: str) -> str:
    """The first sentence of a room's docstring."""
    module = import_module("pipelines" if name == "pipelines" else f"maskmill.{name}")
    return (module.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()


def picture() -> str:
    """The SVG."""
    used = imports()
    parts, y = [], MARGIN
    for names in layers():
        width = (WIDTH - 2 * MARGIN - GAP * (len(names) - 1)) // len(names)
        texts = [content(name, used.get(name, set()), width) for name in names]
        height = 40 + LINE * max(map(len, texts))
        for place, (name, lines) in enumerate(zip(names, texts, strict=True)):
            parts += box(name, lines, MARGIN + place * (width + GAP), y, width, height)
        y += height + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" '
        'aria-label="The rooms of maskmill in layers; each imports from lower layers alone">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def content(name: str, used: set[str], width: int) -> list[tuple[str, str]]:
    """Lines of text with their class: the purpose of a room, and what it imports."""
    columns = int((width - 2 * GAP) / CHARACTER)
    imported = f"imports {', '.join(sorted(used)) or 'nothing'}"
    return [("purpose", line) for line in wrap(purpose(name), columns)] + [
        ("imports", line) for line in wrap(imported, columns)
    ]


def box(
    name: str, lines: list[tuple[str, str]], x: int, y: int, width: int, height: int
) -> list[str]:
    """A room as a box at a place, in px."""
    drawn = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>',
        f'<text class="name" x="{x + GAP}" y="{y + 20}">{name}</text>',
    ]
    for number, (kind, line) in enumerate(lines):
        drawn.append(
            f'<text class="{kind}" x="{x + GAP}" y="{y + 37 + LINE * number}">{escape(line)}</text>'
        )
    return drawn


if __name__ == "__main__":
    PICTURE.write_text(picture())
    print(PICTURE)
