"""The recipes that come with maskmill, in one table.

A row is a transform of albumentations, its options, and why it is there.

All work on any number of channels. None flips upside down what has an up and a down; borders that
come in are `ignore_index` in the mask.
"""

from typing import Any, NamedTuple


class PresetStep(NamedTuple):
    """One transform of a preset."""

    name: str
    options: dict[str, Any]
    reason: str


PRESETS: dict[str, tuple[PresetStep, ...]] = {
    "none": (),
    "light": (
        PresetStep("HorizontalFlip", {"p": 0.5}, "left and right mean the same"),
        PresetStep(
            "Affine",
            {"scale": [0.9, 1.1], "rotate": [-10, 10], "p": 0.5},
            "subjects differ in size and pose",
        ),
    ),
    # no flip: the side of a body is information
    "medical": (
        PresetStep(
            "Affine",
            {"scale": [0.9, 1.1], "rotate": [-10, 10], "p": 0.5},
            "subjects differ in size and pose",
        ),
        PresetStep(
            "ElasticTransform",
            {"alpha": 60.0, "sigma": 8.0, "p": 0.3},
            "tissue yields, by 2 px in the mean",
        ),
        PresetStep(
            "RandomGamma",
            {"gamma_limit": [75, 130], "p": 0.5},
            "scanners and stains differ in contrast",
        ),
        PresetStep("GaussNoise", {"std_range": [0.01, 0.05], "p": 0.3}, "dose and exposure differ"),
    ),
    "aerial": (
        PresetStep(
            "D4", {"p": 1.0}, "seen from above there is no up: all eight symmetries of the square"
        ),
        PresetStep("Affine", {"scale": [0.8, 1.25], "p": 0.5}, "height and resolution differ"),
        PresetStep(
            "RandomBrightnessContrast",
            {
                "brightness_limit": [-0.2, 0.2],
                "contrast_limit": [-0.2, 0.2],
                "brightness_by_max": False,
                "p": 0.5,
            },
            "sun and haze differ",
        ),
        PresetStep("GaussNoise", {"std_range": [0.01, 0.03], "p": 0.2}, "sensors differ"),
    ),
    # never upside down, and hardly turned: the sky stays above
    "street": (
        PresetStep("HorizontalFlip", {"p": 0.5}, "one drives on the left or on the right"),
        PresetStep(
            "Affine",
            {"scale": [0.8, 1.25], "rotate": [-3, 3], "p": 0.5},
            "distance; a camera hardly tilts",
        ),
        PresetStep(
            "RandomBrightnessContrast",
            {
                "brightness_limit": [-0.3, 0.3],
                "contrast_limit": [-0.2, 0.2],
                "brightness_by_max": False,
                "p": 0.5,
            },
            "hour, weather and exposure differ",
        ),
        PresetStep(
            "RandomGamma", {"gamma_limit": [70, 140], "p": 0.3}, "shadows are deep or light"
        ),
        PresetStep("GaussianBlur", {"sigma_limit": [0.5, 1.5], "p": 0.2}, "speed and focus"),
        PresetStep("GaussNoise", {"std_range": [0.01, 0.04], "p": 0.2}, "cameras in the dark"),
    ),
}
