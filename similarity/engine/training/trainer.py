"""The loop that every training shares: steps, averaged weights, checkpoints, a budget.

It is made of what is common to short trainings from little data: AdamW (Loshchilov and Hutter,
ICLR 2019) under a cosine schedule with a warm-up, and an exponential moving average of the
weights, which is what is measured and kept (Polyak and Juditsky, 1992; here with the decay that
Tarvainen and Valpola, "Mean teachers", NeurIPS 2017, ramp up).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from similarity.engine.device import ANY_UNITS, channels_last, pick_device, pick_precision
from similarity.engine.errors import WrongWeights

WEIGHT_DECAY = 0.05
WARM_UP = 150  # steps
LONGEST_GRADIENT = 5.0
AVERAGING = 0.998

Tensors = tuple[Tensor, ...] | list[Tensor]


class Task(Protocol):
    """What is learnt."""

    modules: nn.ModuleDict
    """`network` is what is kept; whatever stands beside it only helps to train it."""
    steps_per_epoch: int
    learning_rate: float

    def batches(self) -> Dataset[Any]:
        """Item i is the batch of step i, the same whenever it is asked for."""
        ...

    def losses(self, batch: Any, progress: float) -> dict[str, Tensor]:
        """Scalars, weighted, whose sum is to fall; `progress` runs from 0 to 1."""
        ...

    def measure(self, network: nn.Module) -> dict[str, float]:
        """Figures on held-out photos."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: so many minutes or so many epochs, exactly one of them."""

    minutes: float | None = None
    epochs: int | None = None

    def progress(self, seconds: float, step: int, steps_per_epoch: int) -> float:
        """What share of it is used up, 0 to 1."""
        if self.minutes is not None:
            return min(1.0, seconds / (60 * self.minutes))
        assert self.epochs is not None
        return min(1.0, step / (self.epochs * steps_per_epoch))


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands after a step; `figures` only where an epoch ended with it."""

    share: float
    epoch: int
    losses: dict[str, float]
    """Running means."""
    figures: dict[str, float] | None = None


@dataclass
class Trainer:
    """Trains a task within a budget, and writes a checkpoint at the end of each epoch."""

    task: Task
    budget: Budget
    checkpoint: Path
    device: str = "auto"
    about: Mapping[str, object] = field(default_factory=dict)
    """What a checkpoint has to have in common with the training that goes on from it."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One entry an epoch: minutes, losses and figures."""

    def __post_init__(self) -> None:
        self.place = pick_device(self.device)
        channels_last(self.task.modules).to(self.place)
        self.averaged = AveragedModel(
            self.task.modules["network"], multi_avg_fn=_average, use_buffers=True
        ).eval()
        self.optimizer = torch.optim.AdamW(_groups(self.task.modules), self.task.learning_rate)
        self.step = 0
        self.seconds = 0.0
        self._figures: dict[str, float] = {}

    @property
    def network(self) -> nn.Module:
        """The averaged network, set to serve: measuring it leaves its batch norms alone."""
        return self.averaged.module

    @property
    def figures(self) -> dict[str, float]:
        """Of the network as it is: those of the last epoch, which a training ends with."""
        if not self._figures:
            self._figures = self.task.measure(self.network)
        return self._figures

    def resume(self) -> None:
        """Go on from the checkpoint. Raises WrongWeights if it is not of this training."""
        try:
            state = torch.load(self.checkpoint, map_location=self.place, weights_only=True)
            self._must_be_of_this(state["about"])
            self.task.modules.load_state_dict(state["modules"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.history = list(state["history"])
        except (MemoryError, WrongWeights):
            raise
        except Exception as error:  # what a damaged file raises is the reader's secret
            raise WrongWeights(f"{self.checkpoint} does not fit this training: {error}") from error

    def _must_be_of_this(self, about: Mapping[str, object]) -> None:
        unlike = [name for name in self.about if about.get(name) != self.about[name]]
        if unlike:
            raise WrongWeights(
                f"{self.checkpoint} is of a training with other {' and '.join(unlike)}. "
                "Repeat its options to go on, or write to another --output."
            )

    def blend(self, before: Mapping[str, Tensor], share: float) -> None:
        """Mix the averaged network with what it was before: `share` (0 to 1) of what it learnt.

        Both know what the other has forgotten, and the way between them leads over no hill:
        Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
        """
        for name, tensor in _blended(self.network).items():
            tensor.lerp_(before[name].to(tensor), 1 - share)
        self._figures = {}

    def run(self) -> Iterator[Progress]:
        """Train until the budget is used up, telling where it stands after every step."""
        means: dict[str, float] = {}
        began = time.monotonic() - self.seconds
        for batch in self._loader():
            share = self._share()
            if share >= 1:
                break
            losses = self._learn(batch, share)
            means |= {name: _mean(means.get(name), loss) for name, loss in losses.items()}
            self.step += 1
            self.seconds = time.monotonic() - began
            share, epoch = self._share(), self.step // self.task.steps_per_epoch
            ended = self.step % self.task.steps_per_epoch == 0 or share >= 1
            yield Progress(share, epoch, means, self._end_epoch(means) if ended else None)

    def _share(self) -> float:
        return self.budget.progress(self.seconds, self.step, self.task.steps_per_epoch)

    def _loader(self) -> DataLoader[Any]:
        """Batches from a process of its own, which is done with one when it is asked for."""
        ahead = range(self.step, 2**62)
        return DataLoader(self.task.batches(), batch_size=None, sampler=ahead, num_workers=1)

    def _learn(self, batch: Any, share: float) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.task.learning_rate * _schedule(self.step, share)
        self.task.modules.train()
        losses = self.task.losses(_moved(batch, self.place), share)
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.task.modules.parameters(), LONGEST_GRADIENT)
        self.optimizer.step()
        self.averaged.update_parameters(self.task.modules["network"])
        return {name: loss.item() for name, loss in losses.items()}

    def _end_epoch(self, losses: dict[str, float]) -> dict[str, float]:
        self._figures = self.task.measure(self.network)
        self.history.append({"minutes": round(self.seconds / 60, 2), **losses, **self._figures})
        self._write_checkpoint()
        return self._figures

    def _write_checkpoint(self) -> None:
        beside = self.checkpoint.with_name(self.checkpoint.name + ".part")
        torch.save(
            {
                "modules": self.task.modules.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "history": self.history,
                "about": dict(self.about),
            },
            beside,
        )
        beside.replace(self.checkpoint)


def must_be_blendable(network: nn.Module, before: Mapping[str, Tensor]) -> None:
    """Raises WrongWeights unless `before` holds all of the network."""
    own = _blended(network)
    if any(k not in before or before[k].shape != v.shape for k, v in own.items()):
        raise WrongWeights("Only weights of the very same network can be blended.")


def _blended(network: nn.Module) -> dict[str, Tensor]:
    """The network's numbers that have a middle."""
    return {k: v for k, v in network.state_dict().items() if v.is_floating_point()}


def quickly(place: torch.device) -> torch.autocast:
    """A context in which convolutions and matrix products are of bfloat16, where that is quick.

    For a network alone: losses of what it gives want single precision.
    """
    return torch.autocast(place.type, torch.bfloat16, enabled=precision_on(place) == "bfloat16")


def precision_on(place: torch.device) -> Literal["float32", "bfloat16"]:
    """What a device computes quickest in."""
    if place.type == "cpu":
        return pick_precision(units=ANY_UNITS)
    return "bfloat16" if place.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def _schedule(step: int, share: float) -> float:
    """A linear warm-up, then half a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017)."""
    return max(1e-3, min(1.0, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * share)) / 2)


def _groups(modules: nn.Module) -> list[dict[str, Any]]:
    """Weights decay; biases and the parameters of norms do not (He et al., CVPR 2019)."""
    learnt = [parameter for parameter in modules.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in learnt if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in learnt if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _average(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
    decay = min(AVERAGING, (1 + int(count)) / (10 + int(count)))
    for mean, value in zip(averaged, current, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _mean(before: float | None, now: float) -> float:
    return now if before is None else 0.98 * before + 0.02 * now


def _moved(batch: Any, place: torch.device) -> Any:
    """The batch's tensors on the device that trains."""
    if isinstance(batch, Tensor):
        return batch.to(place)
    if isinstance(batch, tuple):
        parts = [_moved(part, place) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    return [_moved(part, place) for part in batch] if isinstance(batch, list) else batch
