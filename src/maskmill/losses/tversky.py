"""Tversky and focal Tversky loss over a batch."""

from torch import Tensor

from maskmill.losses import Loss
from maskmill.losses._regions import mean_over_present, overlap_sums
from maskmill.system.errors import MaskmillError

_NEAR_0 = 1e-9  # below it the slope of a root is no number


def tversky(
    *, ignore_index: int, alpha: float = 0.3, beta: float = 0.7, gamma: float = 1.0
) -> Loss:
    """Mean over the present classes of (1 - T)^(1 / gamma), T = TP / (TP + alpha FP + beta FN).

    Salehi et al., "Tversky loss function for image segmentation", arXiv:1706.05721: TP = sum p y,
    FP = sum p (1 - y), FN = sum (1 - p) y; beta above alpha asks for recall, alpha = beta = 0.5 is
    Dice. gamma above 1: Abraham and Khan, "A Novel Focal Tversky loss function", arXiv:1810.07842,
    who take 4/3. The sums run over all pixels of the batch that are not ignored; a class absent
    from the batch's targets is left out.
    Raises: MaskmillError for an alpha or beta that is not above 0, or a gamma below 1.
    """
    for name, value in {"alpha": alpha, "beta": beta}.items():
        if value <= 0:
            raise MaskmillError(
                f"params.yaml: train.losses.tversky.{name}: got {value}; more than 0 is needed"
            )
    if gamma < 1:
        raise MaskmillError(
            f"params.yaml: train.losses.tversky.gamma: got {gamma};"
            " 1 (plain Tversky) or more is needed"
        )

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        both, predicted, support = overlap_sums(logits, target, ignore_index)
        size = both + alpha * (predicted - both) + beta * (support - both)
        missed = 1 - both / size.where(support > 0, 1)
        return mean_over_present(
            missed if gamma == 1 else missed.clamp(min=_NEAR_0) ** (1 / gamma), support
        )

    return loss
