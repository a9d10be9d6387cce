"""The package of a version: weights, card, the code that made them, and what they came from."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill import serving
from maskmill.settings import config
from maskmill.system import files
from maskmill.system.errors import MaskmillError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo

    from maskmill.inference.predict import Card

SHA256 = "weights_sha256"  # tag of a version; every served row carries the same value
# folders of a package: weights and card; LOCK and params.yaml; what a later gate compares by
MODEL, LINEAGE, EVIDENCE = "model", "lineage", "evidence"
LOCK = "dvc.lock"


def check_files(version: "ModelVersion") -> None:
    """Hold a version's weights against its tag, without loading them.

    Raises: MaskmillError where its files are gone, or are not those that were registered.
    """
    from maskmill.inference.predict import WEIGHTS

    weights, tag = download(version, MODEL) / WEIGHTS, version.tags.get(SHA256)
    digest = files.sha256(weights) if weights.exists() else "none, since the file is not there"
    if digest != tag:
        raise MaskmillError(
            f"{uri(version)}: its weights have sha256 {digest}, its tag {SHA256} says {tag}; "
            "bring the registry back (`maskmill registry restore`), or take another version"
        )


def lineage_files(version: "ModelVersion") -> dict[str, str]:
    """Name -> text of the dvc.lock and params.yaml of a version; versions of before have none."""
    try:
        folder = download(version, LINEAGE)
    except MaskmillError:
        return {}
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def requirements_of(version: "ModelVersion") -> list[str]:
    """The packages that a version needs, as `name==version`; [] where none are noted."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        path = mlflow.artifacts.download_artifacts(f"{uri(version)}/requirements.txt")
    except (MlflowException, OSError):
        return []
    return Path(path).read_text().split()


def log_model(
    folder: Path, card: "Card", run_id: str, evidence: Mapping[str, bytes]
) -> "ModelInfo":
    """Log weights, card, and the code that made them as a pyfunc model.

    The model is code and holds no pickle. `evidence`: name -> content of the files of EVIDENCE.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    from maskmill.inference.predict import CARD, WEIGHTS

    code = Path(serving.__file__).parent
    inputs = Schema([ColSpec("string", "image")])
    mask, error = (ColSpec("string", name, required=False) for name in ("mask", "error"))
    outputs = Schema([mask, ColSpec("string", SHA256), error])
    with (
        tempfile.TemporaryDirectory() as temporary,
        mlflow.start_run(run_id=run_id, log_system_metrics=False),
    ):
        staged = Path(temporary) / MODEL
        staged.mkdir()
        for name in (WEIGHTS, CARD):
            shutil.copy2(folder / name, staged / name)
        lineage = Path(temporary) / LINEAGE
        lineage.mkdir()
        for source in (Path(LOCK), Path(config.PARAMS)):
            if source.exists():
                shutil.copy2(source, lineage / source.name)
        kept = {MODEL: str(staged)}
        if any(lineage.iterdir()):
            kept[LINEAGE] = str(lineage)
        for name, content in evidence.items():
            files.write_bytes(Path(temporary) / EVIDENCE / name, content)
            kept[EVIDENCE] = str(Path(temporary) / EVIDENCE)
        package = Path(temporary) / "maskmill"
        shutil.copytree(code.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        return mlflow.pyfunc.log_model(
            name=card.variant,
            python_model=str(code / "model.py"),
            artifacts=kept,
            code_paths=[str(package)],
            signature=ModelSignature(inputs, outputs),
            input_example=(
                serving.input_example(card.in_channels) if card.in_channels in (1, 3) else None
            ),
            pip_requirements=serving.requirements(),
        )


def download(version: "ModelVersion", name: str) -> Path:
    """A folder of a version's package. Raises: MaskmillError where it is not there."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        found = Path(mlflow.artifacts.download_artifacts(f"{uri(version)}/artifacts/{name}"))
    except (MlflowException, OSError) as error:
        raise MaskmillError(
            f"{uri(version)}: its files cannot be read: {str(error)[:300]}; bring the "
            "registry back (`maskmill registry restore`), or take another version of `maskmill "
            "history`"
        ) from error
    if not found.is_dir():
        raise MaskmillError(f"{uri(version)}: there is no folder {name} in its package")
    return found


def uri(version: "ModelVersion") -> str:
    """`models:/NAME/NUMBER`."""
    return f"models:/{version.name}/{version.version}"
