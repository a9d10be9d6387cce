"""Images and masks that a source makes of files: pages of stacks, masks of an image's objects."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maskmill.images import decode, labels
from maskmill.settings.config import IGNORE, Data
from maskmill.sources._annotated import background_id
from maskmill.system.errors import MaskmillError


@dataclass(frozen=True)
class ImagePage:
    """A page of a stack of images; called, it gives (H, W, channels) uint8."""

    path: Path
    page: int
    data: Data = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def __call__(self) -> np.ndarray:
        return decode.image(self.path, self.data.in_channels, self.data.decoding, page=self.page)


@dataclass(frozen=True)
class MaskPage:
    """A page of a stack of masks; called, it gives stored values (H, W) or colours (H, W, 3)."""

    path: Path
    page: int
    data: Data = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def __call__(self) -> np.ndarray:
        stored = labels.stored_values(self.path, self.data, page=self.page)
        if stored.dtype != np.int32:
            return stored
        ignored = [v for v, name in (self.data.values or {}).items() if name == IGNORE]
        stored[stored == decode.NO_DATA] = ignored[0] if ignored else self.data.ignore_index
        return stored.astype(np.uint16)


@dataclass(frozen=True)
class ObjectMasks:
    """Masks of one image, one for each object or class; called, they give (H, W) uint8 class ids.

    Every pixel that is not 0 (black) belongs to the mask's class, which is that of its name or, of
    "", the one foreground class. Of two masks that overlap the later one wins.
    """

    parts: tuple[tuple[str, Path], ...]  # class, file
    data: Data = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for _, path in self.parts)

    def __call__(self) -> np.ndarray:
        drawn: np.ndarray | None = None
        for name, path in self.parts:
            by_threshold = self.data.threshold is not None
            stored = decode.mask(
                path, self.data.decoding, palette_colours=by_threshold, lossy=by_threshold
            )
            grey = stored.max(axis=2) if stored.ndim == 3 else stored
            if drawn is None:
                drawn = np.full(grey.shape, background_id(self.data), np.uint8)
            elif drawn.shape != grey.shape:
                height, width = drawn.shape
                raise MaskmillError(
                    f"{path}: {grey.shape[1]} x {grey.shape[0]} px; the other masks of its image "
                    f"have {width} x {height}; export it in the size of the image"
                )
            drawn[grey >= (self.data.threshold or 1)] = self._class_id(name, path)
        assert drawn is not None
        return drawn

    def _class_id(self, name: str, path: Path) -> int:
        classes = self.data.classes
        foreground = [i for i, each in enumerate(classes) if each != self.data.background]
        if not name and len(foreground) == 1:
            return foreground[0]
        if name not in classes:
            raise MaskmillError(
                f"{path}: class {name or 'of an object'!r} is none of data.classes in params.yaml, "
                f"{', '.join(classes)}; add it there"
            )
        return classes.index(name)


@dataclass(frozen=True)
class BackgroundMask:
    """The mask of an image without any object; called, it gives (H, W) uint8 of the background."""

    image: Path
    data: Data = field(repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        return ()

    def __call__(self) -> np.ndarray:
        decoding = self.data.decoding
        header = decode.header(self.image, decoding)
        size = (header.height, header.width)
        if header.orientation >= 5 and decoding.exif == "upright":
            size = (header.width, header.height)
        return np.full(size, background_id(self.data), np.uint8)
