"""Parts by name: one file of a package is one part, and its options are those of its function.

A package of parts (`models.networks`, `losses`, `sources`) holds one module per part; the module's
function of the same name makes it. Adding a part is adding a file.
"""

import difflib
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Unpack

from pydantic import ConfigDict, TypeAdapter, ValidationError

from maskmill.system.errors import MaskmillError, OptionError

_SUGGESTED = 3  # names at most


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
        raise MaskmillError(
            f"{where}: {name!r} is not known{suggest(name, known)}; known are {', '.join(known)}"
        )
    made: Callable[..., Any] = getattr(importlib.import_module(f"{package}.{name}"), name)
    return made


def functions(package: str, name: str) -> dict[str, Callable[..., Any]]:
    """Part -> its function `name`, of the parts of `package` that have such a one."""
    modules = {part: importlib.import_module(f"{package}.{part}") for part in names(package)}
    found = {part: getattr(module, name, None) for part, module in modules.items()}
    return {part: function for part, function in found.items() if function is not None}


def keywords(function: Callable[..., Any]) -> dict[str, bool]:
    """The keyword parameters of `function`, and whether each must be given.

    `**options: Unpack[Options]` stands for the keys of the TypedDict `Options`.
    """
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            found[parameter.name] = parameter.default is parameter.empty
        elif typed := _unpacked_typed_dict(parameter):
            found |= {
                name: name in typed.__required_keys__ for name in typing.get_type_hints(typed)
            }
    return found


def _unpacked_typed_dict(parameter: inspect.Parameter) -> Any:
    """The TypedDict of `**options: Unpack[...]`, None of any other parameter."""
    packed = typing.get_origin(parameter.annotation) is Unpack
    return typing.get_args(parameter.annotation)[0] if packed else None


def check_options(
    function: Callable[..., Any], options: Iterable[str], where: str, hidden: Iterable[str] = ()
) -> None:
    """Hold option names against the keyword parameters of `function` but the `hidden` ones.

    Raises: MaskmillError naming the unknown option, the nearest known one, and all that are
        allowed.
    """
    allowed = [name for name in keywords(function) if name not in ("self", *hidden)]
    for option in options:
        if option not in allowed:
            raise MaskmillError(
                f"{where}.{option} is not an option{suggest(option, allowed)}; allowed are"
                f" {', '.join(allowed)}"
            )


def create(
    package: str, name: str, where: str, given: Mapping[str, Any], options: Mapping[str, Any]
) -> Any:
    """Make part `name` from what the program gives and what the user chose.

    Raises: MaskmillError for an unknown part, an unknown or missing option, one that the program
        sets itself, or a value of another type than the part asks for.
    """
    make = factory(package, name, where)
    for option in options:
        if option in given:
            raise MaskmillError(
                f"{where}.{option} follows from the data and cannot be set; delete it"
            )
    check_options(make, options, where, hidden=given)
    _check_values(make, given, options, where)
    try:
        return make(**given, **options)
    except OptionError as error:
        raise MaskmillError(f"{where}.{error}") from None


def _check_values(
    make: Callable[..., Any], given: Mapping[str, Any], options: Mapping[str, Any], where: str
) -> None:
    """Check option values against the annotations of `make`, strictly.

    YAML reads `no` as text, not as false.
    """
    types = typing.get_type_hints(make, include_extras=True)  # with their bounds
    for parameter in inspect.signature(make).parameters.values():
        types |= (
            typing.get_type_hints(typed, include_extras=True)
            if (typed := _unpacked_typed_dict(parameter))
            else {}
        )
    for name, required in keywords(make).items():
        if name in options:
            try:
                TypeAdapter(types[name], config=ConfigDict(strict=True)).validate_python(
                    options[name]
                )
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise MaskmillError(f"{where}.{name}: got {options[name]!r}: {message}") from None
        elif required and name not in given:
            raise MaskmillError(f"{where}.{name} is missing; add it")


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known names that are most like it, or nothing."""
    section, dot, last = name.rpartition(".")  # of train.lr that is train, where its likes are
    beside = [
        other.removeprefix(section + dot) for other in known if other.startswith(section + dot)
    ]
    near = [repr(f"{section}{dot}{other}") for other in _nearest(last, beside)[:_SUGGESTED]]
    listed = " or ".join([", ".join(near[:-1]), near[-1]] if len(near) > 1 else near)
    return f"; did you mean {listed}?" if near else ""


def _nearest(name: str, known: list[str]) -> list[str]:
    """The known names that are like it in the strongest way in which any is."""
    plain, parts = _plain(name), _parts(name)
    shortened = {other: "".join(part[0] for part in _parts(other)) for other in known}
    ways: list[Callable[[str], bool]] = [
        lambda other: _plain(other) == plain,  # learningRate, Dice
        lambda other: _parts(other)[: len(parts)] == parts,  # dice: dice_foreground, dice/road
        lambda other: shortened[other] == plain and len(plain) > 1,  # lr: learning_rate
        lambda other: len(plain) > 2 and _plain(other).startswith(plain),  # augment: augmentation
    ]
    for way in ways:
        if found := [other for other in known if way(other)]:
            return found
    if found := difflib.get_close_matches(name, known, n=1):  # leraning_rate
        return found
    return _of_parts(parts, known)


def _of_parts(parts: list[str], known: list[str]) -> list[str]:
    """The known names that share the most parts: num_workers, workers; dize, dice_foreground."""
    shared = {
        other: sum(
            bool(difflib.get_close_matches(part, _parts(other), n=1, cutoff=0.75)) for part in parts
        )
        for other in known
    }
    most = max(shared.values(), default=0)
    return [other for other in known if most and shared[other] == most]


def _parts(name: str) -> list[str]:
    """The words of a name, in small letters."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()) or [""]


def _plain(name: str) -> str:
    return "".join(_parts(name))
