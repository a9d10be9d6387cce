"""U-Net++: Zhou et al., arXiv:1807.10165."""

from typing import Unpack

from torch import Tensor, nn

from maskmill.models.blocks import GateFactory, Head, init_he
from maskmill.models.decoders import Up
from maskmill.models.parts import (
    BOTTLENECKS,
    UPSAMPLING,
    Bottleneck,
    BottleneckName,
    GateName,
    check_least,
    gate_named,
)
from maskmill.models.squeeze_excite import wake_gates
from maskmill.models.unet import Levels, Shape, scaled_filters


class UNetPP(nn.Module):
    """A U-Net whose skips are nests of up-steps (fig. 1a).

    Node x{i}_{j} joins x{i}_0 .. x{i}_{j-1} and x{i+1}_{j-1}.

    With deep supervision (sec. 3.2) every node of the top row has a head of its own; `aux_heads`
    gives the weight of the loss of each but the last, whose logits are those of evaluation (the
    paper's fast mode at full depth).
    Shape: (N, C, H, W) -> logits (N, num_classes, H, W); in train mode with deep supervision a dict
        of them.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        deep_supervision: float,
        gate: GateFactory | None,
        bottleneck: Bottleneck | None,
        **shape: Unpack[Shape],
    ) -> None:
        super().__init__()
        widths = scaled_filters(shape.get("feature_scale", 1))
        norm, upsampling = (
            shape.get("batch_norm", True),
            UPSAMPLING[shape.get("upsampling", "bilinear")],
        )
        self.depth = len(widths) - 1
        self.levels = Levels(widths, in_channels=in_channels, norm=norm, gate=gate)
        self.bottleneck = bottleneck(widths[-1]) if bottleneck else nn.Identity()
        self.nodes = nn.ModuleDict()
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                below, out = widths[i + 1], widths[i]
                self.nodes[f"x{i}_{j}"] = Up(
                    below, out, out, n_concat=j + 1, norm=norm, upsampling=upsampling, gate=gate
                )
        self.aux_heads = {
            f"x0_{j}": deep_supervision for j in range(1, self.depth) if deep_supervision
        }
        self.heads = nn.ModuleDict(
            {name: Head(widths[0], num_classes) for name in (*self.aux_heads, "logits")}
        )
        self.apply(init_he).apply(wake_gates)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        *maps, deepest = self.levels(x)
        # rows[i][j] is x{i}_{j}, at stride 2^i
        rows = [[m] for m in (*maps, self.bottleneck(deepest))]
        for j in range(1, self.depth + 1):
            for i in range(self.depth + 1 - j):
                rows[i].append(self.nodes[f"x{i}_{j}"](rows[i + 1][j - 1], *rows[i]))
        logits: Tensor = self.heads["logits"](rows[0][-1])
        if not (self.training and self.aux_heads):
            return logits
        return {"logits": logits} | {
            name: self.heads[name](rows[0][j]) for j, name in enumerate(self.aux_heads, 1)
        }


def unet_pp(
    *,
    in_channels: int,
    num_classes: int,
    deep_supervision: float = 1.0,
    gate: GateName | None = None,
    reduction: int | None = None,
    bottleneck: BottleneckName | None = None,
    **shape: Unpack[Shape],
) -> nn.Module:
    """U-Net++ with the filters of U-Net over `feature_scale`; 2 gives the paper's.

    `deep_supervision` is the weight of each further head.

    1 is the paper's weight; with 0 there are no further heads.
    Raises: OptionError for too few filters, or a weight below 0.
    """
    check_least(0, deep_supervision=deep_supervision)
    return UNetPP(
        in_channels=in_channels,
        num_classes=num_classes,
        deep_supervision=deep_supervision,
        gate=gate_named(gate, reduction),
        bottleneck=BOTTLENECKS[bottleneck],
        **shape,
    )
