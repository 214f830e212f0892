"""Where a training runs: device, precision, and several processes by accelerate, behind one seam."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from deid.core.errors import UsageError

_PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Engine:
    """One device in one process: forward precision, scaled backward, optimizer steps.

    Args:
        device: "auto", "cuda", "mps" or "cpu".
        precision: "auto", "float32", "bfloat16" or "float16".

    Raises:
        UsageError: The device is not there, or cannot do that precision.
    """

    rank = 0
    processes = 1

    def __init__(self, device: str, precision: str) -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self._scaler = torch.amp.GradScaler(self.device.type) if self.precision == "float16" else None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def describe(self) -> str:
        """The device in words, for reports."""
        if self.device.type != "cuda":
            return self.device.type
        many = f"{self.processes} x " if self.processes > 1 else ""
        return f"cuda ({many}{torch.cuda.get_device_name(self.device)})"

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for a forward pass."""
        dtype = _PRECISIONS.get(self.precision)
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, scaled where float16 needs it."""
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        torch.autograd.backward(scaled)

    def step(self, optimizers: Mapping[str, Optimizer], clip: float) -> dict[str, Tensor]:
        """Clip and step optimizers of one backward pass; returns their gradient lengths before the clip."""
        lengths = {}
        for name, optimizer in optimizers.items():
            parameters = [
                p for group in optimizer.param_groups for p in group["params"] if p.grad is not None
            ]
            if not parameters:
                continue
            self.average([p.grad for p in parameters])
            if self._scaler is not None:
                self._scaler.unscale_(optimizer)
            lengths[name] = nn.utils.clip_grad_norm_(parameters, clip or float("inf"))
        for name in lengths:
            if self._scaler is None:
                optimizers[name].step()
            else:
                self._scaler.step(optimizers[name])
        if self._scaler is not None and lengths:
            self._scaler.update()
        return lengths

    def state(self) -> dict[str, Any]:
        """What the gradient scaler has learned; empty without one."""
        return {} if self._scaler is None else dict(self._scaler.state_dict())

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` gave."""
        if self._scaler is not None and state:
            self._scaler.load_state_dict(state)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace gradients by their mean over all processes."""

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the main process."""

    def agree(self, value: Any) -> Any:
        """The main process's value, in every process, so that all take the same decision."""
        return value

    def wait(self) -> None:
        """Let all processes come here."""


class AcceleratedEngine(Engine):
    """Several processes, one device each, begun by ``accelerate launch`` or ``torchrun``.

    Modules are not wrapped, so tasks may call any method of theirs; gradients are averaged before each step
    instead. Every process needs the same parameters in each update. Each draws batches of its own, so the
    effective batch is as many times larger.
    """

    def __init__(self, device: str, precision: str) -> None:
        try:
            import accelerate
        except ImportError:
            raise UsageError(
                "several processes were started, which needs accelerate: pip install "
                "'mami-deid[accelerate]', or start the command by itself for one device."
            ) from None
        self._accelerator = accelerate.Accelerator(cpu=choose_device(device).type == "cpu")
        super().__init__(self._accelerator.device.type, precision)
        self.device = self._accelerator.device
        self.rank = self._accelerator.process_index
        self.processes = self._accelerator.num_processes

    def average(self, tensors: list[Tensor]) -> None:
        """Replace gradients by their mean over all processes; one transfer for all."""
        if not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        mean: Tensor = self._accelerator.reduce(flat, "mean")
        for tensor, part in zip(tensors, torch.split(mean, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the main process."""
        from accelerate.utils import broadcast

        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(broadcast(tensor.detach().clone()))

    def agree(self, value: Any) -> Any:
        """The main process's value, in every process."""
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def wait(self) -> None:
        """Let all processes come here."""
        self._accelerator.wait_for_everyone()


def start_engine(device: str, precision: str, *, alone: bool = False) -> Engine:
    """The engine for how this process was started, or for this process ``alone``."""
    several = not alone and int(os.environ.get("WORLD_SIZE", "1")) > 1
    return (AcceleratedEngine if several else Engine)(device, precision)


def choose_device(name: str) -> torch.device:
    """The device by its option.

    Raises:
        UsageError: It is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    if not there[name]:
        found = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise UsageError(
            f"--device {name}: there is no such device here; found: {found}. Use one of these or auto."
        )
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """The precision of forward passes by its option.

    Raises:
        UsageError: The device cannot do it.
    """
    if name == "auto":
        if device.type != "cuda":
            return "float32"
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if name == "float16" and device.type == "cpu":
        raise UsageError("--precision float16 needs a GPU; use float32 or bfloat16 on a CPU.")
    return name


def _outside_the_steps() -> str:
    return (
        "memory was not enough; the last checkpoint of the run, if there is one, is kept. Give fewer "
        "--jobs, or a smaller --size or fewer images (--sources, --modalities) and a new --out."
    )


@contextmanager
def explained_memory(advice: Callable[[], str] = _outside_the_steps) -> Iterator[None]:
    """Says what to do when memory is not enough.

    Args:
        advice: What happened and what to do, asked for once it did.

    Raises:
        UsageError: It was not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UsageError(advice()) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of a device or of the computer, was not enough."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
