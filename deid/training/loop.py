"""The one training loop; `Task` and `Run` (in `deid.training.task`) are its interface."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from deid.core.errors import UsageError
from deid.training.checkpoint import is_finite
from deid.training.device import Engine, explained_memory, start_engine
from deid.training.meter import not_finite
from deid.training.options import LoopOptions
from deid.training.prefetch import Prefetch, step_generator
from deid.training.reporting import Reporter, not_finite_error
from deid.training.run_folder import RunFolder
from deid.training.schedule import Schedule
from deid.training.stopping import SignalWatch
from deid.training.task import Batch, BoundToData, Run, Stateful, Task

__all__ = ["Batch", "BoundToData", "FitReport", "LoopOptions", "Run", "Stateful", "Task", "fit"]


@dataclass(frozen=True)
class FitReport:
    """How a training ended; the task's modules then hold the weights of the best epoch.

    Attributes:
        reason: Why it ended: "epochs", "steps", "minutes" or "patience".
        steps: Steps done, over all resumptions.
        epochs: Epochs begun.
        best_epoch: Epoch with the best validation score, from 1.
        best_step: Steps done by then.
        best: The validation figures of that epoch.
        seconds: Time spent training and validating, over all resumptions.
        outside: Share of the time of the steps spent outside forward and backward, 0..1: waiting for batches,
            copying them to the device, writing log and checkpoints.
        device: Where it ran, such as "cpu" or "cuda (NVIDIA H100)".
        precision: "float32", "bfloat16" or "float16".
        is_main: Whether this process is the one to write what follows; False in all but one of several.
    """

    reason: str
    steps: int
    epochs: int
    best_epoch: int
    best_step: int
    best: dict[str, float]
    seconds: float
    outside: float
    device: str
    precision: str
    is_main: bool = True


def fit(task: Task, options: LoopOptions, folder: Path, *, alone: bool = False) -> FitReport:
    """Train a task, or go on where the run in ``folder`` stopped.

    Every step depends on the state after the step before, its number and the seed only (torch's global random
    numbers are seeded anew for each), so a resumed run takes the same steps as one that was never stopped,
    bit by bit on one CPU machine; except with ``minutes``, where the learning rate follows the clock.

    Args:
        task: What is trained.
        options: How long, where and how.
        folder: Receives ``options.json``, ``checkpoints/{last,best}.safetensors``, ``log.jsonl``, ``log.csv``
            and ``sheets/epoch_0001.png``.
        alone: In this process only, though several were started: the others may have ended.

    Raises:
        UsageError: The folder holds a run with other options, a loss is not finite, memory is not enough,
            ...; the last good checkpoint is kept.
    """
    engine = start_engine(options.device, options.precision, alone=alone)
    place = RunFolder(folder, engine.is_main)
    place.check(options)
    engine.wait()  # what one process writes no other one still checks
    place.open(options)
    engine.wait()
    training = _Training(task, options, engine, place)
    first, rank = training.state.step, engine.rank
    with (
        Reporter(place, options, task.steps_per_epoch, first, engine.is_main) as reporter,
        SignalWatch(reporter.say) as watch,
        Prefetch(task, options.seed, rank, first, training.steps, options.workers) as batches,
        explained_memory(lambda: _too_little_memory(training.state)),
    ):
        reason = training.go(batches, watch, reporter)
    return training.report(reason)


@dataclass
class _State:
    """Where a training stands, as kept in its checkpoint."""

    step: int = 0
    validated: int = 0
    best_step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    best_is_late: bool = False
    epochs_without: int = 0
    seconds: float = 0.0
    seconds_inside: float = 0.0
    seconds_outside: float = 0.0

    @property
    def outside(self) -> float:
        """Share of the time of the steps spent outside forward and backward."""
        return self.seconds_outside / max(self.seconds_inside + self.seconds_outside, 1e-9)


class _Run:
    """`deid.training.task.Run` for one training."""

    def __init__(self, engine: Engine, task: Task, folder: Path, options: LoopOptions) -> None:
        self.device, self.folder = engine.device, folder
        self.step, self.epoch, self.progress = 0, 0, 0.0
        self.generator = torch.Generator()
        self.optimizers = dict(task.optimizers())
        self.norms: dict[str, Tensor] = {}
        self._engine, self._options = engine, options

    def begin(self, purpose: str, step: int, epoch: int, progress: float) -> None:
        """Seed what is random in a step, a validation or a sheet."""
        self.step, self.epoch, self.progress = step, epoch, progress
        self.generator = step_generator(self._options.seed, purpose, step, self._engine.rank)
        torch.manual_seed(self.generator.initial_seed())
        self.norms.clear()

    def autocast(self) -> AbstractContextManager[object]:
        return self._engine.autocast()

    def backward(self, loss: Tensor) -> None:
        self._engine.backward(loss)

    def update(self, *names: str) -> None:
        chosen = {name: self.optimizers[name] for name in names or self.optimizers}
        self.norms |= self._engine.step(chosen, self._options.clip)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)


class _Training:
    """A task on its device, in the state it was left in."""

    def __init__(self, task: Task, options: LoopOptions, engine: Engine, folder: RunFolder) -> None:
        self._task, self._options, self._engine, self._folder = task, options, engine, folder
        self._modules = {name: module.to(engine.device) for name, module in task.modules().items()}
        for module in task.frozen().values():
            module.to(engine.device).eval().requires_grad_(False)
        for module in self._modules.values():
            engine.share(module.state_dict().values())
        self._run = _Run(engine, task, folder.path, options)
        self._schedule = Schedule(self._run.optimizers.values(), options.warmup, options.final_rate)
        self._rate = 0.0
        self.steps = options.epochs * task.steps_per_epoch
        if options.steps:
            self.steps = min(self.steps, options.steps)
        self.state = self._resumed()
        self._began = time.monotonic() - self.state.seconds

    def go(self, batches: Prefetch, watch: SignalWatch, reporter: Reporter) -> str:
        """All steps and epochs; returns why it ended."""
        state, options, per_epoch = self.state, self._options, self._task.steps_per_epoch
        if state.step % per_epoch == 0 and state.validated < state.step:  # stopped between the two
            self._end_epoch(reporter)
        self._set_train(True)
        while not (reason := self._reason_to_end()):
            self._one_step(batches, reporter)
            if self._is_meeting() and self._engine.agree(watch.number):
                self._keep(reporter)
                watch.act()
            if state.step % per_epoch == 0:
                self._end_epoch(reporter)
            elif state.step % options.save_every == 0:
                self._keep(reporter)
            elif state.step % options.log_every == 0:
                self._flush(reporter)
        if state.validated < state.step:
            self._end_epoch(reporter)
        self._keep(reporter)
        return reason

    def report(self, reason: str) -> FitReport:
        """How it ended; puts the weights of the best epoch into the modules."""
        self._engine.wait()
        best = self._folder.load("best")
        if best is None:
            raise UsageError("the run has no best checkpoint; start anew with --resume never.")
        self._load_modules(best)
        self._set_train(False)
        state = self.state
        return FitReport(
            reason=reason,
            steps=state.step,
            epochs=self._epoch_of(state.step),
            best_epoch=self._epoch_of(state.best_step),
            best_step=state.best_step,
            best=state.best,
            seconds=state.seconds,
            outside=state.outside,
            device=self._engine.describe(),
            precision=self._engine.precision,
            is_main=self._engine.is_main,
        )

    def _progress(self, steps: int) -> float:
        """How much of the training is done after so many steps, 0..1: of the steps, or of the minutes."""
        return min(1.0, max(steps / self.steps, self._share_of_minutes()))

    def _reason_to_end(self) -> str:
        options, state = self._options, self.state
        if options.patience and state.epochs_without >= options.patience:
            return "patience"
        if state.step >= self.steps:
            return "epochs" if state.step >= options.epochs * self._task.steps_per_epoch else "steps"
        if options.minutes and state.step and self._is_meeting():
            return "minutes" if self._engine.agree(self._share_of_minutes()) >= 1 else ""
        return ""

    def _one_step(self, batches: Prefetch, reporter: Reporter) -> None:
        state = self.state
        with self._outside():
            device = self._engine.device
            batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batches.take().items()}
            progress = self._progress(state.step + 1)
            self._rate = self._schedule.set(progress)
            self._run.begin("step", state.step, state.step // self._task.steps_per_epoch, progress)
        begin = time.perf_counter()
        losses = self._task.step(batch, self._run)
        state.seconds_inside += time.perf_counter() - begin
        state.step += 1
        reporter.step(state.step, losses, self._run.norms)

    def _end_epoch(self, reporter: Reporter) -> None:
        """Validate, keep the best and the last state, draw the sheet."""
        state, task = self.state, self._task
        self._flush(reporter)
        self._set_train(False)
        for module in self._modules.values():
            self._engine.share(module.buffers())
        epoch = self._epoch_of(state.step)
        self._run.begin("validation", state.step, epoch - 1, self._progress(state.step))
        with torch.no_grad():
            figures = self._engine.agree(dict(task.validate(self._run)))
            self._judge(figures)
            picture = task.sheet(self._run)
        self._set_train(True)
        state.validated, state.seconds = state.step, time.monotonic() - self._began
        reporter.epoch(epoch, state.step, figures, {"outside": state.outside, "seconds": state.seconds})
        reporter.sheet(epoch, picture)
        self._keep(reporter)

    def _judge(self, figures: dict[str, float]) -> None:
        """Whether this is the best epoch so far; its weights are kept then."""
        state, score = self.state, self._task.score
        if not_finite({score: figures[score]}):
            raise UsageError(
                f"the validation figure {score} cannot be measured; the validation patients are too few or "
                "all alike. Give more patients."
            )
        is_late = self._progress(state.step) >= getattr(self._task, "best_from", 0.0)
        if not state.best or (is_late, figures[score]) > (state.best_is_late, state.best[score]):
            state.best, state.best_step, state.epochs_without = figures, state.step, 0
            state.best_is_late = is_late
            self._folder.save("best", {"modules": self._weights()})
        else:
            state.epochs_without += 1

    def _keep(self, reporter: Reporter) -> None:
        """Write the last state, unless it is spoilt."""
        self._flush(reporter)
        state = self.state
        with self._outside():
            weights = self._weights()
            if not is_finite(weights):
                raise not_finite_error("the weights are not finite numbers", state.step)
            state.seconds = time.monotonic() - self._began
            tree = {
                "loop": asdict(state),
                "modules": weights,
                "optimizers": {name: o.state_dict() for name, o in self._run.optimizers.items()},
                "engine": self._engine.state(),
                "task": self._task.state() if isinstance(self._task, Stateful) else {},
            }
            self._folder.save("last", tree)

    def _flush(self, reporter: Reporter) -> None:
        begin = time.perf_counter()
        reporter.flush(self.state.step, self._rate)  # mostly waits for what the device has yet to compute
        self.state.seconds_inside += time.perf_counter() - begin

    def _resumed(self) -> _State:
        """The state of the last checkpoint, put into modules, optimizers and task; or a new one."""
        tree = self._folder.load("last")
        if tree is None:
            return _State()
        self._load_modules(tree)
        try:
            for name, optimizer in self._run.optimizers.items():
                _load_moments(optimizer, tree["optimizers"][name])
            self._engine.load_state(tree["engine"])
            state = _State(**tree["loop"])
        except (KeyError, ValueError, TypeError, RuntimeError):
            raise _misfit() from None
        if isinstance(self._task, Stateful):
            self._task.load_state(tree["task"])
        return state

    def _load_modules(self, tree: dict[str, Any]) -> None:
        try:
            for name, module in self._modules.items():
                module.load_state_dict(tree["modules"][name])
        except (KeyError, RuntimeError, TypeError, AttributeError):
            raise _misfit() from None

    def _weights(self) -> dict[str, Any]:
        return {name: module.state_dict() for name, module in self._modules.items()}

    def _set_train(self, on: bool) -> None:
        for module in self._modules.values():
            module.train(on)

    def _epoch_of(self, step: int) -> int:
        """The epoch, from 1, that ends with or holds the last of so many steps."""
        return -(-step // self._task.steps_per_epoch)

    def _share_of_minutes(self) -> float:
        elapsed = time.monotonic() - self._began
        return elapsed / (60 * self._options.minutes) if self._options.minutes else 0.0

    def _is_meeting(self) -> bool:
        """Whether processes compare notes after this step; one process always may."""
        return self._engine.processes == 1 or self.state.step % self._options.log_every == 0

    @contextmanager
    def _outside(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.state.seconds_outside += time.perf_counter() - begin


def _load_moments(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Take back what an optimizer has gathered; its rates and decays stay those of the options of now."""
    settings = [
        {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(state)
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)


def _misfit() -> UsageError:
    return UsageError(
        "--out: the checkpoint of the run does not fit these options (another network or optimizer); use the "
        "options of the run, --resume never to start anew, or another folder."
    )


def _too_little_memory(state: _State) -> str:
    return (
        f"memory was not enough at step {state.step + 1}; the last checkpoint is kept. Give a smaller "
        "batch (--batch; of train-reid --patients or --images) or fewer --workers, and add --resume "
        "force to go on from that checkpoint. A smaller --size or network needs a new --out."
    )
