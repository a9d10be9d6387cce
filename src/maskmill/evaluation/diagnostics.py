"""The two weaknesses of segmentation networks: classes that are exchanged, and objects that fall apart."""

from typing import Any

from maskmill.metrics import Labels, Sample


class Diagnostics:
    """What is exchanged, where and how confidently; what falls apart, and how far from the boundary errors lie."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    def update(self, sample: Sample) -> None:
        """Take in one image."""

    def result(self) -> dict[str, Any]:
        """What was found, ready for JSON."""
        return {}
