"""code: note which code each stage reaches, so that DVC runs again what a change of it concerns, and nothing else."""

from pathlib import Path

from maskmill import code_digest, components, config, files, stages
from maskmill.config import Params, Paths

_ITSELF = "code"


def code(paths: Paths) -> None:
    """Write data/prepared/code/: a digest for each stage, `select`, or for each variant of it, `train-unet`."""
    params = config.load()
    folder = Path(paths.prepared) / "code"
    written = set()
    for name in components.names(stages.__name__):
        if name != _ITSELF:
            stage = (f"{stages.__name__}.{name}", name)
            for variant in params.variants if "variant" in code_digest.parameters(stage) else ("",):
                file = folder / "-".join(filter(None, (name, variant)))
                files.write_text(file, f"{code_digest.digest(stage, _words(params, variant))}\n")
                written.add(file)
    for file in set(folder.iterdir()) - written:  # of a variant that is none any more
        file.unlink()
    print(f"code: {len(written)} digests -> {folder}")


def _words(params: Params, variant: str) -> set[str]:
    """What may be the name of a part: all of params.yaml but other variants, and what reads the source."""
    values = params.model_dump(mode="json")
    if variant:
        values |= {"variants": [variant], "models": values["models"][variant]}
    return code_digest.words([values, config.read_yaml(Path(params.paths.source_config))])
