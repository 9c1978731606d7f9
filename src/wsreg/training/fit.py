"""Fit a network to a task: one loop for any network, which goes on after a kill as if nothing
had happened."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from wsreg.children import end_with_parent, interrupts_held_back
from wsreg.errors import InputError
from wsreg.extras import check_extra
from wsreg.files.damage import say_damaged
from wsreg.networks.checkpoint import ModelCard, read_card, read_weights, save_checkpoint
from wsreg.threads import keep_to_one_thread, one_openmp_thread
from wsreg.training.config import FitConfig, learning_rate
from wsreg.training.log import append_log
from wsreg.training.state import restore_state, save_state, settings_of

OUT_OF_MEMORY = ("allocate memory", "is killed by signal: Killed")
"""In what torch says where memory, its own or a worker's, is not enough."""
CLIP_NORM = 1.0
"""Longest gradient that a step is made with."""

Batch = tuple[Tensor, ...]
Progress = Callable[[str, int, int], None]


class TaskConfig(Protocol):
    """Settings of a task: a frozen dataclass of plain values with defaults, one of them ``fit``."""

    @property
    def fit(self) -> FitConfig:
        """Return how the network is fitted."""


class Task(Protocol):
    """What a network is to learn.  Nothing is drawn but from the seed and the numbers given."""

    @property
    def network(self) -> nn.Module:
        """Return the network with its first weights; :func:`fit` changes it in place."""

    @property
    def config(self) -> TaskConfig:
        """Return the settings, which a run that goes on must share."""

    @property
    def origin(self) -> Mapping[str, Any]:
        """Return what else it must share, plain values: data, first weights."""

    def batch(self, step: int, number: int) -> Batch:
        """Return tensors on the CPU that are learnt from.

        Args:
            step: of the optimiser, for what grows harder.
            number: of the batch; as the step, but for each device its own.
        """

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the scalar loss of a batch on the network's device."""

    def validate(self, network: nn.Module, step: int) -> Mapping[str, float]:
        """Return metrics on what is held out, without gradients; NaN for what is not measured."""

    def card(self, step: int, metrics: Mapping[str, float]) -> ModelCard:
        """Return what the checkpoint after ``step`` steps says; ``metrics`` are finite."""


def fit(
    task: Task,
    folder: Path,
    *,
    accelerator: str = "cpu",
    devices: int = 1,
    precision: str = "32-true",
    minutes: float = math.inf,
    workers: int = 0,
    progress: Progress = lambda stage, done, total: None,
) -> ModelCard:
    """Train, going on from the last state in the folder if there is one.

    A run that was killed and goes on ends with the same weights as one that was not: what a step
    sees follows from seed and step alone.

    Args:
        task: what to learn; its network is changed in place.
        folder: gets model.safetensors, model.json, log.csv, TensorBoard's events and the state.
        accelerator: Lightning Fabric's: ``cpu``, ``cuda``, ``auto``.
        devices: how many; each works on batches of its own.
        precision: Lightning Fabric's: ``32-true``, ``bf16-mixed``.
        minutes: after which to stop and save, though not to measure; started again, the run goes
            on.
        workers: processes of one thread each that make batches ahead, beside which the network
            has one thread of its own: a busy machine slows a team of threads down a
            hundredfold.  0 makes them in this process.
        progress: called with (stage, done, total), first with the step that the run goes on from.

    Returns:
        The card of the last checkpoint that was written.

    Raises:
        InputError: the accelerator is absent, the state is of other settings or data, the loss is
            not finite any more, or the folder cannot be written.
    """
    config, network = task.config.fit, task.network
    fabric = _fabric(accelerator, devices, precision)
    optimiser = _optimiser(network, config)
    plan = {
        **settings_of(task.config), **task.origin, "devices": devices, "precision": precision,
    }  # fmt: skip
    model, fabric_optimiser = fabric.setup(network, optimiser)
    defaults = settings_of(type(task.config)())
    begin = restore_state(folder, network, optimiser, plan, defaults)  # onto the device
    progress("training", begin, config.steps)
    losses: list[float] = []
    if begin >= config.steps:
        return _finished(task, folder, begin)
    batches = _batches(task, fabric, begin, workers)
    card, stop = task.card(begin, {}), time.monotonic() + 60.0 * minutes
    for step in range(begin, config.steps):
        with memory_told(config.batch), one_openmp_thread() if workers else nullcontext():
            losses.append(_train_step(fabric, model, fabric_optimiser, task, step, next(batches)))
        progress("training", step + 1, config.steps)
        due = (step + 1) % config.save_every == 0 or step + 1 == config.steps
        # of one clock, lest some devices go on alone
        late = math.isfinite(stop) and bool(fabric.broadcast(time.monotonic() > stop))
        if not (due or late):
            continue
        metrics = {"loss": float(np.mean(losses)), **(_validated(task, model, step) if due else {})}
        losses.clear()
        card = task.card(step + 1, {k: v for k, v in metrics.items() if math.isfinite(v)})
        if fabric.is_global_zero:
            _save(folder, network, optimiser, plan, card, metrics if due else None)
        if late:
            break
    return card


def _save(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    plan: Mapping[str, Any],
    card: ModelCard,
    metrics: Mapping[str, float] | None,
) -> None:
    """Write a checkpoint, what is logged if anything, and the state.

    The state is the last: what a kill cuts off is then done again.
    """
    save_checkpoint(folder, card, network.state_dict())
    if metrics is not None:
        append_log(folder, card.step, metrics)
    save_state(folder, network, optimiser, plan, card.step)


def _finished(task: Task, folder: Path, step: int) -> ModelCard:
    """Return the card of a training that is done; a damaged checkpoint is written anew."""
    try:
        read_weights(folder)
        return read_card(folder)
    except InputError as error:
        say_damaged(f"{error}; it is written again, without its metrics")
        card = task.card(step, {})
        save_checkpoint(folder, card, task.network.state_dict())
        return card


@contextlib.contextmanager
def memory_told(batch: int) -> Iterator[None]:
    """Say which batch may fit where memory, of the machine or of a GPU, is not enough for one.

    Raises:
        InputError: memory is not enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is of the latter
        told = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not told and not any(sign in str(error) for sign in OUT_OF_MEMORY):
            raise
        raise InputError(
            f"a batch of {batch} images does not fit into memory; half of it (--batch "
            f"{max(1, batch // 2)}) may"
        ) from error


def _train_step(
    fabric: Any,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    task: Task,
    step: int,
    batch: Batch,
) -> float:
    """Make a step and return the loss before it."""
    config = task.config.fit
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(config, step)
    # What a network itself draws, as for dropout, follows from seed and number too.
    torch.manual_seed(((config.seed << 32) + _number(fabric, step)) % 2**63)
    loss = task.loss(model, tuple(tensor.to(fabric.device) for tensor in batch))
    value = float(loss.detach())
    if not math.isfinite(value):
        raise InputError(
            f"training diverged: the loss is {value} at step {step}; lower the learning rate"
        )
    optimiser.zero_grad()
    fabric.backward(loss)
    fabric.clip_gradients(model, optimiser, max_norm=CLIP_NORM)
    optimiser.step()
    return value


def _number(fabric: Any, step: int) -> int:
    """Return the number of this device's batch of a step."""
    number: int = step * fabric.world_size + fabric.global_rank
    return number


Sent = tuple[NDArray[Any], ...] | InputError
"""A batch as processes send it through a pipe: tensors would lie in shared memory, of which
containers have little, and a process that gets none is waited for without end."""


class _Batches(Dataset[Sent]):
    """The batches of a task by their steps, or why there is none."""

    def __init__(self, task: Task, fabric: Any) -> None:
        self.task, self.world_size, self.rank = task, fabric.world_size, fabric.global_rank

    def __getitem__(self, step: int) -> Sent:
        try:
            batch = self.task.batch(step, step * self.world_size + self.rank)
            return tuple(tensor.numpy() for tensor in batch)
        except InputError as error:  # torch would hand it on with the traceback as its sentence
            return error


def _batches(task: Task, fabric: Any, begin: int, workers: int) -> Iterator[Batch]:
    """Return the batches of the steps from ``begin`` on, in order, made ahead by processes."""
    if workers < 0:
        raise InputError(f"workers must be at least 0, got {workers}")
    steps = range(begin, task.config.fit.steps)
    loader = DataLoader(
        _Batches(task, fabric),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_begin_worker,
        collate_fn=_as_sent,
    )
    with interrupts_held_back():
        batches = iter(loader)  # begins the processes
    for batch in batches:
        if isinstance(batch, InputError):
            raise batch
        yield tuple(map(torch.from_numpy, batch))


def _as_sent(batch: Any) -> Any:
    return batch


def _begin_worker(number: int) -> None:
    end_with_parent()
    keep_to_one_thread()


def _validated(task: Task, model: nn.Module, step: int) -> Mapping[str, float]:
    model.eval()
    with torch.no_grad():
        return task.validate(model, step)


def _fabric(accelerator: str, devices: int, precision: str) -> Any:
    check_extra("networks", "lightning_fabric", "tensorboard")
    from lightning_fabric import Fabric

    if accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
        raise InputError("accelerator cuda needs a GPU, this machine has none that torch can use")
    if devices < 1:
        raise InputError(f"devices must be at least 1, got {devices}")
    if accelerator in ("cuda", "gpu") and devices > torch.cuda.device_count():
        raise InputError(
            f"devices must be at most the {torch.cuda.device_count()} GPUs here, got {devices}"
        )
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision)
    fabric.launch()
    return fabric


def _optimiser(network: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if config.optimiser == "adam":
        return torch.optim.Adam(trained, lr=config.learning_rate)
    return torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
