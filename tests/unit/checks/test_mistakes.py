"""Mistakes in params.yaml: `check` refuses each in words before a run, and changes no file."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from maskmill.checks.params import check
from maskmill.settings import config
from maskmill.system.errors import MaskmillError
from maskmill.training import hardware
from tests.conftest import REPOSITORY

SETTLED = {  # what the mistakes are made against, whatever params.yaml ships
    "variants": ["unet"], "models": {"unet": {"feature_scale": 16}, "resnet18_unet": {"width": 8}},
    "train.steps": 100, "train.val_every_steps": 10, "train.warmup_steps": 5, "train.batch_size": 4,
    "train.losses": {"cross_entropy": 1.0, "dice": 1.0}, "evaluation.primary": "dice_foreground",
    "gate.minimum": {"dice_foreground": 0.5}, "metrics": {}, "tune.space": {},
    "augmentation.crop_px": [64, 64],
}  # fmt: skip

MISTAKES: list[tuple[str, Any, str]] = [
    # paths: something of the user's or the repository's lies there
    ("paths.raw", "notes",
     "paths.raw: notes holds files that no stage has written (notes/todo.txt)"),
    ("paths.challenger", "notes", "paths.challenger: notes holds files that no stage has written"),
    ("paths.reports", "mine", "paths.reports: mine/index.html was written by no stage"),
    ("paths.raw", "photos", "photos is data of your own, versioned by photos.dvc"),
    ("paths.models", "src", "models: got 'src', and src is a part of the repository"),
    ("paths.metrics", "tests/unit",
     "metrics: got 'tests/unit', and tests is a part of the repository"),
    ("paths.state", ".git/state", "and .git is a part of the repository; name a folder of its own"),
    ("paths.raw", ".", "raw: got '.', and .ci is a part of the repository"),
    ("paths.raw", "data/prepared", "got 'data/prepared', which is that of prepared, too"),
    ("paths.reports", "models/reports",
     "reports: got 'models/reports', which lies in models, 'models'"),
    ("paths.prepared", "data", "which lies in prepared, 'data'; name a place of its own for each"),
    ("paths.models", "../models",
     "paths.models: got '../models': must be a relative path inside the repository"),
    ("paths.raw", "/tmp/raw",
     "paths.raw: got '/tmp/raw': must be a relative path inside the repository"),
    ("paths.raw", 5, "paths.raw: got 5: "),
    ("paths.rwa", "data/raw", "paths.rwa is not a setting; did you mean 'raw'?"),
    # data
    ("data.clases", ["a", "b"], "data.clases is not a setting; did you mean 'classes'?"),
    ("data.classes", "background", "data.classes: got 'background': needed is a list"),
    ("data.classes", ["background"], "needed are at least 2"),
    ("data.classes", ["background", "csf", "csf", "white_matter"], "names a class twice"),
    ("data.background", "air", "background: ['air'] not in data.classes"),
    ("data.ignore_index", 1, "ignore_index: 1 is also the id of a class; take 255"),
    ("data.in_channels", 0, "data.in_channels: got 0: input should be greater than or equal to 1"),
    ("data.in_channels", 10**6,
     "data.in_channels: got 1000000: input should be less than or equal to 16"),
    ("data.values", {0: "csf", 1: "bone"}, "values: ['bone'] not in data.classes"),
    ("data.values", {},
     "values: {} gives no value a meaning; take null where the stored values are the ids"),
    ("data.background", "", "background: [''] not in data.classes"),
    ("data.decoding.max_pixels", 10**30,
     "data.decoding.max_pixels: got 1000000000000000000000000000000"),
    ("data.colours", {"background": "black"}, "data.colours.background: got 'black'"),
    ("data.decoding.exif", "turn",
     "data.decoding.exif: got 'turn': input should be 'upright', 'as_stored' or"),
    ("data.decoding.value_range", [0.0, float("inf")], "data.decoding.value_range.1: got inf"),
    # validation
    ("validation.flat_images", "error",
     "validation.flat_images: got 'error': input should be 'critical', 'warning'"),
    ("validation.max_ignored", 98,
     "validation.max_ignored: got 98: input should be less than or equal to 1"),
    ("validation.expectations", [{"ExpectColumnMean": {}}],
     "'ExpectColumnMean' is no expectation of Great Expect"),
    (
        "validation.expectations",
        [{"ExpectColumnMeanToBeBetween": {"column": "meen", "min_value": 1}}],
        "'meen' is no column of the manifest; did you mean 'mean'?",
    ),
    # splits
    ("splits.val", 0.9, "splits: val 0.9 + test 0.15 leaves nothing to train on"),
    ("splits.folds", 1, "splits.folds: got 1: input should be greater than or equal to 2"),
    ("splits.fold", 3, "splits: fold: 3 has no effect while folds is null"),
    ("splits.seed", 10**30, "splits.seed: got 1000000000000000000000000000000"),
    ("splits.guard", 10**9, "splits.guard: got 1000000000"),
    # augmentation
    ("augmentation.preset", "medcal",
     "augmentation.preset: got 'medcal': input should be 'none', 'light', 'medical'"),
    ("augmentation.crop_px", 64, "augmentation.crop_px: got 64: needed is a list, [a, b] say"),
    ("augmentation.crop_px", [100_000, 100_000],
     "augmentation.crop_px.0: got 100000: input should be less than"),
    ("augmentation.crop_px", [512, 512],
     "got [512, 512], and no image is as high or as wide; the largest has [184"),
    ("augmentation.transforms", [{"HorizontalFlop": {}}],
     "'HorizontalFlop' is no transform of albumentations"),
    ("augmentation.transforms", [{"HorizontalFlip": {"prob": 1.0}}],
     "transforms.HorizontalFlip.prob is not an option"),
    ("augmentation.transforms", [{"Resize": {"height": 10**5, "width": 10**5}}],
     "Resize.height: got 100000; at most"),
    ("augmentation.transforms", "HorizontalFlip",
     "augmentation.transforms: got 'HorizontalFlip': needed is a list"),
    ("augmentation.preview", 10**9, "augmentation.preview: got 1000000000"),
    # variants and models
    ("variants", [], "variants: got []: needed are at least 1"),
    ("variants", ["unet", "unet"], "names a variant twice"),
    ("variants", ["resnet18"],
     "models.resnet18: 'resnet18' is no network; did you mean 'resnet18_unet'?"),
    ("variants", "unet", "variants: got 'unet': needed is a list"),
    ("models.unet", {"feature_scal": 4},
     "models.unet.feature_scal is not an option; did you mean 'feature_scale'?"),
    ("models.unet", {"feature_scale": "large"}, "models.unet.feature_scale: got 'large'"),
    ("models.unet", {"weights": "no/file.pth"}, "models.unet.weights: no/file.pth: no such file"),
    ("models.resnet18_unet", {"width": -1}, "models.resnet18_unet.width: got -1"),
    ("models.nonet", {}, "models.nonet: 'nonet' is no network; did you mean"),
    ("models.unet", {"weights": 3},
     "models.unet.weights: got 3: allowed are a file (safetensors or torch), https://"),
    ("models.unet", {"network": 3}, "models.unet.network: got 3"),
    ("models.unet", {"network": "resnet_unet", "encoder": "resnet20"},
     "models.unet.encoder: got 'resnet20'"),
    ("models.unet", {"name": "unet", "where": 1}, "models.unet.name is not an option"),
    ("models.unet", {"in_channels": 1},
     "models.unet.in_channels follows from the data and cannot be set"),
    ("models.se_unet", {"gate": "scse"},
     "models.se_unet.gate: got 'scse', and se_unet is short for network: unet"),
    # train
    ("train.lr", 0.001, "train.lr is not a setting; did you mean 'learning_rate'?"),
    ("train.learning_rate", "1e-3", "train.learning_rate: got '1e-3'"),
    ("train.learning_rate", 40.0,
     "train.learning_rate: got 40.0: input should be less than or equal to 1"),
    ("train.batch_size", 0, "train.batch_size: got 0"),
    ("train.batch_size", 10**9, "train.batch_size: got 1000000000"),
    ("train.val_every_steps", 101, "train: val_every_steps: 101 is beyond the last of 100 steps"),
    ("train.warmup_steps", 100, "train: warmup_steps: 100 must be below steps, 100"),
    ("train.steps", 10**12, "train.steps: got 1000000000000"),
    ("train.losses", {"dize": 1.0}, "train.losses: 'dize' is not known; did you mean 'dice'?"),
    ("train.losses", {"dice": -1.0}, "needed is a weight above 0"),
    ("train.class_weights", {"bone": 2.0}, "train.class_weights: 'bone' is no class"),
    ("train.sampling.crop_classes", "rare",
     "crop_classes: rare has no effect while foreground_crops is 0"),
    ("train.threads", 100_000, "train.threads: got 100000"),
    ("train.workers", 10**6, "train.workers"),
    ("train.loader_timeout_s", 1e30, "train.loader_timeout_s: got 1e+30"),
    ("train.devices", 64, "train.devices: got 64, and this machine has"),
    ("train.precision", "fp8", "train.precision: got 'fp8'"),
    ("train", 5, "params.yaml: train: got 5: needed is a mapping, its settings indented below it"),
    # evaluation, metrics, intervals, slices
    ("evaluation.primary", "dice",
     "'dice' is no metric; did you mean 'dice_foreground', 'dice_micro' or 'dice/backg"),
    ("evaluation.primary", "dize", "'dize' is no metric; did you mean 'dice_foreground'"),
    ("metrics", {"surfce": {}}, "metrics.surfce: 'surfce' is not known; did you mean 'surface'?"),
    ("metrics", {"calibration": {"bins": 10**9}}, "metrics.calibration.bins: got 1000000000"),
    ("intervals.resamples", 10**9, "intervals.resamples: got 1000000000"),
    ("intervals.confidence", 95, "intervals.confidence: got 95: input should be less than 1"),
    ("slices.columns", ["scanner"], "slices.columns: 'scanner' is not a column of the manifest"),
    ("intervals.block", 10**30, "intervals.block: got 1000000000000000000000000000000"),
    ("slices.bins", 1, "slices.bins: got 1"),
    # selection, gate, tracking, report
    ("selection.minimum", 50, "selection.minimum: got 50: input should be less than or equal to 1"),
    ("selection.max_parameters", 0, "selection.max_parameters: got 0"),
    ("gate.minimum", {"dice": 0.8},
     "gate.minimum: 'dice' is no metric; did you mean 'dice_foreground'"),
    ("gate.max_drop", "none", "gate.max_drop: got 'none'"),
    ("tracking.uri", "ftp://x",
     "tracking.uri: got 'ftp://x': is nothing that MLflow opens; allowed are sqlite:///FILE"),
    ("tracking.uri", "sqlite://x.db",
     "tracking.uri: got 'sqlite://x.db': is nothing that MLflow opens"),
    ("tracking.uri", "mysql+nodriver://host/db",
     "tracking.uri: mysql+nodriver:// needs the package nodriver, which"),
    ("tracking.uri", "http://host:99999",
     "tracking.uri: got 'http://host:99999': is nothing that MLflow opens"),
    ("tracking.uri", "http://", "tracking.uri: got 'http://': is nothing that MLflow opens"),
    ("tracking.uri", "http://me:secret@host",
     "holds a user or password; give them by MLFLOW_TRACKING_USERNAME"),
    ("tracking.uri", "sqlite:///notes/todo.txt",
     "notes/todo.txt is no sqlite file, and MLflow would not open it"),
    ("tracking.model", "my model", "tracking.model: got 'my model'"),
    ("tracking.experiment", "", "tracking.experiment: got ''"),
    ("report.gallery", 10**9, "report.gallery: got 1000000000"),
    ("inference.tile_px", 1000, "inference.tile_px: got 1000: input should be a multiple of 32"),
    ("inference.overlap_px", 544, "overlap_px: got 544 for tiles of 1024 px; at most half of tile"),
    ("inference.tile_px", 4096, "tile_px: got 4096, a tile of 16,777,216 pixels; at most whole_px"),
    ("inference.flips", "vertical", "inference.flips: got 'vertical'"),
    ("inference.scales", [], "inference.scales"),
    ("inference.scales", [1.0, 1.0], "scales: [1.0, 1.0] names a scale twice"),
    # tune and services
    ("tune.trials", 10**9, "tune.trials: got 1000000000"),
    ("tune.space", {"train.lr": [0.1]},
     "train.lr is not a setting; did you mean 'train.learning_rate'?"),
    ("tune.space", {"train.learning_rate": [40.0]},
     "tune.space: with unet, train.learning_rate 40"),
    ("services.port", 5000, "services.port is not a setting"),
    ("services.model_port", 99_999, "services.model_port: got 99999"),
    ("services.model_port", 5000, "prefect_port, mlflow_port, model_port: got (4200, 5000, 5000)"),
    ("services.host", "0.0.0.0", "host: 0.0.0.0 lets other machines in, and auth is false"),
    ("services.host", "300.1.1.1", "services.host: got '300.1.1.1': is no IP address"),
    ("services.threads", 100_000, "services.threads: got 100000"),
    ("services.max_body_mb", 10**9, "services.max_body_mb: got 1000000000"),
    ("servces", {}, "servces is not a setting; did you mean 'services'?"),
]  # fmt: skip


@pytest.fixture(scope="module")
def settled() -> dict[str, Any]:
    values: dict[str, Any] = YAML(typ="safe").load(REPOSITORY / "params.yaml")
    for key, value in SETTLED.items():
        put(values, key, value)
    return values


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh repository's settings and DAG, with folders of the user's own beside them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(REPOSITORY / "dvc.yaml", tmp_path)
    for name in ("notes/todo.txt", "mine/index.html", "photos/a.jpg", "photos.dvc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/source.yaml").write_text("kind: icbm152\nseed: 0\nslabs: [[60, 60]]\n")
    return tmp_path


def put(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for name in sections:
        values = values[name]
    values[last] = value


def held(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copied(value: Any) -> Any:
    return (
        {key: copied(inner) for key, inner in value.items()} if isinstance(value, dict) else value
    )


def test_what_the_mistakes_are_made_against_is_fine(settled: dict[str, Any], repository: Path):
    check(config.parse(settled))


@pytest.mark.parametrize(
    ("key", "value", "said"), MISTAKES, ids=[f"{key}={str(v)[:30]}" for key, v, _ in MISTAKES]
)
def test_a_mistake_is_refused_by_the_check_in_words_and_no_file_changes(
    key: str, value: Any, said: str, settled: dict[str, Any], repository: Path
):
    values = copied(settled)
    put(values, key, value)
    before = held(repository)
    with pytest.raises(MaskmillError) as raised:
        check(config.parse(values))
    assert said in str(raised.value)
    assert "params.yaml" in str(raised.value)
    assert held(repository) == before


def test_what_cannot_fit_into_memory_is_refused(
    settled: dict[str, Any], repository: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hardware, "memory_bytes", lambda _: 10**9)
    values = copied(settled)
    put(values, "train.batch_size", 65_536)
    put(values, "augmentation.crop_px", [16_384, 16_384])
    with pytest.raises(
        MaskmillError,
        match=(
            r"train.batch_size: 65536 images of \[16384, 16384\] px and their logits take 351,844"
            r" GB, "
        ),
    ):
        check(config.parse(values))
    values = copied(settled)
    put(values, "train.batch_size", 65_536)
    put(values, "augmentation.crop_px", None)
    with pytest.raises(
        MaskmillError, match=r"train.batch_size: 65536 images of \[\d+, \d+\] px and their logits"
    ):
        check(config.parse(values))
    values = copied(settled)
    put(values, "tune.space", {"train.batch_size": [4, 65_536]})
    with pytest.raises(
        MaskmillError, match=r"tune.space: with .*: params.yaml: train.batch_size: 65536 images of"
    ):
        check(config.parse(values))
    values = copied(settled)
    put(values, "models.resnet18_unet", {"width": 20_000})
    put(values, "variants", ["resnet18_unet"])
    with pytest.raises(
        MaskmillError,
        match=r"models.resnet18_unet: [\d,]+ parameters take [\d,]+ GB in training, and",
    ):
        check(config.parse(values))


def test_a_tracking_address_in_the_environment_is_checked_and_keeps_its_password(
    settled: dict[str, Any], repository: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://me:secret@host")
    with pytest.raises(MaskmillError, match="MLFLOW_TRACKING_URI: got ftp:") as raised:
        check(config.parse(settled))
    assert "secret" not in str(raised.value)


def test_every_section_of_the_settings_has_mistakes():
    assert {key.partition(".")[0] for key, _, _ in MISTAKES} >= set(config.Params.model_fields)
    assert len(MISTAKES) >= 59
