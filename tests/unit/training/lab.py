"""A tiny training on shapes that can be built and started as often as wanted."""

import torch

from maskmill import losses, models
from maskmill.images.moments import moments
from maskmill.metrics import Labels
from maskmill.samples import augmentation
from maskmill.samples.preprocessing import Preprocessing
from maskmill.settings.config import Augmentation
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.loading import Loading
from maskmill.training.loop import Training, Validator

FLIP = ({"HorizontalFlip": {"p": 0.5}},)
OPTIONS = {
    "unet": {"feature_scale": 16},
    "unet_pp": {"feature_scale": 16},
    "resnet18_unet": {"width": 8},
}


class Stopped(Exception):
    """The power fails."""


class Lab:
    """The shapes, and settings of a few steps; every checkpoint is written."""

    def __init__(self, make_shard, draw_shapes, params, data, folder):
        self.shard, self.val = make_shard(draw_shapes(8)), make_shard(draw_shapes(2, seed=1), "val")
        self.folder, self.data = folder, data
        self.recipe = augmentation.build_recipe(
            Augmentation(crop_px=None, preset="none", transforms=FLIP, preview=1), 255
        )
        self.settings = params.train.model_copy(
            update={"seed": 0, "steps": 12, "batch_size": 3, "learning_rate": 1e-2,
                    "weight_decay": 0.01, "warmup_steps": 2, "val_every_steps": 2, "patience": 100,
                    "device": "cpu", "precision": "fp32", "threads": 1, "workers": 0,
                    "checkpoint_every_s": 0.0}
        )  # fmt: skip

    def training(self, loss=None, variant="unet", **changes):
        train = self.settings.model_copy(update=changes)
        torch.manual_seed(train.seed)
        model = models.create(variant, in_channels=1, num_classes=4, **OPTIONS[variant])
        loss = loss or losses.create({"cross_entropy": 1.0, "dice": 1.0}, 255)
        return Training(
            model, loss, Preprocessing.fit(moments(image) for image, _ in self.shard), train
        )

    def fit(self, training, name, log=lambda rows: None, metric="dice_foreground", val=None):
        labels = Labels(self.data.classes, self.data.foreground, 255)
        loading = Loading(self.shard, self.recipe, training.train, workers=training.train.workers)
        checkpoints = Checkpoints(self.folder / name, training.train.checkpoints_kept)
        return training.fit(
            loading, Validator(val or self.val, labels, metric), checkpoints, log, "unet"
        )


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def stop_after(validations):
    """A `log` that ends the training at the validation after so many."""
    seen = []

    def log(rows):
        seen.extend(rows)
        if len(seen) > validations:
            raise Stopped

    return log
