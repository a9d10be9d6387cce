"""Check params.yaml against the code before DVC removes the outs of a stage that would fail."""

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

from maskmill import metrics
from maskmill.metrics import confusion
from maskmill.protection.outs import check_outs
from maskmill.settings import config, space
from maskmill.settings.config import Data, Params, Train, Variant
from maskmill.system import components
from maskmill.system.errors import MaskmillError
from maskmill.system.repository import check_inside

if TYPE_CHECKING:
    from torch import nn

_SQLITE = b"SQLite format 3\0"  # a file of its begins so
# those that SQLAlchemy takes
_DRIVERS = {"postgresql": "psycopg2", "mysql": "MySQLdb", "mssql": "pyodbc"}
_FLOAT = 4  # bytes
_COPIES = 3  # of the weights at the least: gradient and momentum
_DRAWING = ("normal_", "uniform_", "trunc_normal_")


def check(params: Params) -> None:
    """Check every setting of params.yaml against the code.

    Raises: MaskmillError for a name or value that some stage would refuse later, or that none
        would.
    """
    from maskmill.checks.crops import check_crop
    from maskmill.samples import augmentation
    from maskmill.training import hardware

    check_inside(params.paths.versioned)
    check_outs(params)
    check_store(params)
    check_metrics(params)
    for name, variant in params.models.items():
        if name in params.variants:
            check_variant(name, variant, params.data, Path(params.paths.state), params.train)
        else:  # its options alone; weights may come once it is chosen
            check_variant(name, variant.model_copy(update={"weights": None}), params.data)
    _check_losses(params.train, params.data)
    device = hardware.choose_device(params.train)
    hardware.choose_precision(params.train, device)
    hardware.check_devices(params.train, device)
    augmentation.build_recipe(params.augmentation, params.data.ignore_index)
    _check_batch(params, device)
    _check_columns(params)
    check_crop(params)
    _check_space(params)


def check_store(params: Params) -> None:
    """Check the address of the MLflow tracking store.

    Raises: MaskmillError where MLflow would refuse what MLFLOW_TRACKING_URI names, or the file of
        tracking.uri.
    """
    uri, where = params.tracking.uri, "params.yaml: tracking.uri"
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        uri, where = given, "environment: MLFLOW_TRACKING_URI"
        try:
            config.tracking_uri(given)
        except ValueError as error:
            scheme = given.partition(":")[0]  # the rest may hold a password
            raise MaskmillError(f"{where}: got {scheme}:..: {error}; change or unset it") from None
    database = re.match(r"(postgresql|mysql|mssql)(?:\+(\w+))?://", uri)
    if (
        database
        and importlib.util.find_spec(driver := database[2] or _DRIVERS[database[1]]) is None
    ):
        raise MaskmillError(
            f"{where}: {database[0]} needs the package {driver}, which is not installed;"
            " install it into .venv, or name the address of an MLflow server"
        )
    path = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if uri.startswith("sqlite:///") and path.exists() and not _is_store(path):
        raise MaskmillError(
            f"{where}: {path} is no sqlite file, and MLflow would not open it;"
            " name one of its own, sqlite:///.maskmill/mlflow/mlflow.db for example"
        )
    if uri.startswith("sqlite:///") and not os.access(_nearest(path), os.W_OK):
        raise MaskmillError(
            f"{where}: {path} cannot be written, since {_nearest(path)} is not yours to write;"
            " name a file in a folder of yours, sqlite:///.maskmill/mlflow/mlflow.db for example"
        )


def _nearest(path: Path) -> Path:
    """The path, or the first of the folders above it that is there."""
    return next((there for there in (path, *path.parents) if there.exists()), Path())


def _is_store(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) in (b"", _SQLITE)


def _check_columns(params: Params) -> None:
    """Check the columns of the manifest that settings name.

    The manifest itself is there only once `validate` has run.
    """
    import pandas as pd

    from maskmill.curation import manifest, own_expectations
    from maskmill.statistics import slices

    described = manifest.columns(params.data.classes)
    for where, expectation in own_expectations.create(params.validation):
        own_expectations.check_columns(where, expectation, pd.DataFrame(columns=described))
    slices.check_columns(
        params.slices.columns, pd.DataFrame(columns=[*described, *manifest.SPLIT_COLUMNS])
    )


def _check_batch(params: Params, device: str) -> None:
    """Check that the images of a batch and their logits fit into memory at all.

    The maps inside the network are not counted.
    """
    from maskmill.checks.crops import size_in_training
    from maskmill.training import hardware

    size = size_in_training(params)
    if size is None:
        return
    channels = params.data.in_channels + len(params.data.classes)
    needed = _FLOAT * params.train.batch_size * channels * size[0] * size[1]
    if needed > (there := hardware.memory_bytes(device)):
        raise MaskmillError(
            f"params.yaml: train.batch_size: {params.train.batch_size} images of {list(size)} px"
            f" and their logits take {needed / 1e9:,.0f} GB, and there are {there / 1e9:,.0f} GB;"
            " lower it, or augmentation.crop_px"
        )


def _check_space(params: Params) -> None:
    """What `maskmill tune` may try must be allowed."""
    from maskmill.training import hardware

    for choice, changed in space.candidate_settings(params):
        try:
            for name in changed.variants:
                check_variant(
                    name,
                    changed.models[name],
                    changed.data,
                    Path(changed.paths.state),
                    changed.train,
                )
            _check_batch(changed, hardware.choose_device(changed.train))
            _check_losses(changed.train, changed.data)
        except MaskmillError as error:
            raise MaskmillError(f"params.yaml: tune.space: with {choice}: {error}") from None


def _check_losses(train: Train, data: Data) -> None:
    from maskmill import losses

    # the real ones need the manifest
    weights = None if train.class_weights is None else [1.0] * len(data.classes)
    foreground = {data.classes[i]: i for i in data.foreground}
    losses.create(train.losses, data.ignore_index, foreground=foreground, class_weights=weights)


def check_metrics(params: Params) -> None:
    """Check the names of metrics, which takes no time.

    Raises: MaskmillError for an unknown metric, or a minimum of one that is better when lower.
    """
    data = params.data
    headline = confusion.names(data.classes)
    families = metrics.create(params.metrics, metrics.Labels.of(data))
    wanted = [("evaluation.primary", params.evaluation.primary, headline)]
    wanted += [("gate.minimum", name, list(families.names)) for name in params.gate.minimum]
    for key, name, known in wanted:
        if name not in known:
            raise MaskmillError(
                f"params.yaml: {key}: {name!r} is no metric{components.suggest(name, known)}; "
                f"there are {', '.join(known)}"
            )
    for name in params.gate.minimum:
        if metrics.definition_key(name) in families.lower:
            raise MaskmillError(
                f"params.yaml: gate.minimum: {name!r} is better the lower it is; a least value is"
                " allowed of scores that are better the higher they are; delete it"
            )


def check_variant(
    name: str,
    variant: Variant,
    data: Data,
    state: Path = Path(".maskmill"),
    train: Train | None = None,
) -> None:
    """Make the variant without memory for its weights; hold a file of given weights against it.

    Raises: MaskmillError when it cannot be made, the weights do not fit, or `train` is about parts
        that it has not.
    """
    import torch

    from maskmill import models
    from maskmill.training import hardware, optim
    from maskmill.weights import pretrained

    where = f"params.yaml: models.{name}"
    with torch.device("meta"), _Unfilled():
        model = models.create_from(
            variant.network,
            variant.options,
            where,
            in_channels=data.in_channels,
            num_classes=len(data.classes),
        )
    if train is not None:
        optim.find_encoder(model, train)
        _check_weights_fit(model, name, hardware.memory_bytes(hardware.choose_device(train)))
    if variant.weights is not None and not pretrained.is_version(
        variant.weights, where := f"{where}.weights"
    ):
        _check_weights(model, variant.weights, data.in_channels, state, where)


def _check_weights_fit(model: "nn.Module", variant: str, there: int) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    if (needed := _FLOAT * _COPIES * count) > there:
        raise MaskmillError(
            f"params.yaml: models.{variant}: {count:,} parameters take {needed / 1e9:,.0f} GB in"
            f" training, and there are {there / 1e9:,.0f} GB;"
            " lower its width, or raise its feature_scale"
        )


class _Unfilled(TorchFunctionMode):
    """Skip the random initialisation of weights that have no memory.

    For it, torch would import its compiler, which takes over a second.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call `function`, unless it draws numbers into a tensor."""
        if function.__name__ in _DRAWING:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def _check_weights(
    model: "nn.Module", setting: str, in_channels: int, state: Path, where: str
) -> None:
    """Check that weights on this machine fit the network.

    Weights that would be downloaded are checked later.
    """
    from maskmill.weights import pretrained
    from maskmill.weights.match import match_weights

    if not pretrained.parse(setting, where).remote:
        given = pretrained.read(setting, state, where)
        match_weights(
            model, given.tensors, in_channels=in_channels, where=where, source=given.source
        )
