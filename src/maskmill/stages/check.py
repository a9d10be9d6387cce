"""All of params.yaml against the code, before DVC removes a single out: not a stage of the DAG, but run before it."""

from typing import Any

import torch

from maskmill import components, losses, models
from maskmill.config import Augmentation, Data, Evaluation, Gate, Train
from maskmill.data import augmentation as augmentations
from maskmill.errors import MaskmillError
from maskmill.metrics import confusion
from maskmill.training import hardware


def check(
    data: Data, augmentation: Augmentation, variants: tuple[str, ...], models: dict[str, dict[str, Any]], train: Train,
    evaluation: Evaluation, gate: Gate,
) -> None:  # fmt: skip
    """Raises: MaskmillError for a name or value that some stage would refuse later."""
    for variant in variants:
        check_variant(variant, models[variant], data)
    losses.create(train.losses, data.ignore_index)
    hardware.device(train)
    augmentations.recipe(augmentation, data.ignore_index)
    known = confusion.names(data.classes)
    for key, name in [("evaluation.primary", evaluation.primary), *(("gate.minimum", name) for name in gate.minimum)]:
        if name not in known:
            raise MaskmillError(
                f"params.yaml: {key}: {name!r} is no metric{components.suggest(name, known)}; "
                f"there are {', '.join(known)}"
            )


def check_variant(variant: str, options: dict[str, Any], data: Data) -> None:
    """Make the variant without memory for its weights. Raises: MaskmillError when it cannot be made."""
    for option in options.keys() & {"in_channels", "num_classes"}:
        raise MaskmillError(
            f"params.yaml: models.{variant}.{option} follows from the data and cannot be set; delete it"
        )
    with torch.device("meta"):
        models.create(variant, in_channels=data.in_channels, num_classes=len(data.classes), **options)
