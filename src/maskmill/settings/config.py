"""params.yaml as frozen, typed sections; the only reader of that file.

Each section is a class below; each field says its default, unit and meaning. A key that params.yaml
leaves out has its default; one that has none must be there. A key that is not here, or a value out
of range, is an error that names the key, the value, what is allowed and the file. Long on purpose:
every setting at one look.
"""

import ipaddress
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from maskmill.settings import network_names
from maskmill.system.components import suggest
from maskmill.system.errors import MaskmillError

PARAMS = Path("params.yaml")
IGNORE = "ignore"  # in `data.values`: pixels of this value take part in nothing
SPLITS = ("train", "val", "test")
RESERVED = (  # what the repository is made of besides data; no setting may lead there
    *(".ci", ".dvc", ".git", ".venv", ".venv-peers", "benchmarks", "docs", "experiments",
      "pipelines", "src", "tests"),
    *(".dvcignore", ".gitignore", ".pre-commit-config.yaml", "CITATION.cff", "LICENSE",
      "Makefile", "NOTICE"),
    *("README.md", "constraints.txt", "dvc.lock", "dvc.yaml", "params.yaml", "prefect.yaml",
      "pyproject.toml"),
    "predictions",
)  # fmt: skip
MAX_SIDE_PX = 16_384  # of a crop; one of three channels takes 3 GB as float32
WEIGHTS = (  # what models.NAME.weights may be
    "a file (safetensors or torch), https://HOST/FILE#sha256=DIGEST, "
    "models:/NAME@ALIAS, models:/NAME/NUMBER"
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Share = Annotated[float, Field(ge=0, le=1)]
# beyond, numbers do not fit into what computes with them
Natural = Annotated[int, Field(ge=0, le=10**12)]
Positive = Annotated[int, Field(ge=1, le=10**12)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Threads = Annotated[int, Field(ge=1, le=256)]  # more than two of the largest processors have cores
Processes = Annotated[int, Field(ge=0, le=256)]
GuardPlaces = Annotated[int, Field(ge=0, le=100_000)]
Trials = Annotated[int, Field(ge=1, le=100_000)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE_PX)]
Port = Annotated[int, Field(ge=1, le=65535)]
Byte = Annotated[int, Field(ge=0, le=255)]
Stored = Annotated[int, Field(ge=0, le=65535)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
Severity = Literal["critical", "warning", "info"]
# MLflow takes no other characters in a metric's name
ClassName = Annotated[str, Field(pattern=r"^\w[\w .:-]*$")]
_NAME = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, Field(pattern=_NAME)]


class Section(BaseModel):
    """A frozen part of params.yaml that refuses keys it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, protected_namespaces=(), allow_inf_nan=False
    )


def _inside(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(
            "must be a relative path inside the repository: DVC does not version what is outside"
        )
    return path


def _no_password(uri: str) -> str:
    if uri.startswith("http") and "@" in uri.partition("//")[2].partition("/")[0]:
        raise ValueError(
            "holds a user or password; give them by MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
    return uri


def tracking_uri(uri: str) -> str:
    """Check that MLflow opens the address: a database, or a server.

    Raises: ValueError for anything else.
    """
    known = re.match(
        r"sqlite:////?[^/]|(postgresql|mysql|mssql)(\+\w+)?://[^/]|databricks(://|$)", uri
    )
    if not known and not (uri.startswith(("http://", "https://")) and _address(uri)):
        raise ValueError(
            "is nothing that MLflow opens; allowed are sqlite:///FILE, http://HOST:PORT or "
            "https://HOST of a server, and postgresql://, mysql:// and mssql:// of a database"
        )
    return uri


def _address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port beyond 65535
        return False


def _host(host: str) -> str:
    if re.fullmatch(r"[\d.]+", host) or ":" in host:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(
                "is no IP address; allowed are 127.0.0.1, 0.0.0.0 or the name of this machine"
            ) from None
    elif not re.fullmatch(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", host):
        raise ValueError(
            "is no name of a machine; allowed are 127.0.0.1, 0.0.0.0 or the name of this machine"
        )
    return host


def _above_0(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _got_in_words(value: Any) -> str:
    """What `_explain` says of a value by itself, unless it is a mapping."""
    return f"got {value}: " if isinstance(value, dict) else ""


def _loss(value: Any) -> Any:
    if not _above_0(value.get("weight") if isinstance(value, dict) else value):
        raise ValueError(
            f"{_got_in_words(value)}needed is a weight above 0, "
            "or {weight: 1.0, and options of the loss}"
        )
    return value


def _class_weights(value: Any) -> Any:
    given = value.values() if isinstance(value, dict) else ()
    if value not in (None, "inverse", "median") and not (given and all(map(_above_0, given))):
        raise ValueError(
            f"{_got_in_words(value)}allowed are null, inverse, median, or {{class: weight above 0}}"
        )
    return value


def _weights(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        raise ValueError(f"allowed are {WEIGHTS}, or null for fresh weights")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _axis(value: Any) -> Any:
    if isinstance(value, list | tuple) and value:
        return tuple(value)
    given = value if isinstance(value, dict) else {}
    low, high, log = given.get("low"), given.get("high"), given.get("log", False)
    if (
        given.keys() - {"low", "high", "log"}
        or not isinstance(log, bool)
        or not (_is_number(low) and _is_number(high))
    ):
        raise ValueError(
            f"{_got_in_words(value)}needed is a list of values, "
            "or {low: 1.0e-4, high: 1.0e-2, log: true}"
        )
    if given["low"] >= given["high"] or (log and given["low"] <= 0):
        raise ValueError(
            f"{_got_in_words(value)}low must be below high{', and above 0 where log is true' * log}"
        )
    return value


TrackingUri = Annotated[str, AfterValidator(_no_password), AfterValidator(tracking_uri)]
Inside = Annotated[str, AfterValidator(_inside)]


class Paths(Section):
    """Where everything lies, relative to the repository."""

    source: Inside
    source_config: Inside
    splits: Inside
    weights: Inside
    raw: Inside
    prepared: Inside
    models: Inside
    challenger: Inside
    folds: Inside
    metrics: Inside
    reports: Inside
    state: Inside

    @model_validator(mode="after")
    def _apart(self) -> Self:
        """DVC empties the places of outs: none may hold another, or a part of the repository."""
        places = {key: Path(path) for key, path in self.model_dump().items()}
        for (key, place), name in itertools.product(places.items(), RESERVED):
            if place.is_relative_to(name) or Path(name).is_relative_to(place):
                raise ValueError(
                    f"{key}: got {str(place)!r}, and {name} is a part of the repository; "
                    "name a folder of its own"
                )
        for key, place in places.items():
            for other, its in places.items():
                if other != key and place.is_relative_to(its):
                    held = (
                        f"is that of {other}, too"
                        if place == its
                        else f"lies in {other}, {str(its)!r}"
                    )
                    raise ValueError(
                        f"{key}: got {str(place)!r}, which {held}; name a place of its own for "
                        "each: a run empties the places that it writes to"
                    )
        return self

    @property
    def versioned(self) -> dict[str, str]:
        """What git or DVC writes; `state` may be a link to another disk."""
        return {key: path for key, path in self.model_dump().items() if key != "state"}


class Decoding(Section):
    """How a file becomes pixels, wherever one is read.

    Stored with the model, so that serving reads as training did.
    """

    # a camera's orientation flag, of both files of a pair
    exif: Literal["upright", "as_stored", "refuse"] = "upright"
    # drop the channel, or lay the image over that colour; refuse: only where all is opaque
    alpha: Literal["refuse", "drop", "white", "black"] = "refuse"
    # clear pixels of a mask; zero: they hold the value 0, or black
    mask_alpha: Literal["refuse", "zero"] = "refuse"
    cmyk: Literal["refuse", "convert"] = "refuse"
    # colour files where in_channels is 1; luma: ITU-R 601
    colour: Literal["refuse", "luma"] = "refuse"
    # of 16-bit and float files, which become 0 and 255
    value_range: Annotated[tuple[float, float], Field(strict=False)] | None = None
    # read of a multi-band TIFF, from 1
    bands: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)] | None = None
    max_pixels: Positive = 100_000_000
    max_side_px: Positive = 65_535
    max_file_mb: Positive = 1000  # 10^6 bytes
    # bytes of pixels per byte of file, where the pixels take more than 64 MB
    max_ratio: Positive = 10000

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ValueError(
                f"value_range: got {list(self.value_range)}; needed is [low, high] with low below "
                "high"
            )
        return self


# What is read where nothing else is said: 8 bits, upright, no alpha. Also of models that are older
# than the setting.
STRICT = Decoding()


class Data(Section):
    """What the images and masks mean."""

    title: str
    # order = id
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=250, strict=False)]
    background: str | None  # the class that no foreground score counts
    ignore_index: Byte = 255  # mask value that takes part in nothing
    # value or colour in a mask -> class; null: they are the ids
    values: dict[Stored | Colour, str] | None = None
    # of two classes: stored values from it on are the second
    threshold: Annotated[int, Field(ge=1, le=65534)] | None = None
    # a colour that `values` does not name counts as the nearest one that it does
    nearest_colour: bool = False
    colours: dict[str, Colour]  # class -> colour of overlays
    in_channels: Annotated[int, Field(ge=1, le=16)]
    decoding: Decoding = Decoding()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: {list(self.classes)} names a class twice")
        if IGNORE in self.classes:
            raise ValueError(
                f"classes: {IGNORE!r} is what data.values calls pixels of no class; "
                "take another name"
            )
        if self.ignore_index < len(self.classes):
            raise ValueError(
                f"ignore_index: {self.ignore_index} is also the id of a class; take 255"
            )
        known = {
            "background": set() if self.background is None else {self.background},
            "colours": set(self.colours),
        }
        known["values"] = set((self.values or {}).values()) - {IGNORE}
        for key, used in known.items():
            if unknown := used - set(self.classes):
                raise ValueError(
                    f"{key}: {sorted(map(str, unknown))} not in data.classes {list(self.classes)}"
                )
        if missing := set(self.classes) - set(self.colours):
            raise ValueError(f"colours: no colour for {sorted(missing)}")
        if self.values == {}:
            raise ValueError(
                "values: {} gives no value a meaning; take null where the stored values are the ids"
            )
        if len({type(key) for key in self.values or ()}) > 1:
            raise ValueError(
                "values: numbers and colours stand beside each other; "
                "a mask stores one or the other"
            )
        if self.threshold is not None and (self.values is not None or len(self.classes) != 2):
            raise ValueError(
                f"threshold: got {self.threshold} with {len(self.classes)} classes and values"
                f" {self.values}; it divides stored values in two: name two classes, and set"
                " values: null"
            )
        if self.nearest_colour and not any(isinstance(key, str) for key in self.values or ()):
            raise ValueError(
                "nearest_colour: needs colours in data.values; name them there, or set false"
            )
        if self.decoding.bands is not None and len(self.decoding.bands) != self.in_channels:
            raise ValueError(
                f"decoding.bands: {list(self.decoding.bands)} are {len(self.decoding.bands)} "
                f"bands, in_channels is {self.in_channels}; make them equal"
            )
        return self

    @cached_property
    def foreground(self) -> tuple[int, ...]:
        """Ids of all classes but the background."""
        return tuple(i for i, name in enumerate(self.classes) if name != self.background)

    @cached_property
    def palette(self) -> list[tuple[int, int, int]]:
        """One RGB colour per class id, 0..255."""
        codes = [self.colours[name] for name in self.classes]
        return [(int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)) for c in codes]


class Validation(Section):
    """How bad a finding is: `critical` stops the line, `warning` and `info` are told."""

    duplicate_images: Severity = "critical"
    # copies that were saved anew, resized, flipped, turned or cropped
    near_duplicates: Severity = "warning"
    duplicate_masks: Severity = "warning"
    empty_masks: Severity = "info"
    # an image that its camera's flag turns, and its mask not, or the other way
    orientation: Severity = "critical"
    flat_images: Severity = "warning"
    min_std: Annotated[float, Field(ge=0, le=255)] = 1.0  # grey levels; an image with less is flat
    ignored_masks: Severity = "warning"
    max_ignored: Share = 0.98  # of a mask's pixels; more is hardly a label
    absent_classes: Severity = "warning"  # a class that no mask holds
    # time for the search for near duplicates; what it left out is said
    search_s: Annotated[float, Field(ge=0)] = 60.0
    # Great Expectations' own
    expectations: Annotated[tuple[dict[str, dict[str, Any]], ...], Field(strict=False)] = ()


class Splits(Section):
    """Which pair trains, validates and tests."""

    given: bool = False  # the split that the source gives, instead of data/splits.csv and new ones
    val: Share = 0.15  # of the images, for groups that data/splits.csv does not name
    test: Share = 0.15
    seed: Seed = 0
    # cross-validation: everything but test in so many folds
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    fold: Natural = 0  # the fold that validates
    guard: GuardPlaces = 2  # places of one sequence this near are neighbours, and stay in one split
    # groups or ids that may leak; scores come twice
    allow_leaks: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.folds is None and self.fold:
            raise ValueError(
                f"fold: {self.fold} has no effect while folds is null; set splits.folds, or fold: 0"
            )
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold: {self.fold} is not one of the folds 0..{self.folds - 1}")
        return self


class Augmentation(Section):
    """The recipe of the training images."""

    # height, width; null: whole images
    crop_px: Annotated[tuple[Side, Side], Field(strict=False)] | None = None
    preset: Literal["none", "light", "medical", "aerial", "street"] = "none"
    # after the preset: name -> options
    transforms: Annotated[tuple[dict[str, dict[str, Any]], ...], Field(strict=False)] = (
        {"HorizontalFlip": {"p": 0.5}},
        {"RandomGamma": {"gamma_limit": [70, 143], "p": 0.8}},
    )
    preview: Annotated[int, Field(ge=1, le=100)] = 3  # pairs on the preview sheet


class Sampling(Section):
    """What training sees more of; the shipped values: each image once per epoch, crops anywhere."""

    # classes in a smaller share of the images are drawn more often; 0: none is
    rare_below: Share = 0.0
    foreground_crops: Share = 0.0  # of the crops are cut around a pixel of a foreground class
    # of those in the image; rare: the likelier the rarer
    crop_classes: Literal["equal", "rare"] = "equal"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop_classes != "equal" and not self.foreground_crops:
            raise ValueError(
                f"crop_classes: {self.crop_classes} has no effect while foreground_crops is 0; "
                "set it above 0, 0.33 for example, or crop_classes: equal"
            )
        return self


class Variant(BaseModel):
    """A network, the weights it starts from and its options, under a name of the user's."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    network: str  # `maskmill models` lists them; where nothing is said, that of the variant's name
    weights: Annotated[str, BeforeValidator(_weights)] | None = None  # null: fresh ones

    @property
    def options(self) -> dict[str, Any]:
        """Those of the network."""
        return dict(self.model_extra or {})


class Train(Section):
    """How a variant is trained."""

    seed: Seed = 0
    steps: Count = 200  # optimizer steps, at most
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 4  # images at once on each device
    # times so many before each optimizer step
    accumulate: Annotated[int, Field(ge=1, le=65_536)] = 1
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # of sgd
    nesterov: bool = True  # of sgd
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.004
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    # of the learning rate after the warm-up
    schedule: Literal["cosine", "poly", "one_cycle", "constant"] = "poly"
    poly_power: Annotated[float, Field(gt=0, le=10)] = 0.9
    warmup_steps: Natural = 20
    # longest gradient, over all weights together
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    # decay of the averaged weights, which are then the result
    ema: Annotated[float, Field(gt=0, lt=1)] | None = 0.97
    freeze_encoder_steps: Natural = 0
    encoder_lr_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    # name -> weight, or it and options
    losses: dict[str, Annotated[float | dict[str, Any], BeforeValidator(_loss)]] = {
        "cross_entropy": 1.0,
        "dice": 1.0,
    }
    # of pixels in the losses that are means over pixels
    class_weights: Annotated[
        Literal["inverse", "median"] | dict[str, float] | None, BeforeValidator(_class_weights)
    ] = None
    sampling: Sampling = Sampling()
    val_every_steps: Positive = 50
    patience: Positive = 4  # validations without a better score before training stops
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: Annotated[int, Field(ge=1, le=64)] = 1  # of this machine; each has a process
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    compile: bool = False  # torch.compile
    # kernels of a GPU that give the same bits each time; a CPU's always do
    deterministic: bool = False
    threads: Threads = 2  # CPU threads; another number gives other weights
    # loader processes; the number does not change the result
    workers: Literal["auto"] | Processes = "auto"
    # without a batch from the loader processes
    loader_timeout_s: Annotated[float, Field(gt=0, le=1e6)] = 120.0
    max_skipped: Natural = 5  # steps whose loss or gradient is not finite before training stops
    # when a GPU's memory does not suffice: fewer images at once, as many per step
    allow_smaller_batches: bool = False
    checkpoint_every_s: Annotated[float, Field(ge=0)] = 20.0
    checkpoints_kept: Annotated[int, Field(ge=1, le=1000)] = 2

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.losses:
            raise ValueError(
                "losses: {} trains nothing; name at least one, for example {cross_entropy: 1.0}"
            )
        if self.warmup_steps >= self.steps:
            raise ValueError(
                f"warmup_steps: {self._with_source('warmup_steps')} must be below steps, "
                f"{self.steps}"
            )
        if self.val_every_steps > self.steps:
            raise ValueError(
                f"val_every_steps: {self._with_source('val_every_steps')} is beyond the last of "
                f"{self.steps} steps; at most steps is allowed"
            )
        if self.schedule == "one_cycle" and self.warmup_steps:
            raise ValueError(
                f"warmup_steps: got {self._with_source('warmup_steps')}, and one_cycle has a rise "
                "of its own, over 30 % of the steps; set warmup_steps: 0, or another schedule"
            )
        if self.nesterov and not self.momentum and self.optimizer == "sgd":
            raise ValueError(
                "nesterov: true needs a momentum above 0; set train.momentum, or nesterov: false"
            )
        return self

    def _with_source(self, name: str) -> str:
        """The value of a setting; that it is the default, where the file leaves it out."""
        return f"{getattr(self, name)}{'' if name in self.model_fields_set else ' (the default)'}"


class Evaluation(Section):
    """Which number is the headline: early stopping, selection, gate and report share it."""

    primary: str  # a name of `metrics.confusion.names`
    clean: bool = True  # where a split leaks by permission, decisions use its clean part alone


class Inference(Section):
    """How a model is applied to an image: in evaluation, by `maskmill predict`, and served.

    An image of more than `whole_px` pixels is predicted in overlapping tiles, so that the memory
    depends on the tile and not on the image.
    """

    whole_px: Positive = 4_194_304  # pixels that the network sees at once, at most; 2048 x 2048
    # sides of a tile and of what neighbours share; both are multiples of 32, the coarsest stride
    tile_px: Annotated[int, Field(ge=64, le=MAX_SIDE_PX, multiple_of=32)] = 1024
    overlap_px: Annotated[int, Field(ge=32, le=MAX_SIDE_PX // 2, multiple_of=32)] = 256
    # further views of each image, whose probabilities are averaged
    flips: Literal["none", "horizontal", "both"] = "none"
    quarter_turns: bool = False
    scales: Annotated[
        tuple[Annotated[float, Field(ge=0.25, le=4)], ...],
        Field(min_length=1, max_length=8, strict=False),
    ] = (1.0,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 2 * self.overlap_px > self.tile_px:
            raise ValueError(
                f"overlap_px: got {self.overlap_px} for tiles of {self.tile_px} px; at most half"
                " of tile_px is allowed"
            )
        if self.tile_px**2 > self.whole_px:
            raise ValueError(
                f"tile_px: got {self.tile_px}, a tile of {self.tile_px**2:,} pixels; at most"
                f" whole_px, {self.whole_px:,}, are allowed; raise whole_px, or lower tile_px"
            )
        if len(set(self.scales)) < len(self.scales):
            raise ValueError(f"scales: {list(self.scales)} names a scale twice")
        return self


# how a model is applied where nothing else is said
INFERENCE = Inference()


class Intervals(Section):
    """How sure a score is: a bootstrap over independent units."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=200, le=100_000)] = 2000
    # auto: groups, or blocks where those are fewer than 20
    unit: Literal["auto", "group", "block", "image"] = "auto"
    block: Positive = 5  # contiguous images of a group that make one block
    seed: Seed = 0


class Slices(Section):
    """By what the scores are cut to see where a model is bad."""

    # of the manifest, besides what is always looked at
    columns: Annotated[tuple[str, ...], Field(strict=False)] = ()
    # of a column of numbers, equally many images in each
    bins: Annotated[int, Field(ge=2, le=20)] = 4
    minimum: Positive = 5  # images; a slice of fewer is not shown


class Tune(Section):
    """What `maskmill tune` tries, with the `variants`.

    It looks for the best `evaluation.primary` on the validation split.
    """

    # trainings, those that were cut short among them; another takes the place of one that fails
    trials: Trials = 20
    startup: Trials = 5  # trials that are drawn at random and run to their end
    # median: a trial below the median of those before it is cut short
    pruner: Literal["none", "median"] = "median"
    seed: Seed = 0
    # setting of train or models -> values, or a range
    space: dict[str, Annotated[Any, BeforeValidator(_axis)]] = {
        "train.learning_rate": {"low": 0.001, "high": 0.01, "log": True}
    }


class Report(Section):
    """What the page shows."""

    # worst, least certain and best test images of each variant
    gallery: Annotated[int, Field(ge=1, le=1000)] = 3


class Selection(Section):
    """Which variant is put forward, by the validation split and what it costs."""

    minimum: Share = 0.5  # of the primary metric; below it no variant is good enough
    # variants this close to the best count as equal, and the one with the fewest parameters wins
    tie: Share = 0.002
    # a variant that costs more is out
    max_ms_per_image: Annotated[float, Field(gt=0)] | None = None
    max_parameters: Positive | None = None
    # 10^6 bytes, in one prediction of the largest image
    max_memory_mb: Annotated[float, Field(gt=0)] | None = None


class Gate(Section):
    """What a challenger must show on the test split to become champion."""

    minimum: dict[str, Share] = {"dice_foreground": 0.8}  # metric -> least value
    # metric that is better the lower it is -> greatest value
    maximum: dict[str, Annotated[float, Field(ge=0)]] = {}
    # what the interval of the gain over the champion must show
    rule: Literal["superior", "not_inferior"] = "superior"
    # superior: the gain is surely above it; not_inferior: there is surely no loss beyond it
    margin: Share = 0.0
    class_margin: Share = 0.005  # a class may surely lose no more
    slice_margin: Share = 0.01  # nor may the primary metric of a slice
    # of the primary metric, against the champion, where units are too few for evidence
    max_drop: Share = 0.005
    max_class_drop: Share = 0.02  # of a class, there
    looks: Positive = 20  # verdicts on the same test images, after which their score is called worn
    alpha_spending: bool = False  # each further verdict asks for surer evidence
    max_ms_per_image: Annotated[float, Field(gt=0)] | None = None
    max_parameters: Positive | None = None
    max_memory_mb: Annotated[float, Field(gt=0)] | None = None
    approval: bool = False  # what passes waits for `maskmill approve`
    deleted_champion: Literal["refuse", "ignore"] = "refuse"  # ignore: as if there were none

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.rule == "not_inferior" and not self.margin:
            raise ValueError(
                "margin: 0.0 leaves not_inferior nothing to allow; set gate.margin, to 0.01 say, "
                "or rule: superior"
            )
        return self


class Tracking(Section):
    """Where runs and versions are recorded."""

    # MLflow's; sqlite paths are relative to the repository
    uri: TrackingUri = "sqlite:///.maskmill/mlflow/mlflow.db"
    experiment: Annotated[str, Field(min_length=1, max_length=250)] = "maskmill"
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]  # the registered model's name


class Services(Section):
    """The servers that `maskmill up` and `maskmill serve` start on this machine."""

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"  # the address they listen on
    prefect_port: Port = 4200
    mlflow_port: Port = 5000
    model_port: Port = 5001
    # names besides `host` and localhost
    allowed_hosts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    auth: bool = False  # one user and password for all of them
    # trainings at once, over all flows of this Prefect server
    gpu_slots: Annotated[int, Field(ge=1, le=1000)] = 1
    threads: Threads = 2  # CPU threads of the served model
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = 32  # images in one request
    max_pixels: Count = 25_000_000  # of one served image
    # of one request, which is held in memory
    max_body_mb: Annotated[int, Field(ge=1, le=10_000)] = 64

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ports = (self.prefect_port, self.mlflow_port, self.model_port)
        if len(set(ports)) < len(ports):
            raise ValueError(
                f"prefect_port, mlflow_port, model_port: got {ports}; each needs a port of its own"
            )
        if self.host not in LOOPBACK and not self.auth:
            raise ValueError(
                f"host: {self.host} lets other machines in, and auth is false; "
                f"set services.auth: true, or services.host: {LOOPBACK[0]}"
            )
        return self


class Params(Section):
    """All of params.yaml."""

    paths: Paths
    data: Data
    validation: Validation = Validation()
    splits: Splits = Splits()
    augmentation: Augmentation = Augmentation()
    variants: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    models: dict[Name, Variant] = {}
    train: Train = Train()
    evaluation: Evaluation
    # families of scores besides the confusion matrix -> options
    metrics: dict[Name, dict[str, Any]] = {
        "per_image": {},
        "boundary": {},
        "surface": {"tolerance_px": 2.0},
        "calibration": {"bins": 15},
    }
    inference: Inference = Inference()
    intervals: Intervals = Intervals()
    slices: Slices = Slices()
    selection: Selection = Selection()
    gate: Gate = Gate()
    tracking: Tracking
    report: Report = Report()
    tune: Tune = Tune()
    services: Services = Services()

    @model_validator(mode="before")
    @classmethod
    def _with_networks(cls, values: Any) -> Any:
        """Give every variant a section, and a network, by default the one of its own name."""
        variants, models = values.get("variants"), values.get("models", {})
        if not isinstance(models, dict):
            return values
        names = variants if isinstance(variants, list | tuple) else ()
        sections: dict[Any, Any] = {
            name: {} for name in names if re.fullmatch(_NAME, str(name))
        } | models
        named = {
            k: {"network": k} | given if isinstance(given, dict) else given
            for k, given in sections.items()
        }
        return {**values, "models": named}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants: {list(self.variants)} names a variant twice")
        known = network_names.names()
        for name, variant in self.models.items():
            if variant.network not in known:
                where = f"models.{name}" if variant.network == name else f"models.{name}.network"
                raise ValueError(
                    f"{where}: {variant.network!r} is no network{suggest(variant.network, known)}; "
                    f"there are {', '.join(known)}; "
                    "a variant with a name of its own says which one it is, "
                    f"{name}: {{network: unet}} for example"
                )
        weighted = self.train.class_weights if isinstance(self.train.class_weights, dict) else {}
        for name in weighted.keys() - set(self.data.classes):
            raise ValueError(
                f"train.class_weights: {name!r} is no class"
                f"{suggest(name, self.data.classes) or ';'} "
                f"data.classes are {', '.join(self.data.classes)}"
            )
        if self.train.sampling.foreground_crops and self.augmentation.crop_px is None:
            raise ValueError(
                f"train.sampling.foreground_crops: {self.train.sampling.foreground_crops} has no "
                "effect on whole images; set augmentation.crop_px, [128, 128] for example, or "
                "foreground_crops: 0.0"
            )
        if self.splits.val + self.splits.test >= 1:
            raise ValueError(
                f"splits: val {self.splits.val} + test {self.splits.test} leaves nothing to train "
                "on"
            )
        return self


def load(path: Path = PARAMS) -> Params:
    """Read and check params.yaml.

    Raises: MaskmillError with every mistake in the file, one per line.
    """
    return parse(read_yaml(path), path)


def parse(values: Mapping[str, Any], path: Path = PARAMS) -> Params:
    """Check the values of params.yaml; `path` is named in errors."""
    if not isinstance(values, Mapping):
        raise MaskmillError(f"{path}: holds no settings; get it back with `git checkout {path}`")
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        found = error.errors()
        # what a mistake is in
        around = {e["loc"][:depth] for e in found for depth in range(1, len(e["loc"]))}
        raise MaskmillError(
            "\n".join(_explain(e, path) for e in found if e["loc"] not in around)
        ) from None
    if wrong := list(_not_finite("", values)):  # in options that only the parts themselves know
        raise MaskmillError(
            "\n".join(
                f"{path}: {key}: got {value}; no number may be .inf or .nan" for key, value in wrong
            )
        )
    return params


def _not_finite(key: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in settings that are none, and where they stand."""
    if isinstance(value, Mapping):
        for inner in value:
            yield from _not_finite(f"{key}.{inner}".lstrip("."), value[inner])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _not_finite(key, inner)
    elif isinstance(value, float) and not math.isfinite(value):
        yield key, value


def left_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the values of params.yaml do not name, `train.ema`, and their defaults."""
    sections = values.get("models") or {}
    bare: dict[str, Any] = {
        f"models.{name}": {} for name in values.get("variants", ()) if name not in sections
    }
    return dict(_left_out(Params, values, "")) | bare


def _left_out(
    section: type[BaseModel], values: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        inside = kind if isinstance(kind, type) and issubclass(kind, Section) else None
        if inside and (name in values or not field.is_required()):
            yield from _left_out(inside, values.get(name, {}), f"{path}{name}.")
        elif name not in values and not field.is_required() and name != "models":
            # a variant may have no section
            yield f"{path}{name}", field.default


def read_yaml(path: Path) -> Any:
    """The value of a YAML file.

    Raises: MaskmillError when there is none, or it is not YAML.
    """
    try:
        return YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise MaskmillError(
            f"{path}: no such file in {Path.cwd()}; run from the repository's top folder"
        ) from None
    except YAMLError as error:
        raise MaskmillError(f"{path}: not readable as YAML: {error}") from None


_SAID = {  # by pattern or kind of error; pydantic speaks of Python
    _NAME: "small letters, digits and _ are allowed, after a letter",
    "tuple_type": "needed is a list, [a, b] say",
    "model_type": "needed is a mapping, its settings indented below it",
    "dict_type": "needed is a mapping, {} where nothing is to be said",
    "too_short": "needed are at least %(min_length)d",
}


def _explain(error: Mapping[str, Any], path: Path) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        allowed = _keys_beside(error["loc"])
        near = suggest(str(error["loc"][-1]), allowed)
        return f"{path}: {key} is not a setting{near}; allowed there are {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{path}: {key} is missing, and has no default; add it"
    context = error.get("ctx", {})
    own = _SAID.get(context.get("pattern", error["type"]))
    message = own % context if own else error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error" and isinstance(error["input"], BaseModel | dict):
        return f"{path}: {key + ': ' if key else ''}{message}"
    # 0016E5 is 1600000 in YAML
    quotes = error["type"] == "string_type" and isinstance(error["input"], int | float)
    hint = "; put a name that looks like a number into quotes" if quotes else ""
    return f"{path}: {key}: got {error['input']!r}: {message[0].lower() + message[1:]}{hint}"


def _keys_beside(location: tuple[str | int, ...]) -> list[str]:
    kind: Any = Params
    for part in location[:-1]:
        kind = kind.model_fields[part].annotation
    return list(kind.model_fields)
