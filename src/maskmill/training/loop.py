"""The training loop: read it top to bottom.

`fit` takes the data, a network and the settings, and gives the weights with the best validation
score. It can be killed at any step: the order of samples, the augmentation and the learning rate
are functions of the step, so weights, optimizer state and history are all that a checkpoint holds.
It is not cut up, nor is `fit`: what counts is the order in which things happen.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from signal import Signals
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from maskmill.losses import Loss
from maskmill.metrics import Labels
from maskmill.metrics.confusion import Confusion
from maskmill.samples.preprocessing import Preprocessing
from maskmill.samples.shards import Shard
from maskmill.settings.config import Train
from maskmill.system.errors import MaskmillError
from maskmill.training import distributed, guards, hardware, optim, state
from maskmill.training.average import Average
from maskmill.training.checkpoint import Checkpoints
from maskmill.training.fabric import Fabric
from maskmill.training.guards import StepGuard
from maskmill.training.loading import Loading
from maskmill.training.progress import TrainingProgress
from maskmill.training.signals import Terminated, Termination

_log = logging.getLogger(__name__)

HistoryRow = dict[str, float]  # one row of the history: step, loss, learning_rate, val_<metric>
Log = Callable[[Sequence[HistoryRow]], None]  # takes the rows that are new


@dataclass(frozen=True)
class Validator:
    """What the score is measured on."""

    shard: Shard
    labels: Labels
    metric: str  # a name of `metrics.confusion.names`


@dataclass(frozen=True)
class Result:
    """The best weights, where they were found, the history, and how long it all took."""

    weights: dict[str, Tensor]
    best_step: int
    best_score: float
    history: list[HistoryRow]
    seconds: float  # over all restarts


class Training:
    """One training: network and optimizer on the device, its history and best weights so far."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        preprocessing: Preprocessing,
        train: Train,
        fabric: Fabric | None = None,
    ) -> None:
        self.train = train
        self.device = hardware.choose_device(train)
        self.precision = hardware.choose_precision(train, self.device)
        self.loss = loss
        self.preprocessing = preprocessing
        self.fabric = fabric or distributed.launch_fabric(train)
        # after Fabric, which sets it where it starts processes
        torch.set_num_threads(train.threads)
        self.writes = self.fabric.is_global_zero
        model = distributed.over_all_devices(model, self.fabric)
        self.plain = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.encoder = optim.find_encoder(self.plain, train)
        self.optimizer = optim.create_optimizer(self.plain, train)
        compiled = torch.compile(self.plain) if train.compile else self.plain
        self.model, _ = self.fabric.setup(compiled, self.optimizer)
        self.guard = StepGuard(self.plain, self.optimizer, train, self.fabric)
        self.average = None if train.ema is None else Average(self.plain, train.ema)
        self.pieces = train.accumulate  # of a step's images; more after memory did not suffice
        self.step = 0
        self.losses: list[Tensor] = []  # since the last validation
        self.history: list[HistoryRow] = []
        self.seconds = 0.0
        self.best: dict[str, Tensor] = {}
        self.best_step, self.best_score = 0, -1.0

    def fit(
        self,
        loading: Loading,
        validation: Validator,
        checkpoints: Checkpoints,
        log: Log,
        title: str,
    ) -> Result:
        """Train from the newest checkpoint, or the start, to the last step or until patience ends.

        `log` gets each row of the history once, those of before a restart first and together.
        Raises: Terminated after SIGTERM or Ctrl-C, with a checkpoint of the step; MaskmillError.
        """
        if found := checkpoints.latest():
            state.restore_state(self, found)
            if self.history:
                log(list(self.history))
            _log.info(f"{title}: goes on at step {self.step} of {self.train.steps}")
        started, before, shown = time.monotonic(), self.seconds, float("nan")
        images_per_step = loading.images_per_step
        checkpoints.expect(state.state_bytes(self))
        with (
            distributed.ending_with_parent(self.fabric),
            Termination() as end,
            loading.explained(),
            TrainingProgress(
                title, self.step, self.train.steps, images_per_step, self.device, self.writes
            ) as progress,
        ):

            def tell(row: HistoryRow) -> None:
                log([row])
                progress.line(self._line(title, validation.metric))

            # a training that was ended during a validation still owes it
            ends = self._validate(validation, end, tell) if self._owes_validation() else None
            for images, masks in loading(self.step) if not (ends or self._over()) else ():
                self._optimize(images, masks)
                self.step += 1
                ends = distributed.first_of(self.fabric, end.asked)
                validates = self._owes_validation()
                saves = self.writes and checkpoints.due(self.train.checkpoint_every_s)
                if validates or saves or ends or self.guard.due(self.step):
                    self.guard.look(title, loading.ids)
                    shown = float(self.losses[-1])
                progress.step(shown, self._rate())
                if validates and not ends:
                    ends = self._validate(validation, end, tell)
                self.seconds = before + time.monotonic() - started
                if saves or ends or self._over():
                    self._save(checkpoints, title)
                if ends or self._over():
                    break
            if ends:
                self._end(title, ends)
        if not self.best:
            raise MaskmillError(
                f"{title}: {validation.metric} was never a number on the val split, which holds no"
                " class that it counts; give val other groups in data/splits.csv, or set another"
                " evaluation.primary in params.yaml"
            )
        return Result(self.best, self.best_step, self.best_score, self.history, self.seconds)

    def _optimize(self, images: Tensor, masks: Tensor) -> None:
        torch.manual_seed(
            int(np.random.SeedSequence((self.train.seed, self.step)).generate_state(1)[0])
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(self.step) * group["lr_scale"]
        self.guard.remember()
        loss = self.forward_backward(images, masks)
        self.guard.step(self.step, loss)
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.step)
        self.losses.append(loss)

    def forward_backward(self, images: Tensor, masks: Tensor) -> Tensor:
        """Compute the gradients of a step, and return its loss.

        The loss is the mean of the losses of its pieces, weighted by their images.
        """
        self.plain.train()
        self._freeze()
        while True:
            with contextlib.suppress(torch.OutOfMemoryError):
                return self._in_pieces(images, masks)
            self.optimizer.zero_grad()
            self.guard.restore()
            self.pieces = guards.smaller_pieces(
                self.pieces, len(images), self.train, self.fabric.world_size
            )
            if self.device == "cuda":
                torch.cuda.empty_cache()

    def _in_pieces(self, images: Tensor, masks: Tensor) -> Tensor:
        images, masks = self.fabric.to_device((images, masks))
        pairs = list(zip(images.chunk(self.pieces), masks.chunk(self.pieces), strict=True))
        total = torch.zeros((), device=self.fabric.device)
        for i, (part, target) in enumerate(pairs, 1):
            share = len(part) / len(images)
            # the last piece sends the sum of all to the other processes
            alone = self.fabric.world_size == 1 or i == len(pairs)
            with contextlib.nullcontext() if alone else self.fabric.no_backward_sync(self.model):
                x = self.preprocessing.apply(part).contiguous(memory_format=torch.channels_last)
                loss = self._total(self.model(x), target.long()) * share
                self.fabric.backward(loss)
            total += loss.detach()
        return total

    def _total(self, out: Tensor | dict[str, Tensor], target: Tensor) -> Tensor:
        """The loss, plus that of each auxiliary head times its weight.

        The network gives the weights in `aux_heads`.
        """
        if isinstance(out, Tensor):
            return self.loss(out, target)
        weights: dict[str, float] = self.plain.aux_heads
        further = [weight * self.loss(out[name], target) for name, weight in weights.items()]
        return sum(further, start=self.loss(out["logits"], target))

    def _freeze(self) -> None:
        """Leave the encoder out of the first steps: no gradient, and batch norm as it is."""
        if self.encoder is None or not self.train.freeze_encoder_steps:
            return
        frozen = self.step < self.train.freeze_encoder_steps
        self.encoder.train(not frozen)
        self.encoder.requires_grad_(not frozen)

    def _owes_validation(self) -> bool:
        """Whether the last step is one to validate after, and that is not done."""
        at = self.step % self.train.val_every_steps == 0 or self.step == self.train.steps
        return at and self.step > (self.history[-1]["step"] if self.history else 0)

    def _validate(
        self, validation: Validator, end: Termination, tell: Callable[[HistoryRow], None]
    ) -> Signals | None:
        """Validate and add a row to the history, unless a signal comes meanwhile.

        Returns: that signal; the next start validates.
        """
        confusion = Confusion(validation.labels)
        totals = torch.zeros(len(confusion.fields), dtype=torch.float64)
        for i in range(self.fabric.global_rank, len(validation.shard), self.fabric.world_size):
            if end.asked:
                break
            image, mask = validation.shard[i]
            totals += confusion.of(self.predict(image), torch.tensor(mask))
        if ends := distributed.first_of(self.fabric, end.asked):
            return ends
        losses = torch.stack(self.losses)
        loss = losses[losses.isfinite()].mean()  # without the steps that were skipped
        if self.fabric.world_size > 1:
            totals = self.fabric.all_reduce(totals, reduce_op="sum").cpu()
            loss = self.fabric.all_reduce(loss, reduce_op="mean")
        self.losses.clear()
        score = float(confusion.scores(totals)[validation.metric])
        if score > self.best_score:
            self.best_score, self.best_step = score, self.step
            self.best = {
                name: value.detach().cpu().clone()
                for name, value in self._shown.state_dict().items()
            }
        row = {
            "step": self.step, "loss": float(loss), "learning_rate": self._rate(),
            f"val_{validation.metric}": score,
        }  # fmt: skip
        self.history.append(row)
        tell(row)
        return None

    @property
    def _shown(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.plain if self.average is None else self.average.network

    def predict(self, image: np.ndarray) -> Tensor:
        """(H, W, C) uint8 -> (H, W) int64 class ids."""
        network, precision = self._shown.eval(), self.fabric.strategy.precision
        with torch.inference_mode(), precision.forward_context():
            pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]  # (1, C, H, W)
            x = self.preprocessing.apply(self.fabric.to_device(pixels))
            logits = network(
                precision.convert_input(x.contiguous(memory_format=torch.channels_last))
            )
            ids: Tensor = logits.max(1).indices[0].cpu()
        return ids

    def _rate(self, step: int | None = None) -> float:
        """Of a step from 0, or of the last one."""
        return optim.learning_rate(self.step - 1 if step is None else step, self.train)

    def _over(self) -> bool:
        since = (self.step - self.best_step) // self.train.val_every_steps
        at_validation = bool(self.history) and self.history[-1]["step"] == self.step
        return self.step >= self.train.steps or (at_validation and since >= self.train.patience)

    def _save(self, checkpoints: Checkpoints, title: str) -> None:
        if self.writes:
            began = time.monotonic()
            made = state.capture_state(self)
            guards.check_finite(title, self.step, made.tensors, self.train)
            checkpoints.save(made, began)

    def _end(self, title: str, by: Signals) -> NoReturn:
        if not self.writes:
            sys.exit(0)  # another status has Fabric kill the process that writes
        with contextlib.suppress(OSError):  # nobody is left who reads it
            _log.info(
                f"{title}: ended by {by.name} after step {self.step}; the next start goes on there"
            )
        raise Terminated(by)

    def _line(self, title: str, metric: str) -> str:
        row = self.history[-1]
        return (
            f"{title}: step {self.step:>4}/{self.train.steps}  loss {row['loss']:.3f}  val {metric}"
            f" {row[f'val_{metric}']:.4f}  (best {self.best_score:.4f} at {self.best_step})"
        )
