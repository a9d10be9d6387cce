"""All of params.yaml against the code, before DVC removes a single out of a stage that would then fail."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskmill import components, metrics, space
from maskmill.config import Data, Params, Train
from maskmill.errors import MaskmillError
from maskmill.metrics import confusion
from maskmill.outs import check_outs
from maskmill.repository import check_inside

if TYPE_CHECKING:
    from torch import nn


def check(params: Params) -> None:
    """Raises: MaskmillError for a name or value that some stage would refuse later, or that none would."""
    from maskmill.data import augmentation, own_expectations
    from maskmill.training import hardware, pretrained

    check_inside(params.paths.versioned)
    check_outs(params)
    check_metrics(params)
    for variant, options in params.models.items():
        if variant in params.variants:
            check_variant(variant, options, params.data, Path(params.paths.state), params.train)
        else:  # its options alone; weights may come once it is chosen
            alone, _ = pretrained.split(options, f"params.yaml: models.{variant}.{pretrained.SETTING}")
            check_variant(variant, alone, params.data)
    _check_losses(params.train, params.data)
    hardware.precision(params.train, hardware.device(params.train))
    augmentation.recipe(params.augmentation, params.data.ignore_index)
    own_expectations.create(params.validation)
    _check_space(params)


def _check_space(params: Params) -> None:
    """What `maskmill tune` may try must be allowed."""
    for choice, changed in space.candidates(params):
        try:
            for variant in changed.variants:
                check_variant(variant, changed.models[variant], changed.data, Path(changed.paths.state))
            _check_losses(changed.train, changed.data)
        except MaskmillError as error:
            raise MaskmillError(f"params.yaml: tune.space: with {choice}: {error}") from None


def _check_losses(train: Train, data: Data) -> None:
    from maskmill import losses

    weights = None if train.class_weights is None else [1.0] * len(data.classes)  # the real ones need the manifest
    foreground = {data.classes[i]: i for i in data.foreground}
    losses.create(train.losses, data.ignore_index, foreground=foreground, class_weights=weights)


def check_metrics(params: Params) -> None:
    """Names of metrics, which cost no time to check. Raises: MaskmillError for one that there is not."""
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
        if metrics.key(name) in families.lower:
            raise MaskmillError(
                f"params.yaml: gate.minimum: {name!r} is better the lower it is; a least value is allowed of scores "
                "that are better the higher they are; delete it"
            )


def check_variant(
    variant: str, options: dict[str, Any], data: Data, state: Path = Path(".maskmill"), train: Train | None = None
) -> None:
    """Make the variant without memory for its weights; hold a file of given weights against it.

    Raises: MaskmillError when it cannot be made, the weights do not fit, or `train` is about parts that it has not.
    """
    import torch

    from maskmill import models
    from maskmill.training import optim, pretrained

    where = f"params.yaml: models.{variant}.{pretrained.SETTING}"
    options, weights = pretrained.split(options, where)
    for option in options.keys() & {"in_channels", "num_classes"}:
        raise MaskmillError(
            f"params.yaml: models.{variant}.{option} follows from the data and cannot be set; delete it"
        )
    with torch.device("meta"):
        model = models.create(variant, in_channels=data.in_channels, num_classes=len(data.classes), **options)
    if train is not None:
        optim.encoder(model, train)
    if weights is not None and not pretrained.is_version(weights, where):
        _check_weights(model, weights, data.in_channels, state, where)


def _check_weights(model: "nn.Module", setting: str, in_channels: int, state: Path, where: str) -> None:
    """Weights that are on this machine must fit; those that would be downloaded are held against it later."""
    from maskmill.models.weights import match
    from maskmill.training import pretrained

    if not pretrained.parse(setting, where).remote:
        given = pretrained.read(setting, state, where)
        match(model, given.tensors, in_channels=in_channels, where=where, source=given.source)
