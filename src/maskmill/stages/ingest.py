"""ingest: bring images and masks from their source to one form, data/raw."""

from pathlib import Path

import pandas as pd
from tqdm import tqdm

from maskmill import config, files
from maskmill.config import Data, Paths
from maskmill.data import datasets, decode
from maskmill.errors import MaskmillError

_SHOWN = 20  # bad files named in the message


def ingest(paths: Paths, data: Data) -> None:
    """Write data/raw: images/<id>.png, masks/<id>.png (class ids) and index.csv (id, group, order).

    Raises: MaskmillError that names every file that cannot be read.
    """
    raw, source = Path(paths.raw), Path(paths.source_config)
    pairs = list(datasets.create(config.read_yaml(source), Path(paths.source), data, source))
    broken: list[str] = []
    for pair in tqdm(pairs, "ingest", unit="pair", disable=None):
        for folder, read in (("images", pair.read_image), ("masks", pair.read_mask)):
            if read is None:  # reported by validate, with all the others
                (raw / folder / f"{pair.id}.png").unlink(missing_ok=True)
                continue
            try:
                decode.write_png(raw / folder / f"{pair.id}.png", read())
            except decode.DecodeError as error:
                broken.append(str(error))
    if broken:
        more = f"\n... and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        listed = "\n".join(broken[:_SHOWN])
        raise MaskmillError(f"{len(broken)} of the files in {paths.source} cannot be used:\n{listed}{more}")
    _drop_strangers(raw, {pair.id for pair in pairs})
    index = pd.DataFrame([(p.id, p.group, p.order) for p in pairs], columns=["id", "group", "order"])
    files.write_text(raw / "index.csv", index.to_csv(index=False))
    print(f"ingest: {len(index)} pairs in {index['group'].nunique()} groups -> {raw}")


def _drop_strangers(raw: Path, ids: set[str]) -> None:
    """Delete files of pairs that the source no longer has: a stage run by hand finds the folder as it was."""
    for path in (path for folder in ("images", "masks") for path in (raw / folder).glob("*.png")):
        if path.stem not in ids:
            path.unlink()
