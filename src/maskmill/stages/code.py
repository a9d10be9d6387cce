"""code: note which code each stage reaches, so that DVC runs again what a change of it concerns, and nothing else."""

from pathlib import Path
from typing import Any

from maskmill import code_digest, components, config, files, stages
from maskmill.config import Params, Paths
from maskmill.errors import MaskmillError

_ITSELF = _FOLDER = "code"


def code(paths: Paths) -> None:
    """Write data/prepared/code/: a digest for each stage, `select`, or for each variant of it, `train-unet`."""
    params = config.load()
    settings, kind = params.model_dump(mode="json"), _source_kind(params)
    folder = Path(paths.prepared) / _FOLDER
    written = set()
    for name in components.names(stages.__name__):
        if name != _ITSELF:
            stage = (f"{stages.__name__}.{name}", name)
            for variant in params.variants if "variant" in code_digest.parameters(stage) else ("",):
                file = digest_file(paths, name, variant)
                files.write_text(file, f"{_digest(name, variant, settings, kind)}\n")
                written.add(file)
    for file in set(folder.iterdir()) - written:  # of a variant that is none any more
        file.unlink()
    print(f"code: {len(written)} digests -> {folder}")


def digest_file(paths: Paths, stage: str, variant: str) -> Path:
    """Where the digest of a stage stands; `variant` is empty where the stage runs once."""
    return Path(paths.prepared) / _FOLDER / "-".join(filter(None, (stage, variant)))


def _source_kind(params: Params) -> Any:
    """What names the code that reads the source; None where nothing does."""
    source = config.read_yaml(Path(params.paths.source_config))
    return source.get("kind") if isinstance(source, dict) else None


def _digest(stage: str, variant: str, settings: dict[str, Any], kind: Any) -> str:
    """The digest of the code that a stage reaches by the sections of `settings` that it takes."""
    symbol = (f"{stages.__name__}.{stage}", stage)
    taken = {section: settings[section] for section in code_digest.parameters(symbol) if section in settings}
    if variant and "models" in taken:
        taken["models"] = taken["models"][variant]
    return code_digest.digest(symbol, {*code_digest.words([taken, kind]), variant})


def check_unchanged(stage: str, variant: str, params: Params) -> None:
    """Raises: MaskmillError where the code of a stage was edited after its digest was written."""
    file = digest_file(params.paths, stage, variant)
    if not file.exists() or _newest_change_ns() <= file.stat().st_mtime_ns:
        return
    if file.read_text().strip() != _digest(stage, variant, params.model_dump(mode="json"), _source_kind(params)):
        raise MaskmillError(
            f"{stage}: its code was edited while the pipeline ran, so nobody knows which of it made the results; start "
            "the same command again"
        )


def _newest_change_ns() -> int:
    root = Path(stages.__file__).parents[1]
    return max(path.stat().st_mtime_ns for path in root.rglob("*") if path.suffix in {".py", ".j2"})
