"""The modules of maskmill as syntax trees: symbols, imports, and what a name in them stands for."""

import ast
import contextlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from maskmill.system.errors import MaskmillError

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).parents[1]
_NEVER_RUN = {"TYPE_CHECKING", "__name__ == '__main__'"}

# a module, and a name at its top level; "" for what runs when it is imported
Symbol = tuple[str, str]
Target = Symbol | str | None  # what an expression stands for: a symbol, a module, or something else
# name -> the module that it comes from, and its name there; "" for all of it
Imports = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Module:
    """A module of maskmill, parsed where it is asked for."""

    name: str
    path: Path

    @cached_property
    def symbols(self) -> dict[str, list[ast.stmt]]:
        """The statements that make each symbol."""
        found: dict[str, list[ast.stmt]] = {"": []}
        for statement in self._body:
            for name in _defined(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def imports(self) -> Imports:
        """What it imports at its top level."""
        return dict(imported_names(self._import_statements, self))

    @cached_property
    def origins(self) -> dict[str, str]:
        """What each imported name is, of other packages too."""
        found = {}
        for node in self._import_statements:
            for alias in node.names:
                module = node.module if isinstance(node, ast.ImportFrom) else ""
                found[alias.asname or alias.name.split(".")[0]] = f"{module} {alias.name}"
        return found

    @cached_property
    def _import_statements(self) -> list[ast.Import | ast.ImportFrom]:
        """Those of its top level, also inside a `with`, a `try` or an `if`."""
        return [node for statement in self._body for node in _import_statements(statement)]

    @cached_property
    def _body(self) -> list[ast.stmt]:
        return ast.parse(self.path.read_text()).body


@cache
def find_module(name: str) -> Module | None:
    """The module of maskmill with this name; None where there is none."""
    if name.split(".", maxsplit=1)[0] != PACKAGE:
        return None
    path = ROOT.joinpath(*name.split(".")[1:])
    with contextlib.suppress(OSError):  # too long a name, which is none of a module
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.exists():
                return Module(name, file)
    return None


def resolve(module: str, name: str) -> Target:
    """What a name stands for at the top level of a module."""
    if find_module(f"{module}.{name}"):
        return f"{module}.{name}"
    found = find_module(module)
    if found is None:
        return None
    if name in found.symbols:
        return (module, name)
    source, original = found.imports.get(name, ("", ""))
    return resolve(source, original) if original else source or None


def _defined(statement: ast.stmt) -> list[str]:
    """The symbols that a statement makes; "" where it does something else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [
            node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
        ]
    if isinstance(statement, ast.Import | ast.ImportFrom) or _is_docstring(statement):
        return []
    if (
        isinstance(statement, ast.If)
        and ast.unparse(statement.test) in _NEVER_RUN
        and not statement.orelse
    ):
        return []
    return [""]


def _import_statements(statement: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    """The statement, or those inside a `with`, a `try` or an `if`."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield statement
    elif isinstance(statement, ast.With | ast.Try | ast.If) and _defined(statement):
        yield from (
            node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom)
        )


def imported_names(
    nodes: Iterable[ast.AST], owner: Module
) -> Iterator[tuple[str, tuple[str, str]]]:
    """The names that those nodes of `owner` give which are imports of this package.

    Raises: MaskmillError for an import of all names.
    """
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield alias.asname or PACKAGE, (alias.name if alias.asname else PACKAGE, "")
        elif (
            isinstance(node, ast.ImportFrom)
            and (module := _imported_module(node, owner)).split(".")[0] == PACKAGE
        ):
            for alias in node.names:
                if alias.name == "*":
                    raise MaskmillError(
                        f"{owner.path}, line {node.lineno}: name what you import of {module}, not *"
                    )
                yield alias.asname or alias.name, (module, alias.name)


def _imported_module(node: ast.ImportFrom, owner: Module) -> str:
    """The full name of the module that names are imported from."""
    package = owner.name if owner.path.name == "__init__.py" else owner.name.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


def code_nodes(node: ast.AST, local: frozenset[str] = frozenset()) -> Iterator[ast.AST]:
    """The node and all below it that may name code.

    That is all but the annotations of functions, from which no result follows, and the local
    variables of a function, which hide what has their name outside of it.
    """
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        local |= frozenset(_variables(node))
    if _first_name(node) not in local:
        yield node
    for name, value in ast.iter_fields(node):
        annotation = (isinstance(node, ast.arg) and name == "annotation") or name == "returns"
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not annotation:
                yield from code_nodes(child, local)


def _first_name(node: ast.AST) -> str:
    """Of `a` and `a.b.c` it is a; of all else empty."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _variables(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[str]:
    """The parameters of a function, and the names that it assigns, also in comprehensions."""
    arguments = function.args
    for argument in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ):
        if argument:
            yield argument.arg
    to_read: list[ast.AST] = (
        [*function.body] if isinstance(function.body, list) else [function.body]
    )
    outside = {
        name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
    }
    while to_read:
        node = to_read.pop()
        if (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Store)
            and node.id not in outside
        ):
            yield node.id
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            to_read += ast.iter_child_nodes(node)


@cache
def symbol_text(module: str, name: str) -> str:
    """The statements of a symbol as text, with the origins of the names in it.

    What does not count is left out. The origin of a name is what it is imported from.
    """
    owner = find_module(module)
    assert owner
    statements = [_without_docstrings(statement) for statement in owner.symbols.get(name, ())]
    names = {
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name)
    }
    origins = [f"{each} is {owner.origins[each]}" for each in sorted(names & owner.origins.keys())]
    return "\n".join([*map(_without_empty_fields, statements), *origins])


def _without_empty_fields(node: object) -> str:
    """As ast.dump, but the same in every version of Python: without fields that are empty."""
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_without_empty_fields(value)}"
            for name, value in ast.iter_fields(node)
            if value is not None and value != []
        ]
        return f"{type(node).__name__}({', '.join(fields)})"
    return (
        f"[{', '.join(map(_without_empty_fields, node))}]" if isinstance(node, list) else repr(node)
    )


def _without_docstrings(statement: ast.stmt) -> ast.stmt:
    for node in ast.walk(statement):
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) and _is_docstring(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
    return statement


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
