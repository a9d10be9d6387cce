"""A digest of the code that a result follows from: what a function reaches, by syntax trees.

A function, class or value at the top level of a module is reached where reached code names it; what a module runs when
it is imported is reached with it. A part that a setting chooses by its name (components.py) is reached where that name
is among the words of the settings, or a text in the code that asks for it. Files such as templates count where reached
code names them; of other packages counts which name is imported, not their version. Comments, docstrings and layout do
not count, nor does what only annotations name, but for those of the function itself: they are its settings.
"""

import ast
import contextlib
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

_PACKAGE = __name__.partition(".")[0]
_ROOT = Path(__file__).parent
_COMPONENTS = f"{_PACKAGE}.components"
_BY_NAME = {(_COMPONENTS, name) for name in ("create", "factory")}
_FILE = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:j2|css|js|json)")
_NEVER_RUN = {"TYPE_CHECKING", "__name__ == '__main__'"}

Symbol = tuple[str, str]  # a module, and a name at its top level; "" for what runs when it is imported
_Target = Symbol | str | None  # what an expression stands for: a symbol, a module, or something else
_Imports = dict[str, tuple[str, str]]  # name -> the module that it comes from, and its name there; "" for all of it


def digest(symbol: Symbol, words: Collection[str]) -> str:
    """Hexadecimal digest of all code that a symbol reaches, where `words` stand in its settings."""
    symbols, files = reached(symbol, words)
    parts = [f"{module} {name} {_dump(module, name)}" for module, name in sorted(symbols)]
    parts += [path.read_text() for path in sorted(files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def parameters(function: Symbol) -> list[str]:
    """The names of a function's parameters, without an import of its module."""
    module, name = function
    owner = _module(module)
    assert owner
    (definition,) = owner.symbols[name]
    assert isinstance(definition, ast.FunctionDef)
    return [each.arg for each in (*definition.args.args, *definition.args.kwonlyargs)]


def words(settings: Any) -> set[str]:
    """All texts and keys in settings, each of which may be the name of a part."""
    if isinstance(settings, Mapping):
        return words(list(settings)) | words(list(settings.values()))
    if isinstance(settings, list | tuple):
        return set().union(*map(words, settings))
    return {settings} if isinstance(settings, str) else set()


def reached(symbol: Symbol, words: Collection[str]) -> tuple[set[Symbol], set[Path]]:
    """The symbols and the files that a symbol reaches; it is among them."""
    symbols: set[Symbol] = set()
    files: set[Path] = set()
    to_read = [symbol, *_annotations(symbol)]
    while to_read:
        each = to_read.pop()
        if each in symbols:
            continue
        symbols.add(each)
        found = _references(*each)
        to_read += found.symbols
        if found.packages:
            named = {word for word in {*words, *found.texts} if word.isidentifier()}
            to_read += [(f"{package}.{word}", word) for package in found.packages for word in named
                        if _module(f"{package}.{word}")]  # fmt: skip
        files |= found.files
    return symbols, files


@dataclass(frozen=True)
class _Module:
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
    def imports(self) -> _Imports:
        """What it imports at its top level."""
        return dict(_imported(self._body))

    @cached_property
    def origins(self) -> dict[str, str]:
        """What each imported name is, of other packages too."""
        found = {}
        for node in (node for statement in self._body for node in _import_statements(statement)):
            for alias in node.names:
                module = node.module if isinstance(node, ast.ImportFrom) else ""
                found[alias.asname or alias.name.split(".")[0]] = f"{module} {alias.name}"
        return found

    @cached_property
    def _body(self) -> list[ast.stmt]:
        return ast.parse(self.path.read_text()).body


@dataclass(frozen=True)
class _References:
    symbols: frozenset[Symbol]
    packages: frozenset[str]  # whose modules are taken by name
    texts: frozenset[str]  # which may be such names
    files: frozenset[Path]


@cache
def _module(name: str) -> _Module | None:
    if name.split(".", maxsplit=1)[0] != _PACKAGE:
        return None
    path = _ROOT.joinpath(*name.split(".")[1:])
    with contextlib.suppress(OSError):  # too long a name, which is none of a module
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.exists():
                return _Module(name, file)
    return None


@cache
def _references(module: str, symbol: str) -> _References:
    """What the statements of a symbol name, and what importing its module runs."""
    owner = _module(module)
    assert owner
    found = _Names(owner)
    if symbol:
        found.symbols.add((module, ""))
    else:
        found.symbols |= {(each, "") for each in _run_by_import(owner)}
    for statement in owner.symbols.get(symbol, ()):
        found.read(statement)
    return _References(
        frozenset(found.symbols), frozenset(found.packages), frozenset(_texts(found)), frozenset(found.files)
    )


def _texts(found: "_Names") -> Iterator[str]:
    """Texts that stand in what is named, in the same module alone."""
    for module, name in found.symbols:
        if module == found.owner.name:
            for statement in found.owner.symbols.get(name, ()) if name else ():
                value = getattr(statement, "value", None)
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
    yield from found.texts


def _annotations(function: Symbol) -> set[Symbol]:
    """What the annotations of a function's parameters name: the classes of its settings."""
    module, name = function
    owner = _module(module)
    assert owner
    found = _Names(owner)
    for statement in owner.symbols.get(name, ()):
        if isinstance(statement, ast.FunctionDef):
            for argument in (*statement.args.args, *statement.args.kwonlyargs):
                if argument.annotation:
                    found.read(ast.Expr(argument.annotation))
    return found.symbols


def _run_by_import(module: _Module) -> Iterator[str]:
    """The package that a module is in, and the modules that it imports."""
    if "." in module.name:
        yield module.name.rpartition(".")[0]
    for source, name in module.imports.values():
        yield f"{source}.{name}" if name and _module(f"{source}.{name}") else source


class _Names:
    """Collects what statements of a module name."""

    def __init__(self, owner: _Module) -> None:
        self.owner = owner
        self.texts: set[str] = set()
        self.symbols: set[Symbol] = set()
        self.packages: set[str] = set()
        self.files: set[Path] = set()

    def read(self, statement: ast.stmt) -> None:
        """Collect from a statement and all in it."""
        nodes = list(_walk(statement))
        local = dict(_imported(nodes))
        bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.texts.add(node.value)
                if _FILE.fullmatch(node.value):
                    self._add_file(self.owner.path.parent / node.value)
            elif isinstance(node, ast.Call) and self._target(node.func, local) in _BY_NAME:
                self._add_package(node.args[0], local)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                self._add(self._target(node, local), whole=id(node) not in bases)

    def _target(self, node: ast.expr, local: _Imports) -> _Target:
        if isinstance(node, ast.Name):
            if node.id in local:
                source, name = local[node.id]
                return _resolved(source, name) if name else source
            return _resolved(self.owner.name, node.id)
        if isinstance(node, ast.Attribute):
            base = self._target(node.value, local)
            return _resolved(base, node.attr) if isinstance(base, str) else None
        return None

    def _add(self, target: _Target, *, whole: bool) -> None:
        if isinstance(target, tuple):
            self.symbols.add(target)
        elif target and (module := _module(target)):
            self.symbols.add((target, ""))
            if whole:  # the module itself is handed on: whoever gets it may take anything of it
                self.symbols |= {(target, name) for name in module.symbols}

    def _add_package(self, named: ast.expr, local: _Imports) -> None:
        """The package that components.py is given: `__name__`, `package.__name__`, or a text of the module."""
        if self.owner.name == _COMPONENTS:  # there it is handed on
            return
        if isinstance(named, ast.Name) and named.id == "__name__":
            self.packages.add(self.owner.name)
        elif isinstance(named, ast.Attribute) and isinstance(package := self._target(named.value, local), str):
            self.packages.add(package)
        elif isinstance(named, ast.Name) and isinstance(text := self.owner.symbols[named.id][0], ast.Assign):
            self.packages.add(str(ast.literal_eval(text.value)))
        else:
            raise AssertionError(f"{self.owner.name}: which package is {ast.unparse(named)}?")

    def _add_file(self, path: Path) -> None:
        if path.exists() and path not in self.files:
            self.files.add(path)
            for name in _FILE.findall(path.read_text()):
                self._add_file(path.parent / name)


def _resolved(module: str, name: str) -> _Target:
    """What a name stands for at the top level of a module."""
    if _module(f"{module}.{name}"):
        return f"{module}.{name}"
    found = _module(module)
    if found is None:
        return None
    if name in found.symbols:
        return (module, name)
    source, original = found.imports.get(name, ("", ""))
    return _resolved(source, original) if original else source or None


def _defined(statement: ast.stmt) -> list[str]:
    """The symbols that a statement makes; "" where it does something else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    if isinstance(statement, ast.Import | ast.ImportFrom) or _is_docstring(statement):
        return []
    if isinstance(statement, ast.If) and ast.unparse(statement.test) in _NEVER_RUN and not statement.orelse:
        return []
    inside = () if isinstance(statement, ast.With) else ast.walk(statement)
    assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in inside), (
        "an import inside a statement at the top level of a module is not followed: " + ast.unparse(statement)
    )
    return [""]


def _import_statements(statement: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    """The statement, or those inside a `with`."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield statement
    elif isinstance(statement, ast.With):
        for inner in statement.body:
            yield from _import_statements(inner)


def _imported(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The names that imports of this package give; also those inside a `with` of the top level."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == _PACKAGE:
                    yield alias.asname or _PACKAGE, (alias.name if alias.asname else _PACKAGE, "")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == _PACKAGE:
            for alias in node.names:
                assert alias.name != "*", "an import of all names is not followed"
                yield alias.asname or alias.name, (node.module, alias.name)
        elif isinstance(node, ast.With):
            yield from _imported(node.body)


def _walk(node: ast.AST, local: frozenset[str] = frozenset()) -> Iterator[ast.AST]:
    """The node and all below it that may name code.

    That is all but the annotations of functions, from which no result follows, and the local variables of a function,
    which hide what has their name outside of it.
    """
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        local |= frozenset(_variables(node))
    if _first_name(node) not in local:
        yield node
    for name, value in ast.iter_fields(node):
        annotation = (isinstance(node, ast.arg) and name == "annotation") or name == "returns"
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not annotation:
                yield from _walk(child, local)


def _first_name(node: ast.AST) -> str:
    """Of `a` and `a.b.c` it is a; of all else empty."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _variables(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[str]:
    """The parameters of a function, and the names that it assigns, also in comprehensions."""
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument:
            yield argument.arg
    to_read: list[ast.AST] = [*function.body] if isinstance(function.body, list) else [function.body]
    outside = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    while to_read:
        node = to_read.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in outside:
            yield node.id
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            to_read += ast.iter_child_nodes(node)


@cache
def _dump(module: str, name: str) -> str:
    """The statements of a symbol as text, without what does not count, and what the names in it are imported from."""
    owner = _module(module)
    assert owner
    statements = [_without_docstrings(statement) for statement in owner.symbols.get(name, ())]
    names = {node.id for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)}
    origins = [f"{each} is {owner.origins[each]}" for each in sorted(names & owner.origins.keys())]
    return "\n".join([*map(_text, statements), *origins])


def _text(node: object) -> str:
    """As ast.dump, but the same in every version of Python: without fields that are empty."""
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_text(value)}" for name, value in ast.iter_fields(node) if value is not None and value != []
        ]
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(_text, node))}]" if isinstance(node, list) else repr(node)


def _without_docstrings(statement: ast.stmt) -> ast.stmt:
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and _is_docstring(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
    return statement


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
