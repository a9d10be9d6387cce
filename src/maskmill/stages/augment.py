"""augment: freeze the recipe, prove it on this data, draw a preview."""

from pathlib import Path

from maskmill.config import Augmentation, Data, Paths
from maskmill.data import augmentation as augmentations
from maskmill.data import decode
from maskmill.data.shards import Shard
from maskmill.errors import MaskmillError
from maskmill.evaluation import pictures

_PROVED = 500  # training pairs that the recipe is tried on, at most


def augment(paths: Paths, data: Data, augmentation: Augmentation) -> None:
    """Write data/prepared/augmentation.json and reports/augmentation.png.

    Raises: MaskmillError for a bad recipe, or one that brings a class id into a mask that did not hold it.
    """
    recipe = augmentations.recipe(augmentation, data.ignore_index)
    shard = Shard(Path(paths.prepared) / "shards", "train")
    for i in range(min(len(shard), _PROVED)):
        image, mask = shard[i]
        _, varied = recipe(image, mask, (0, 0, i))
        if invented := augmentations.invented_ids(mask, varied, data.ignore_index):
            raise MaskmillError(
                f"params.yaml: augmentation.transforms: the recipe brings the ids {invented} into the mask of "
                f"{shard.ids[i]}, which did not hold them; masks must be warped with nearest-neighbour interpolation"
            )
    recipe.save(Path(paths.prepared) / "augmentation.json")
    sheet = pictures.augmentation_sheet(shard, recipe, data.palette, augmentation.preview)
    decode.write_png(Path(paths.reports) / "augmentation.png", sheet)
    print(f"augment: {len(augmentation.transforms)} transforms, tried on {min(len(shard), _PROVED)} pairs")
