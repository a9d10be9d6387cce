"""A training as a checkpoint, and back: all of it, so that going on equals never having stopped."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from maskmill.training.checkpoint import TrainingState

if TYPE_CHECKING:
    from maskmill.training.loop import Training


def capture_state(training: "Training") -> TrainingState:
    """The state after the last step."""
    tensors = {f"model/{name}": value for name, value in training.plain.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in training.best.items()}
    if training.average is not None:
        tensors |= {
            f"average/{name}": value
            for name, value in training.average.network.state_dict().items()
        }
    for i, moments in training.optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer/{i}/{name}": value for name, value in moments.items() if value is not None
        }
    if training.losses:
        tensors["losses/since_validation"] = torch.stack(training.losses)
    facts = {
        "history": training.history, "best_step": training.best_step,
        "best_score": training.best_score, "seconds": training.seconds,
        "skipped": training.guard.skipped, "pieces": training.pieces,
        "scaler": training.fabric.strategy.precision.state_dict(),
    }  # fmt: skip
    return TrainingState(training.step, tensors, facts)


def state_bytes(training: "Training") -> int:
    """About how many bytes the state takes once all is there.

    It holds weights, the best of them, their average, and moments.
    """
    copies = 4 if training.average is None else 5
    weights: int = sum(value.nbytes for value in training.plain.state_dict().values())
    return copies * weights


def restore_state(training: "Training", state: TrainingState) -> None:
    """Put the state into a training that was made anew with the same settings."""
    parts: dict[str, dict[str, Tensor]] = {
        p: {} for p in ("model", "best", "average", "optimizer", "losses")
    }
    for name, value in state.tensors.items():
        part, rest = name.split("/", 1)
        parts[part][rest] = value
    training.plain.load_state_dict(parts["model"])
    if training.average is not None:
        training.average.network.load_state_dict(parts["average"])
    _restore_moments(training.optimizer, parts["optimizer"])
    training.step, training.best = state.step, parts["best"]
    losses = parts["losses"].get("since_validation", torch.empty(0)).to(training.fabric.device)
    training.losses = list(losses.unbind())
    facts = state.facts
    training.history, training.seconds = facts["history"], facts["seconds"]
    training.best_step, training.best_score = facts["best_step"], facts["best_score"]
    training.guard.skipped, training.pieces = facts["skipped"], facts["pieces"]
    training.fabric.strategy.precision.load_state_dict(facts["scaler"])


def _restore_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    trained: list[nn.Parameter] = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        i, moment = name.split("/")
        moments.setdefault(int(i), {})[moment] = _laid_out_as(trained[int(i)], value)
    optimizer.load_state_dict(
        {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in its parameter's memory layout.

    The fused kernels take that layout for granted without looking.
    """
    if moment.shape != parameter.shape:
        return moment  # the step count
    return torch.empty_like(parameter, dtype=moment.dtype, requires_grad=False).copy_(moment)
