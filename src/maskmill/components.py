"""Parts by name: one file of a package is one part, and its options are those of its function.

A package of parts (`models.networks`, `losses`, `data.datasets`) holds one module per part; the module's function of
the same name makes it. Adding a part is adding a file.
"""

import difflib
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from maskmill.errors import MaskmillError


def names(package: str) -> list[str]:
    """The parts that `package` holds, in alphabetical order; imports none of them."""
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def factory(package: str, name: str, where: str) -> Callable[..., Any]:
    """The function that makes part `name`; `where` is the setting that a user would change.

    Raises: MaskmillError when there is no such part.
    """
    known = names(package)
    if name not in known:
        raise MaskmillError(f"{where}: {name!r} is not known{suggest(name, known)}; known are {', '.join(known)}")
    made: Callable[..., Any] = getattr(importlib.import_module(f"{package}.{name}"), name)
    return made


def check_options(function: Callable[..., Any], options: Iterable[str], where: str, hidden: Iterable[str] = ()) -> None:
    """Hold option names against the keyword parameters of `function` but the `hidden` ones.

    Raises: MaskmillError naming the unknown option, the nearest known one, and all that are allowed.
    """
    allowed = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.name not in ("self", *hidden)
    ]
    for option in options:
        if option not in allowed:
            raise MaskmillError(
                f"{where}.{option} is not an option{suggest(option, allowed)}; allowed are {', '.join(allowed)}"
            )


def create(package: str, name: str, where: str, given: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Make part `name` from what the program gives and what the user chose.

    Raises: MaskmillError for an unknown part, an unknown or missing option, one that the program sets itself, or a
    value of another type than the part asks for.
    """
    make = factory(package, name, where)
    for option in options:
        if option in given:
            raise MaskmillError(f"{where}.{option} follows from the data and cannot be set; delete it")
    check_options(make, options, where, hidden=given)
    _check_values(make, given, options, where)
    return make(**given, **options)


def _check_values(make: Callable[..., Any], given: Mapping[str, Any], options: Mapping[str, Any], where: str) -> None:
    """Hold option values against the annotations of `make`, strictly: YAML reads `no` as text, not as false."""
    types = typing.get_type_hints(make, include_extras=True)  # with their bounds
    for name, parameter in inspect.signature(make).parameters.items():
        if name in options:
            try:
                TypeAdapter(types[name], config=ConfigDict(strict=True)).validate_python(options[name])
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise MaskmillError(f"{where}.{name}: got {options[name]!r}: {message}") from None
        elif parameter.default is parameter.empty and name not in given:
            raise MaskmillError(f"{where}.{name} is missing; add it")


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
