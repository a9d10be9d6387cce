"""Registered versions: put one in, find one, and load the one that an alias points at."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.tracking import lineage, package, stores
from maskmill.tracking.stores import Store

# torch and mlflow take seconds to import, and a look at the aliases needs no torch
if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from maskmill.inference.predict import Predictor

CHAMPION, CHALLENGER = "champion", "challenger"
SHA256 = package.SHA256
TEST_DIGEST, TEST_SCORES = "test_digest", "test_scores"  # tags of a version
FLOW_RUN = "flow_run"  # tag of a version: the run of Prefect in which it was registered
# MLflow's answers for no such name, number or alias
_CLASH = "BAD_REQUEST"  # its answer where two write the same row of its database at once
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def load(uri: str) -> "Predictor":
    """A predictor from a registered version: `models:/NAME@champion` or `models:/NAME/3`.

    The store is that of MLFLOW_TRACKING_URI, else of the params.yaml in this folder or the nearest
    one above, whose section `inference` says how images are predicted.
    Raises: MaskmillError when there is no such version, or its weights are not those that were
        registered.
    """
    settings = config.load(_root() / config.PARAMS).inference
    return predictor(resolve(uri)).with_settings(settings)


def resolve(uri: str) -> "ModelVersion":
    """The version that `models:/NAME@ALIAS` or `models:/NAME/NUMBER` names now, as for `load`."""
    root = _root()
    params = config.load(root / config.PARAMS)
    return find_by_uri(stores.connect_store(params.tracking, params.paths, root), uri)


def find_by_uri(store: Store, uri: str) -> "ModelVersion":
    """The version that `models:/NAME@ALIAS` or `models:/NAME/NUMBER` names now."""
    name, alias, number = _parse_uri(uri)
    return find_version(store, name, alias=alias, number=number)


def find_version(
    store: Store, name: str, *, alias: str | None = None, number: str | None = None
) -> "ModelVersion":
    """The version with an alias or a number. Raises: MaskmillError when there is none."""
    from mlflow.exceptions import MlflowException

    try:
        if alias:
            return store.client.get_model_version_by_alias(name, alias)
        return store.client.get_model_version(name, str(number))
    except MlflowException as error:
        if error.error_code not in _ABSENT:
            raise  # a store that does not answer is not a store without a champion
        wanted = f"alias {alias!r}" if alias else f"number {number}"
        have = _describe(store, name)
        raise MaskmillError(f"no version of {name!r} has {wanted} in {store.uri}; {have}") from None


def champion(store: Store) -> "ModelVersion | None":
    """The version in service, or None before the first promotion."""
    try:
        return find_version(store, store.model, alias=CHAMPION)
    except MaskmillError:
        return None


def is_registered(store: Store, number: int) -> bool:
    """Whether the store's model has a version of this number."""
    try:
        find_version(store, store.model, number=str(number))
    except MaskmillError:
        return False
    return True


def point_alias(store: Store, alias: str, number: int) -> None:
    """Have the alias name a version; one that was deleted meanwhile leaves it where it is.

    Where two processes give a model its first alias of a name at once, MLflow answers one of them
    with an error of its database; the second try finds the alias there.
    """
    from mlflow.exceptions import MlflowException

    for again in (True, False):
        try:
            store.client.set_registered_model_alias(store.model, alias, str(number))
        except MlflowException as error:
            if error.error_code in _ABSENT:
                return
            if error.error_code != _CLASH or not again:
                raise
        else:
            return


def registered_weights(store: Store) -> set[str]:
    """The digests of all registered weights."""
    versions = store.client.search_model_versions(f"name = '{store.model}'")
    return {version.tags[SHA256] for version in versions if SHA256 in version.tags}


def predictor(version: "ModelVersion") -> "Predictor":
    """Load a version's weights without running any code or pickle that came with it.

    Raises: MaskmillError when the weights' digest is not the version's tag.
    """
    from maskmill.inference.predict import Predictor

    made = Predictor(package.download(version, package.MODEL))
    tag = version.tags.get(SHA256)
    if made.card.sha256 != tag:
        raise MaskmillError(
            f"{package.uri(version)}: its weights have sha256 {made.card.sha256[:16]}.., its tag "
            f"{SHA256} says {tag}"
        )
    return made


def register(
    store: Store,
    folder: Path,
    run_id: str,
    tags: Mapping[str, str],
    evidence: Mapping[str, bytes] | None = None,
) -> "ModelVersion":
    """The version of the weights in `folder`, registered before or now.

    A new version is registered under run `run_id`. Its package keeps the dvc.lock and params.yaml
    of this folder, its tags the flow run; `evidence` is what a later gate compares by.
    """
    from maskmill.inference.predict import read_card

    card = read_card(folder)
    with store.lock():
        for version in store.client.search_model_versions(f"name = '{store.model}'"):
            if version.tags.get(SHA256) == card.sha256 and version.status == "READY":
                return _tagged(store, version, tags)
        ended_ms = store.client.get_run(run_id).info.end_time
        info = package.log_model(folder, card, run_id, evidence or {})
        store.client.set_terminated(run_id, end_time=ended_ms)  # logging a model sets the end anew
        if not store.client.search_registered_models(f"name = '{store.model}'"):
            store.client.create_registered_model(store.model)
        if flow_run := os.environ.get(lineage.FLOW_VARIABLE):
            tags = {FLOW_RUN: flow_run, **tags}
        version = store.client.create_model_version(
            store.model, info.model_uri, run_id=run_id, model_id=info.model_id,
            tags={SHA256: card.sha256, "variant": card.variant, **tags},
        )  # fmt: skip
        return store.client.get_model_version(store.model, version.version)


def _tagged(store: Store, version: "ModelVersion", tags: Mapping[str, str]) -> "ModelVersion":
    for key, value in tags.items():
        store.client.set_model_version_tag(version.name, version.version, key, value)
    return store.client.get_model_version(version.name, version.version)


def _parse_uri(uri: str) -> tuple[str, str | None, str | None]:
    name, _, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = name.partition("/")
    if not uri.startswith("models:/") or not name or bool(alias) == bool(number):
        raise MaskmillError(
            f"load: got {uri!r}; allowed are 'models:/NAME@ALIAS' and 'models:/NAME/NUMBER'"
        )
    return name, alias or None, number or None


def _describe(store: Store, name: str) -> str:
    versions = sorted(
        int(v.version) for v in store.client.search_model_versions(f"name = '{name}'")
    )
    if not versions:
        return "no version is registered yet; `make pipeline` trains and registers one"
    example = f"models:/{name}/{versions[-1]}"
    return (
        f"its versions are {versions}; `maskmill gate` says why none was promoted, {example} loads"
        " one all the same"
    )


def _root() -> Path:
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / config.PARAMS).exists():
            return folder
    raise MaskmillError(f"no {config.PARAMS} in {Path.cwd()} or above; run inside the repository")
