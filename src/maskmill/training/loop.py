"""The training loop: read it top to bottom.

`fit` takes the data, a network and the settings, and gives the weights with the best validation score. It can be killed
at any step: the order of samples, the augmentation and the learning rate are functions of the step, so weights,
optimizer state and history are all that a checkpoint holds.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from maskmill.config import Train
from maskmill.data.preprocessing import Preprocessing
from maskmill.data.shards import Shard
from maskmill.errors import MaskmillError
from maskmill.losses import Loss
from maskmill.metrics.confusion import Confusion
from maskmill.training import optim
from maskmill.training.checkpoint import Checkpoints, State

Row = dict[str, float]  # one row of the history: step, loss, learning_rate, val_<metric>
Log = Callable[[Row], None]
Batches = Callable[[int], Iterable[tuple[Tensor, Tensor]]]  # first step -> batches from there to the last step

FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}
_PROBE_STEPS, _PROBE_WARM_UP = 5, 2  # the first steps build kernels and take half as long again


@dataclass(frozen=True)
class Validation:
    """What the score is measured on."""

    shard: Shard
    classes: tuple[str, ...]
    foreground: tuple[int, ...]
    ignore_index: int
    metric: str  # a name of `metrics.confusion.names`


@dataclass(frozen=True)
class Result:
    """The best weights, where they were found, the history, and how long it all took."""

    weights: dict[str, Tensor]
    best_step: int
    best_score: float
    history: list[Row]
    seconds: float  # over all restarts


class Training:
    """One training: its network and optimizer on the device, its history and its best weights so far."""

    def __init__(
        self, model: nn.Module, loss: Loss, preprocessing: Preprocessing, train: Train, device: str, precision: str
    ) -> None:
        torch.set_num_threads(train.threads)
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        self.train = train
        self.device, self.precision = device, precision
        self.loss = loss
        self.preprocessing = preprocessing
        self.fabric = Fabric(accelerator=device, devices=1, precision=FABRIC_PRECISION[precision])
        self.plain = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model, self.optimizer = self.fabric.setup(self.plain, optim.optimizer(self.plain, train))
        self.step = 0
        self.history: list[Row] = []
        self.seconds = 0.0
        self.best: dict[str, Tensor] = {}
        self.best_step, self.best_score = 0, -1.0

    def fit(self, batches: Batches, validation: Validation, checkpoints: Checkpoints, log: Log, title: str) -> Result:
        """Train from the newest checkpoint, or from the start, to the last step or until patience ends.

        `log` gets each row of the history once, those of before a restart first.
        """
        if state := checkpoints.latest():
            self._restore(state)
            for row in self.history:
                log(row)
            print(f"{title}: goes on at step {self.step} of {self.train.steps}", flush=True)
        started = saved = time.monotonic()
        before = self.seconds
        losses: list[Tensor] = []
        bar = tqdm(desc=title, total=self.train.steps, initial=self.step, unit="step", disable=None, leave=False)
        for images, masks in batches(self.step) if not self._over() else ():
            losses.append(self._optimize(images, masks))
            self.step += 1
            bar.update()
            if self.step % self.train.val_every_steps and self.step < self.train.steps:
                continue
            loss = float(torch.stack(losses).mean())  # the device is waited for here
            losses.clear()
            self._guard(loss, title)
            log(self._validate(loss, validation))
            bar.write(self._line(title, validation.metric))
            self.seconds = before + time.monotonic() - started
            if self._over() or time.monotonic() - saved >= self.train.checkpoint_every_s:
                checkpoints.save(self._state())
                saved = time.monotonic()
            if self._over():
                break
        bar.close()
        if not self.best:
            raise MaskmillError(
                f"{title}: {validation.metric} was never a number on the val split, which holds no class that it "
                "counts; give val other groups in data/splits.csv, or set another evaluation.primary in params.yaml"
            )
        return Result(self.best, self.best_step, self.best_score, self.history, self.seconds)

    def seconds_per_step(self, images: Tensor, masks: Tensor) -> float:
        """Measure a step on this machine, without leaving a trace in weights or optimizer."""
        before = {name: value.clone() for name, value in self.plain.state_dict().items()}
        times = []
        for _ in range(_PROBE_STEPS):
            start = time.perf_counter()
            self._forward_backward(images, masks).item()
            self.optimizer.zero_grad()
            times.append(time.perf_counter() - start)
        self.plain.load_state_dict(before)
        return float(np.median(times[_PROBE_WARM_UP:]))

    def seconds_of_validation(self, validation: Validation) -> float:
        """Measure one image of the validation, times all of them."""
        pixels = [height * width for height, width in validation.shard.sizes]
        middle = int(np.argsort(pixels)[len(pixels) // 2])
        times = []
        for _ in range(_PROBE_WARM_UP):
            start = time.perf_counter()
            self._predict(validation.shard[middle][0])
            times.append(time.perf_counter() - start)
        self.model.train()
        return times[-1] * sum(pixels) / pixels[middle]

    def _forward_backward(self, images: Tensor, masks: Tensor) -> Tensor:
        images, masks = self.fabric.to_device((images, masks))
        x = self.preprocessing.apply(images).contiguous(memory_format=torch.channels_last)
        loss = self._total(self.model(x), masks.long())
        self.fabric.backward(loss)
        return loss.detach()

    def _total(self, out: Tensor | dict[str, Tensor], target: Tensor) -> Tensor:
        """The loss, and that of each auxiliary head times its weight, which the network gives in `aux_heads`."""
        if isinstance(out, Tensor):
            return self.loss(out, target)
        weights: dict[str, float] = self.plain.aux_heads
        further = [weight * self.loss(out[name], target) for name, weight in weights.items()]
        return sum(further, start=self.loss(out["logits"], target))

    def _optimize(self, images: Tensor, masks: Tensor) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = optim.learning_rate(self.step, self.train)
        loss = self._forward_backward(images, masks)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def _validate(self, loss: float, validation: Validation) -> Row:
        confusion = Confusion(validation.classes, validation.ignore_index)
        for image, mask in validation.shard:
            confusion.update(self._predict(image), mask)
        self.model.train()
        score = confusion.scores(validation.foreground)[validation.metric]
        if score > self.best_score:
            self.best_score, self.best_step = score, self.step
            self.best = {name: value.detach().cpu().clone() for name, value in self.plain.state_dict().items()}
        rate = optim.learning_rate(self.step - 1, self.train)
        row = {"step": self.step, "loss": loss, "learning_rate": rate, f"val_{validation.metric}": score}
        self.history.append(row)
        return row

    def _predict(self, image: np.ndarray) -> np.ndarray:
        """(H, W, C) uint8 -> (H, W) class ids; leaves the network in evaluation mode."""
        self.model.eval()
        with torch.inference_mode():
            pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]  # (1, C, H, W)
            x = self.preprocessing.apply(self.fabric.to_device(pixels))
            logits = self.model(x.contiguous(memory_format=torch.channels_last))
            ids: np.ndarray = logits.max(1).indices[0].cpu().numpy()
        return ids

    def _guard(self, loss: float, title: str) -> None:
        if not np.isfinite(loss):
            raise MaskmillError(
                f"{title}: the loss is {loss} at step {self.step}; lower train.learning_rate "
                f"(now {self.train.learning_rate}) in params.yaml, or take train.precision: fp32"
            )

    def _over(self) -> bool:
        since = (self.step - self.best_step) // self.train.val_every_steps
        return self.step >= self.train.steps or (bool(self.history) and since >= self.train.patience)

    def _line(self, title: str, metric: str) -> str:
        row = self.history[-1]
        return (
            f"{title}: step {self.step:>4}/{self.train.steps}  loss {row['loss']:.3f}  "
            f"val {metric} {row[f'val_{metric}']:.4f}  (best {self.best_score:.4f} at {self.best_step})"
        )

    def _state(self) -> State:
        tensors = {f"model/{name}": value for name, value in self.plain.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        for i, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{i}/{name}": value for name, value in moments.items()}
        facts = {
            "history": self.history, "best_step": self.best_step, "best_score": self.best_score,
            "seconds": self.seconds,
        }  # fmt: skip
        return State(self.step, tensors, facts)

    def _restore(self, state: State) -> None:
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
        for name, value in state.tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = value
        self.plain.load_state_dict(parts["model"])
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            i, moment = name.split("/")
            moments.setdefault(int(i), {})[moment] = _laid_out_as(trained[int(i)], value)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.step, self.best = state.step, parts["best"]
        self.history, self.seconds = state.facts["history"], state.facts["seconds"]
        self.best_step, self.best_score = state.facts["best_step"], state.facts["best_score"]


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in its parameter's memory layout, which fused AdamW takes for granted without looking."""
    if moment.shape != parameter.shape:
        return moment  # the step count
    return torch.empty_like(parameter, dtype=moment.dtype, requires_grad=False).copy_(moment)
