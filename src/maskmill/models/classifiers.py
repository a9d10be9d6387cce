"""The residual encoders as image classifiers, with all of torchvision's state-dict keys."""

from typing import Unpack

from torch import Tensor, nn

from maskmill.models.blocks import init_he
from maskmill.models.resnet import LAYOUTS, ResNetEncoder, ResNetLayout, ResNetOptions


class ResNetClassifier(ResNetEncoder):
    """The last map, averaged, and one linear layer `fc` (arXiv:1512.03385, table 1, last row).

    Shape: (N, C, H, W) -> logits (N, num_classes).
    """

    def __init__(
        self,
        layout: ResNetLayout,
        *,
        in_channels: int,
        num_classes: int,
        **options: Unpack[ResNetOptions],
    ) -> None:
        super().__init__(layout, in_channels=in_channels, **options)
        self.fc = nn.Linear(self.channels[-1], num_classes)
        self.apply(init_he)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # 1/4; no finer map is kept
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


def classifier(
    name: str, *, in_channels: int = 3, num_classes: int = 1000, **options: Unpack[ResNetOptions]
) -> ResNetClassifier:
    """The classifier of encoder `name`, as it is trained on ImageNet.

    Raises: KeyError for another name.
    """
    return ResNetClassifier(
        LAYOUTS[name], in_channels=in_channels, num_classes=num_classes, **options
    )
