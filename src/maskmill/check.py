"""All of params.yaml against the code, before DVC removes a single out of a stage that would then fail."""

from typing import Any

from maskmill import components, metrics
from maskmill.config import Data, Params
from maskmill.errors import MaskmillError
from maskmill.metrics import confusion
from maskmill.repository import check_inside


def check(params: Params) -> None:
    """Raises: MaskmillError for a name or value that some stage would refuse later, or that none would."""
    from maskmill import losses
    from maskmill.data import augmentation, own_expectations
    from maskmill.training import hardware

    check_inside(params.paths.versioned)
    check_metrics(params)
    for variant in params.variants:
        check_variant(variant, params.models[variant], params.data)
    losses.create(params.train.losses, params.data.ignore_index)
    hardware.device(params.train)
    augmentation.recipe(params.augmentation, params.data.ignore_index)
    own_expectations.create(params.validation)


def check_metrics(params: Params) -> None:
    """Names of metrics, which cost no time to check. Raises: MaskmillError for one that there is not."""
    data = params.data
    headline = confusion.names(data.classes)
    families = metrics.create(params.metrics, metrics.Labels(data.classes, data.foreground, data.ignore_index))
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


def check_variant(variant: str, options: dict[str, Any], data: Data) -> None:
    """Make the variant without memory for its weights. Raises: MaskmillError when it cannot be made."""
    import torch

    from maskmill import models

    for option in options.keys() & {"in_channels", "num_classes"}:
        raise MaskmillError(
            f"params.yaml: models.{variant}.{option} follows from the data and cannot be set; delete it"
        )
    with torch.device("meta"):
        models.create(variant, in_channels=data.in_channels, num_classes=len(data.classes), **options)
