"""A digest of the code that a result follows from: what a function reaches, by syntax trees.

A function, class or value at the top level of a module is reached where reached code names it; what
a module runs when it is imported is reached with it. A part that a setting chooses by its name
(components.py) is reached where that name is among the words of the settings, or a text in the code
that asks for it. Files such as templates count where reached code names them; of other packages
counts which name is imported, not their version. Comments, docstrings and layout do not count, nor
does what only annotations name, but for those of the function itself: they are its settings.
"""

import ast
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from maskmill.system.syntax import (
    PACKAGE,
    Imports,
    Module,
    Symbol,
    Target,
    code_nodes,
    find_module,
    imported_names,
    resolve,
    symbol_text,
)

_COMPONENTS = f"{PACKAGE}.system.components"
TRAINING = (f"{PACKAGE}.stages.train", "train")  # what the weights follow from
_BY_NAME = {(_COMPONENTS, name) for name in ("create", "factory")}
_FILE = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:j2|css|js|json)")


def digest(symbol: Symbol, words: Collection[str]) -> str:
    """Hexadecimal digest of all code that a symbol reaches.

    `words` are the `strings_in` its settings.
    """
    symbols, files = reached_code(symbol, words)
    parts = [f"{module} {name} {symbol_text(module, name)}" for module, name in sorted(symbols)]
    parts += [path.read_text() for path in sorted(files)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def parameters(function: Symbol) -> list[str]:
    """The names of a function's parameters, without an import of its module."""
    module, name = function
    owner = find_module(module)
    assert owner
    (definition,) = owner.symbols[name]
    assert isinstance(definition, ast.FunctionDef)
    return [each.arg for each in (*definition.args.args, *definition.args.kwonlyargs)]


def strings_in(settings: Any) -> set[str]:
    """All texts and keys in settings, each of which may be the name of a part."""
    if isinstance(settings, Mapping):
        return strings_in(list(settings)) | strings_in(list(settings.values()))
    if isinstance(settings, list | tuple):
        return set().union(*map(strings_in, settings))
    return {settings} if isinstance(settings, str) else set()


def reached_code(symbol: Symbol, words: Collection[str]) -> tuple[set[Symbol], set[Path]]:
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
                        if find_module(f"{package}.{word}")]  # fmt: skip
        files |= found.files
    return symbols, files


@dataclass(frozen=True)
class _References:
    symbols: frozenset[Symbol]
    packages: frozenset[str]  # whose modules are taken by name
    texts: frozenset[str]  # which may be such names
    files: frozenset[Path]


@cache
def _references(module: str, symbol: str) -> _References:
    """What the statements of a symbol name, and what importing its module runs."""
    owner = find_module(module)
    assert owner
    found = _Names(owner)
    if symbol:
        found.symbols.add((module, ""))
    else:
        found.symbols |= {(each, "") for each in _run_by_import(owner)}
    for statement in owner.symbols.get(symbol, ()):
        found.read(statement)
    return _References(
        frozenset(found.symbols),
        frozenset(found.packages),
        frozenset(_string_literals(found)),
        frozenset(found.files),
    )


def _string_literals(found: "_Names") -> Iterator[str]:
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
    owner = find_module(module)
    assert owner
    found = _Names(owner)
    for statement in owner.symbols.get(name, ()):
        if isinstance(statement, ast.FunctionDef):
            for argument in (*statement.args.args, *statement.args.kwonlyargs):
                if argument.annotation:
                    found.read(ast.Expr(argument.annotation))
    return found.symbols


def _run_by_import(module: Module) -> Iterator[str]:
    """The package that a module is in, and the modules that it imports."""
    if "." in module.name:
        yield module.name.rpartition(".")[0]
    for source, name in module.imports.values():
        yield f"{source}.{name}" if name and find_module(f"{source}.{name}") else source


class _Names:
    """Collects what statements of a module name."""

    def __init__(self, owner: Module) -> None:
        self.owner = owner
        self.texts: set[str] = set()
        self.symbols: set[Symbol] = set()
        self.packages: set[str] = set()
        self.files: set[Path] = set()

    def read(self, statement: ast.stmt) -> None:
        """Collect from a statement and all in it."""
        nodes = list(code_nodes(statement))
        local = dict(imported_names(nodes, self.owner))
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

    def _target(self, node: ast.expr, local: Imports) -> Target:
        if isinstance(node, ast.Name):
            if node.id in local:
                source, name = local[node.id]
                return resolve(source, name) if name else source
            return resolve(self.owner.name, node.id)
        if isinstance(node, ast.Attribute):
            base = self._target(node.value, local)
            return resolve(base, node.attr) if isinstance(base, str) else None
        return None

    def _add(self, target: Target, *, whole: bool) -> None:
        if isinstance(target, tuple):
            self.symbols.add(target)
        elif target and (module := find_module(target)):
            self.symbols.add((target, ""))
            if whole:  # the module itself is handed on: whoever gets it may take anything of it
                self.symbols |= {(target, name) for name in module.symbols}

    def _add_package(self, named: ast.expr, local: Imports) -> None:
        """Add the package that components.py is given.

        It is named by `__name__`, `package.__name__`, or a text of the module.
        """
        if self.owner.name == _COMPONENTS:  # there it is handed on
            return
        if isinstance(named, ast.Name) and named.id == "__name__":
            self.packages.add(self.owner.name)
        elif isinstance(named, ast.Attribute) and isinstance(
            package := self._target(named.value, local), str
        ):
            self.packages.add(package)
        elif isinstance(named, ast.Name) and isinstance(
            made := self.owner.symbols[named.id][0], ast.Assign
        ):
            self.packages.add(str(ast.literal_eval(made.value)))
        else:
            raise AssertionError(f"{self.owner.name}: which package is {ast.unparse(named)}?")

    def _add_file(self, path: Path) -> None:
        if path.exists() and path not in self.files:
            self.files.add(path)
            for name in _FILE.findall(path.read_text()):
                self._add_file(path.parent / name)
