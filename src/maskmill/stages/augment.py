"""augment: freeze the recipe, prove it on this data, draw a preview."""

import logging
from pathlib import Path

from maskmill.images import decode
from maskmill.report import pictures
from maskmill.samples import proof
from maskmill.samples.augmentation import build_recipe, single_transforms
from maskmill.samples.shards import Shard
from maskmill.settings.config import Augmentation, Data, Paths

_log = logging.getLogger(__name__)


def augment(paths: Paths, data: Data, augmentation: Augmentation) -> None:
    """Write data/prepared/augmentation.json and reports/augmentation.png.

    Raises: MaskmillError for a bad recipe, or one that does not keep image and mask together on
        these pairs.
    """
    recipe = build_recipe(augmentation, data.ignore_index)
    parts = single_transforms(augmentation, data.ignore_index, always=True)
    shard = Shard(Path(paths.prepared) / "shards", "train")
    tried = proof.prove_recipe(augmentation, data.ignore_index, shard)
    recipe.save(Path(paths.prepared) / "augmentation.json")
    sheet = pictures.augmentation_sheet(shard, recipe, parts, data.palette, augmentation.preview)
    decode.write_png(Path(paths.reports) / "augmentation.png", sheet)
    _log.info(
        f"augment: preset {augmentation.preset}, {len(parts)} transforms, proved on {tried} pairs"
    )
