"""train: learn one variant's weights; killed and started again, it goes on where it stopped."""

import logging
import math
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from maskmill import losses
from maskmill import models as networks
from maskmill.curation import manifest
from maskmill.inference import predict
from maskmill.metrics import Labels
from maskmill.samples import sampling, shard_files
from maskmill.samples.augmentation import Recipe
from maskmill.samples.preprocessing import Preprocessing
from maskmill.samples.shards import Shard, verify
from maskmill.settings.config import Data, Evaluation, Paths, Train, Variant
from maskmill.stages import _fingerprint
from maskmill.system import files
from maskmill.system.errors import MaskmillError
from maskmill.tracking import lineage, live, registry, spools
from maskmill.tracking.spools import Facts
from maskmill.training import determinism, distributed, hardware
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.fabric import Fabric
from maskmill.training.loading import Loading
from maskmill.training.loop import HistoryRow, Log, Training, Validator
from maskmill.training.progress import duration_in_words
from maskmill.training.timing import expected_seconds
from maskmill.weights import pretrained
from maskmill.weights.match import load_weights, match_weights

_log = logging.getLogger(__name__)

_CHECKPOINTS = "checkpoints"  # below paths.state
_KEPT = 3  # checkpoint folders per variant, newest first


def train(
    paths: Paths,
    data: Data,
    models: dict[str, Variant],
    train: Train,
    evaluation: Evaluation,
    variant: str,
) -> None:
    """Write models/<variant>/: model.safetensors, model.json, history.csv, run.json.

    Raises: MaskmillError when given weights do not fit, images cannot form a batch, or the loss is
        no number.
    """
    # where `train.devices` are several, each process runs this from the beginning
    fabric = distributed.launch_fabric(train)
    with (
        _exclusive_training(Path(paths.state), variant, fabric),
        determinism.deterministic_kernels(train),
    ):
        _train(paths, data, models, train, evaluation, variant, fabric)


def _train(
    paths: Paths, data: Data, models: dict[str, Variant], train: Train, evaluation: Evaluation,
    variant: str, fabric: Fabric,
) -> None:  # fmt: skip
    prepared, out = Path(paths.prepared), Path(paths.models) / variant
    with fabric.rank_zero_first():  # the others find what the first has written
        verify(prepared / "shards", Path(paths.state) / "verified")
    shards = {split: Shard(prepared / "shards", split) for split in ("train", "val")}
    recipe = Recipe.load(prepared / "augmentation.json")
    sampler = _sampler(data, train, recipe, prepared)
    chosen, where = models[variant], f"params.yaml: models.{variant}.weights"
    with fabric.rank_zero_first():
        given = (
            None
            if chosen.weights is None
            else _load_given_weights(chosen.weights, Path(paths.state), where)
        )
    loss = _loss(data, train, prepared)
    preprocessing = Preprocessing.fit([shard_files.moments_of(prepared / "shards", "train")])
    training = _create_training(
        data, chosen, train, variant, preprocessing, loss, given, where, fabric
    )
    val = _deciding_images(shards["val"], evaluation)
    validation = Validator(val, Labels.of(data), evaluation.primary)
    settings = {
        "data": data.model_dump(),
        "train": train.model_dump(),
        "evaluation": evaluation.model_dump(),
    }
    params = _logged_params(settings | {f"models.{variant}": chosen.model_dump()}, given, variant)
    fingerprint = fabric.broadcast(
        _fingerprint.training_fingerprint(prepared, params, training, chosen)
    )
    machine = {
        "device": training.device,
        "machine": _machine(training.device),
        "threads": train.threads,
    }
    origin = {
        "git_commit": lineage.git_commit(Path.cwd()),
        "data_hash": lineage.data_hash(Path.cwd(), paths),
    }
    loading = Loading(
        shards["train"], recipe, train, sampler,
        workers=hardware.loader_workers(train, training.device), rank=training.fabric.global_rank,
        pin=training.device == "cuda",
    )  # fmt: skip
    _announce(training, loading, validation, variant)
    checkpoints = _checkpoints(
        Path(paths.state) / _CHECKPOINTS / variant, fingerprint, train.checkpoints_kept
    )
    if not training.writes:  # one process writes; the others only compute
        training.fit(loading, validation, checkpoints, lambda rows: None, title=variant)
        return
    known = Facts(fingerprint, variant, params | machine, data_title=data.title, **origin)
    spool = spools.begin_spool(Path(paths.state) / spools.FOLDER, known)
    live.start(spool.path)
    result = training.fit(
        loading, validation, checkpoints, _history_writer(out, spool), title=variant
    )
    predict.save(
        out, result.weights, _card_facts(data, chosen, training, variant, result.best_step)
    )
    run = {
        "key": spool.key, **origin, **machine, "started": spool.started_ms / 1000,
        "ended": round(time.time(), 3), "seconds": round(result.seconds, 3), "params": params,
    }  # fmt: skip
    files.write_json(out / "run.json", run)
    spool.finish()
    _log.info(
        f"{variant}: best val {evaluation.primary} {result.best_score:.4f} at step"
        f" {result.best_step} -> {out}"
    )


def _deciding_images(val: Shard, evaluation: Evaluation) -> Shard:
    """The validation images by which training stops early: where some leak, the others."""
    if not evaluation.clean or val.clean.all():
        return val
    if not val.clean.any():
        _log.info("every validation image leaks: early stopping looks at all, which flatters")
        return val
    _log.info(
        f"early stopping looks at {val.clean.sum()} of {len(val)} validation images: the others"
        " leak"
    )
    return val.chosen(val.clean)


@contextmanager
def _exclusive_training(state: Path, variant: str, fabric: Fabric) -> Iterator[None]:
    """Wait for another training of the variant to end.

    It may be one whose run was killed: it writes its last checkpoint. The processes of one training
    wait for its first.
    """
    folder = state / _CHECKPOINTS
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{variant}.lock")
    with fabric.rank_zero_first():
        if fabric.is_global_zero:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _log.info(
                    f"{variant}: another training of it works in {folder}; waiting for it to end"
                )
                lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _history_writer(out: Path, spool: spools.Spool) -> Log:
    """What writes rows to history.csv and to the spool.

    history.csv is whole after every validation, so that it can be watched.
    """
    text = ""

    def log(rows: Sequence[HistoryRow]) -> None:
        nonlocal text
        lines = [] if text else [",".join(rows[0])]
        lines += [",".join(map(_cell, row.values())) for row in rows]
        text += "".join(f"{line}\n" for line in lines)
        files.write_text(out / "history.csv", text)
        spool.add(rows)

    return log


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _loss(data: Data, train: Train, prepared: Path) -> losses.Loss:
    """The weighted sum of losses; class weights that follow from the training pixels are said."""
    weights: tuple[float, ...] | None = None
    if train.class_weights is not None:
        pixels = manifest.class_pixels(prepared / "manifest.parquet", "train", data.classes).astype(
            float
        )
        weights = losses.class_weights(train.class_weights, data.classes, pixels)
        said = (f"{name} {weight:.3g}" for name, weight in zip(data.classes, weights, strict=True))
        _log.info(f"class weights: {', '.join(said)}")
    foreground = {data.classes[i]: i for i in data.foreground}
    return losses.create(
        train.losses, data.ignore_index, foreground=foreground, class_weights=weights
    )


def _sampler(data: Data, train: Train, recipe: Recipe, prepared: Path) -> sampling.Sampler:
    """What is drawn more often, and said; needs the manifest only where something is."""
    if train.sampling == sampling.PLAIN:
        return sampling.Sampler()
    pixels = manifest.class_pixels(prepared / "manifest.parquet", "train", data.classes)
    _log.info("; ".join(sampling.describe_sampling(train.sampling, pixels, data.classes)))
    return sampling.create_sampler(train.sampling, pixels, data.foreground, recipe.crop_px)


def _load_given_weights(setting: str, state: Path, where: str) -> pretrained.Given:
    """The weights that the setting names."""
    if not pretrained.is_version(setting, where):
        return pretrained.read(setting, state, where)
    try:
        version = registry.resolve(setting)
        predictor = registry.predictor(version)
    except MaskmillError as error:
        raise type(error)(f"{where}: {error}") from error
    source = f"models:/{version.name}/{version.version}"  # what the alias names now
    tensors = predictor.network.state_dict()
    return pretrained.Given(source, predictor.card.sha256, tensors, predictor.card.classes)


def _logged_params(
    settings: dict[str, dict[str, Any]], given: pretrained.Given | None, variant: str
) -> dict[str, Any]:
    """The settings as `section.key`, and what the given weights are."""
    params = {
        f"{section}.{key}": value
        for section, values in settings.items()
        for key, value in values.items()
    }
    if given is not None:
        params |= {
            f"models.{variant}.weights_from": given.source,
            f"models.{variant}.weights_sha256": given.sha256,
        }
    return params


def _create_training(
    data: Data, chosen: Variant, train: Train, variant: str, preprocessing: Preprocessing,
    loss: losses.Loss, given: pretrained.Given | None, where: str, fabric: Fabric,
) -> Training:  # fmt: skip
    """The network, on its device and in its precision.

    It is fresh by `train.seed` where no weights are given.
    """
    torch.manual_seed(train.seed)
    model = networks.create_from(
        chosen.network, chosen.options, f"params.yaml: models.{variant}",
        in_channels=data.in_channels, num_classes=len(data.classes),
    )  # fmt: skip
    if given is not None:
        heads = given.classes in (None, data.classes)
        matched = match_weights(
            model,
            given.tensors,
            in_channels=data.in_channels,
            where=where,
            source=given.source,
            heads=heads,
        )
        load_weights(model, matched)
        _log.info(
            f"{variant}: starts from {given.source} (sha256 {given.sha256[:16]}..): {matched}"
        )
    return Training(model, loss, preprocessing, train, fabric)


def _card_facts(
    data: Data, chosen: Variant, training: Training, variant: str, best_step: int
) -> dict[str, Any]:
    """What model.json says beside the weights' digest."""
    # what evaluation and serving run in
    precision = "fp32" if training.precision == "fp16" else training.precision
    return {
        "variant": variant, "network": chosen.network, "options": chosen.options,
        "classes": data.classes, "background": data.background, "ignore_index": data.ignore_index,
        "colours": data.colours, "in_channels": data.in_channels, "decoding": data.decoding,
        "preprocessing": training.preprocessing, "precision": precision,
        "parameters": networks.count_parameters(training.plain), "best_step": best_step,
    }  # fmt: skip


def _announce(training: Training, loading: Loading, validation: Validator, variant: str) -> None:
    """Say what is about to happen, and how long it will take here.

    The time comes from a few steps whose results are dropped.
    """
    train = training.train
    seconds = expected_seconds(training, loading, validation)
    if not training.writes:
        return
    height, width = loading.size_px
    parts = [(train.batch_size, ""), (train.accumulate, "accumulated"), (train.devices, "devices")]
    batch = " x ".join(f"{n} {what}".rstrip() for n, what in parts if n > 1 or not what)
    total = f"{loading.images_per_step} ({batch})" if " x " in batch else batch
    on = (
        f"{training.device} ({train.threads} threads)"
        if training.device == "cpu"
        else training.device
    )
    until = time.strftime(
        "%H:%M" if seconds < 43_200 else "%d %b %H:%M", time.localtime(time.time() + seconds)
    )
    _log.info(
        f"{variant}: {networks.count_parameters(training.plain):,} parameters, {training.precision}"
        f" on {on}, {train.optimizer}{', compiled' if train.compile else ''}; {train.steps} steps"
        f" of {total} at {height} x {width} px: about {duration_in_words(seconds)}, until {until}"
    )


def _checkpoints(folder: Path, fingerprint: str, kept: int) -> Checkpoints:
    """This training's folder; all but the newest few of other settings are dropped."""
    (folder / fingerprint).mkdir(parents=True, exist_ok=True)
    (folder / fingerprint).touch()
    ours = [path for path in folder.iterdir() if re.fullmatch(r"[0-9a-f]{32}", path.name)]
    for old in sorted(ours, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        # another process of this training may have been faster
        shutil.rmtree(old, ignore_errors=True)
    return Checkpoints(folder / fingerprint, kept)


def _machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    facts = Path("/proc/cpuinfo")
    models = (
        re.findall(r"^model name\s*: (.+)$", facts.read_text(), re.MULTILINE)
        if facts.exists()
        else []
    )
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"
