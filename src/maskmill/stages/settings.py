"""settings: note the settings and code of each stage, so that DVC runs again what they change."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskmill import stages
from maskmill.settings import config
from maskmill.settings.config import Params, Paths
from maskmill.settings.network_names import spelt_out
from maskmill.system import code_digest, components, files
from maskmill.system.errors import MaskmillError, few_of
from maskmill.system.syntax import Symbol

_log = logging.getLogger(__name__)

_ITSELF = _FOLDER = "settings"
_CODE = "code"  # beside the sections of the settings
_SHOWN = 5


def settings(paths: Paths) -> None:
    """Write data/prepared/settings/: a file for each stage, or for each variant of one.

    A variant's file is named `train-unet.json`. It holds the sections of the settings that the
    stage takes, with the defaults of what params.yaml leaves out, and a digest of the code that it
    reaches.
    """
    params = config.load()
    values, kind = params.model_dump(mode="json"), _source_kind(params)
    written: set[Path] = set()
    changes: list[str] = []
    for name in components.names(stages.__name__):
        if name != _ITSELF:
            for variant in (
                params.variants
                if "variant" in code_digest.parameters(_entry_point(name))
                else ("",)
            ):
                file, new = (
                    settings_file(paths, name, variant),
                    _file_content(name, variant, values, kind),
                )
                with contextlib.suppress(OSError, ValueError):  # there is none, or it was cut off
                    changes += _changes(file.stem, files.read_json(file), new)
                files.write_json(file, new)
                written.add(file)
    # files of a variant that is none any more
    for file in set((Path(paths.prepared) / _FOLDER).glob("*.json")) - written:
        file.unlink()
    if changes:
        _log.info(f"settings: changed: {few_of(list(dict.fromkeys(changes)), _SHOWN)}")
    _log.info(f"settings: {len(written)} files -> {Path(paths.prepared) / _FOLDER}")


def settings_file(paths: Paths, stage: str, variant: str) -> Path:
    """Where the settings of a stage stand; `variant` is empty where the stage runs once."""
    return Path(paths.prepared) / _FOLDER / f"{'-'.join(filter(None, (stage, variant)))}.json"


def check_settings_unchanged(stage: str, variant: str, params: Params) -> None:
    """Check that params.yaml was not edited after the settings of the stage were noted.

    Raises: MaskmillError where it was.
    """
    file = settings_file(params.paths, stage, variant)
    if not file.exists():
        return
    noted, now = files.read_json(file), _sections_of(stage, variant, params.model_dump(mode="json"))
    if changes := list(_differences("", noted | {_CODE: ""}, now | {_CODE: ""})):
        raise MaskmillError(
            f"{stage}: params.yaml was edited while the pipeline ran ({few_of(changes, 3)}); start"
            " the same command again"
        )


def check_code_unchanged(stage: str, variant: str, params: Params) -> None:
    """Raises: MaskmillError where the code of a stage was edited after its digest was noted."""
    file = settings_file(params.paths, stage, variant)
    if not file.exists() or _newest_change_ns() <= file.stat().st_mtime_ns:
        return
    values = params.model_dump(mode="json")
    if files.read_json(file)[_CODE] != _code_of(stage, variant, values, _source_kind(params)):
        raise MaskmillError(
            f"{stage}: its code was edited while the pipeline ran, so nobody knows which of it made"
            " the results; start the same command again"
        )


def _file_content(stage: str, variant: str, values: dict[str, Any], kind: Any) -> dict[str, Any]:
    return _sections_of(stage, variant, values) | {_CODE: _code_of(stage, variant, values, kind)}


def _entry_point(stage: str) -> Symbol:
    return f"{stages.__name__}.{stage}", stage


def _sections_of(stage: str, variant: str, values: dict[str, Any]) -> dict[str, Any]:
    """The sections that a stage takes; places are deps and outs in dvc.yaml."""
    sections = [
        name
        for name in code_digest.parameters(_entry_point(stage))
        if name in values and name != "paths"
    ]
    taken = {name: values[name] for name in sections}
    if variant and "models" in taken:
        taken["models"] = {variant: taken["models"][variant]}
    return taken


def _source_kind(params: Params) -> Any:
    """What names the code that reads the source; None where nothing does."""
    source = config.read_yaml(Path(params.paths.source_config))
    return source.get("kind") if isinstance(source, dict) else None


def _code_of(stage: str, variant: str, values: dict[str, Any], kind: Any) -> str:
    """The digest of the code that a stage reaches by the sections that it takes."""
    words = code_digest.strings_in([_sections_of(stage, variant, values), kind])
    for name in {variant} if variant else words & set(values["variants"]):
        chosen = values["models"][name]
        words |= {*code_digest.strings_in(chosen), spelt_out(chosen["network"])[0]}
    return code_digest.digest(_entry_point(stage), words)


def _changes(stage: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """What differs between the files of a stage, in words."""
    if before[_CODE] != after[_CODE]:
        yield f"code of {stage}"
    yield from _differences("", before | {_CODE: ""}, after | {_CODE: ""})


def _differences(path: str, before: Any, after: Any) -> Iterator[str]:
    """The settings that differ: "train.seed 0 -> 1"."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            yield from _differences(f"{path}.{key}".lstrip("."), before.get(key), after.get(key))
    elif before != after:
        yield f"{path} {_value_in_words(before)} -> {_value_in_words(after)}"


def _value_in_words(value: Any) -> str:
    return "null" if value is None else str(value)


def _newest_change_ns() -> int:
    root = Path(stages.__file__).parents[1]
    return max(path.stat().st_mtime_ns for path in root.rglob("*") if path.suffix in {".py", ".j2"})
